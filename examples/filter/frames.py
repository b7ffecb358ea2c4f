#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""frames.py PORT DIRECTORY: the cloud. Each frame of the MJPEG streams that come in becomes a file, the last 10,000."""

import itertools
import os
import socket
import sys
import threading

END = b"\xff\xd9"  # of a JPEG picture
MOST_BYTES = 4 * 1024 * 1024  # of a frame


def take(camera, directory, numbers):
    rest = b""
    with camera:
        camera.settimeout(60)
        try:
            while len(rest) < MOST_BYTES and (part := camera.recv(65536)):
                *frames, rest = (rest + part).split(END)
                for frame in frames:
                    with open(os.path.join(directory, f"{next(numbers) % 10000:04}.jpg"), "wb") as file:
                        file.write(frame + END)
        except OSError as error:
            print("a stream ended:", error, file=sys.stderr, flush=True)


def serve(port, directory):
    os.makedirs(directory, exist_ok=True)
    numbers = itertools.count()
    with socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        while True:
            camera, _ = listener.accept()
            threading.Thread(target=take, args=(camera, directory, numbers), daemon=True).start()


if __name__ == "__main__":
    if len(sys.argv) != 3 or not sys.argv[1].isdigit():
        sys.exit(__doc__)
    serve(int(sys.argv[1]), sys.argv[2])
