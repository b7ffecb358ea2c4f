#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""filter.py PORT HOST: a camera's MJPEG stream over TCP goes through ffmpeg, and what moves goes on to HOST:PORT.

ffmpeg reads from the camera's socket and writes to the cloud's: no byte of a picture passes through here.
"""

import socket
import struct
import subprocess
import sys
import time

MOST_CAMERAS = 4
SILENCE = 30  # seconds after which a camera, or the cloud, is given up
# mpdecimate drops what looks like the frame that was kept last, noise aside, but for one in 300: the camera lives.
FFMPEG = (
    "/usr/bin/ffmpeg -nostdin -v error -threads 1 -filter_threads 1 -max_pixels 16777216 -probesize 32k -fflags nobuffer"
    " -f mjpeg -i pipe:0 -vf mpdecimate=max=300:hi=64*20:lo=64*10 -fps_mode passthrough"
    " -c:v mjpeg -threads 1 -q:v 5 -flush_packets 1 -f mjpeg pipe:1"
).split()


def start(camera, host, port):
    """ffmpeg between the two; None where the cloud cannot be reached: the camera sees its connection end."""
    limit = struct.pack("ll", SILENCE, 0)
    try:
        with camera, socket.create_connection((host, port), timeout=5) as cloud:
            cloud.settimeout(None)
            camera.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
            cloud.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            return subprocess.Popen(FFMPEG, stdin=camera, stdout=cloud)
    except OSError as error:
        print("a camera is sent away:", error, file=sys.stderr, flush=True)
        return None


def serve(port, host):
    running = []
    with socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        while True:
            camera, _ = listener.accept()
            running = [one for one in running if one.poll() is None]
            if len(running) >= MOST_CAMERAS:
                camera.close()
                time.sleep(0.1)  # one that comes again at once
                continue
            started = start(camera, host, port)
            if started is not None:
                running.append(started)


if __name__ == "__main__":
    if len(sys.argv) != 3 or not sys.argv[1].isdigit():
        sys.exit(__doc__)
    serve(int(sys.argv[1]), sys.argv[2])
