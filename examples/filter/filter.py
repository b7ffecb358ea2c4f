#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""filter.py PORT HOST: a camera's MJPEG stream over TCP goes through ffmpeg, and what moves goes on to HOST:PORT.

ffmpeg reads from the camera's socket and writes to the cloud's: no byte of a picture passes through here.
"""

import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time

MOST_CAMERAS = 4
CONNECT = 5  # seconds for the cloud to be reached, at all of its addresses together
# A camera that sends less than this in such a time is given up. So is one whose cloud takes nothing: ffmpeg stops
# reading then, and the camera's bytes no longer arrive.
LEAST_BYTES, PERIOD = 16 * 1024, 30
BYTES_RECEIVED = 128  # in the kernel's struct tcp_info, the same on every architecture
# mpdecimate drops what looks like the frame that was kept last, noise aside, but for one in 300: the camera lives.
FFMPEG = (
    "/usr/bin/ffmpeg -nostdin -v error -threads 1 -filter_threads 1 -max_pixels 2097152 -probesize 32k -fflags nobuffer"
    " -f mjpeg -i pipe:0 -vf mpdecimate=max=300:hi=64*20:lo=64*10 -fps_mode passthrough"
    " -c:v mjpeg -threads 1 -q:v 5 -flush_packets 1 -f mjpeg pipe:1"
).split()


def received(camera):
    """Bytes that have come in at the connection so far."""
    information = camera.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, BYTES_RECEIVED + 8)
    return struct.unpack_from("=Q", information, BYTES_RECEIVED)[0]


def connect(host, port):
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for number, (*_, address) in enumerate(addresses, 1):
        try:
            return socket.create_connection(address[:2], timeout=CONNECT / len(addresses))
        except OSError:
            if number == len(addresses):
                raise


def filter_one(camera, host, port):
    """ffmpeg between the two, until either ends or the camera is given up."""
    with connect(host, port) as cloud:
        cloud.settimeout(None)
        process = subprocess.Popen(FFMPEG, stdin=camera, stdout=cloud)
    ended = os.pidfd_open(process.pid)
    try:
        had = received(camera)
        while not select.select([ended], [], [], PERIOD)[0]:
            has = received(camera)
            if has - had < LEAST_BYTES:
                raise TimeoutError(f"{has - had} bytes in {PERIOD} s")
            had = has
    finally:
        os.close(ended)
        process.kill()
        process.wait()


def serve_one(camera, host, port, places):
    """The camera sees its connection end where the cloud cannot be reached."""
    try:
        with camera:
            filter_one(camera, host, port)
    except OSError as error:
        print("a camera is sent away:", error, file=sys.stderr, flush=True)
    finally:
        places.release()


def serve(port, host):
    places = threading.BoundedSemaphore(MOST_CAMERAS)
    with socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        while True:
            camera, _ = listener.accept()
            if places.acquire(blocking=False):
                threading.Thread(target=serve_one, args=(camera, host, port, places), daemon=True).start()
            else:
                camera.close()
                time.sleep(0.1)  # one that comes again at once


if __name__ == "__main__":
    if len(sys.argv) != 3 or not sys.argv[1].isdigit():
        sys.exit(__doc__)
    serve(int(sys.argv[1]), sys.argv[2])
