#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Reads licence plates: POST a JPEG picture to /plates, get their texts.

plates.py NAME PORT [UPSTREAM]: NAME is who says to have read it. With UPSTREAM, the URL of the real cloud, the texts go
on there, and the picture does not. The cloud runs the same program without UPSTREAM: it takes texts as well, and GET
/plates tells what it knows so far.
"""

import collections
import http.client
import io
import json
import os
import queue
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# A picture of a few kilobytes may claim to have any size, and the cascade takes some 50 bytes a pixel.
MOST_PIXELS = 2 * 1024 * 1024
os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(MOST_PIXELS)
# A thread more per processor costs memory, and pictures come one by one.
os.environ["OMP_THREAD_LIMIT"] = "1"
import cv2  # noqa: E402  (reads the environment when it is loaded)
import numpy  # noqa: E402

CASCADE = "/usr/share/opencv4/haarcascades/haarcascade_russian_plate_number.xml"
MOST_BYTES = 4 * 1024 * 1024  # of a picture
MOST_CONNECTIONS = 8
MOST_PLATES = 4  # of a picture
MOST_WAITING = 1000  # texts for the cloud
SMALLEST = (90, 30)  # of a plate, in pixels: below it nothing can be read, and the cascade takes twice the memory
SECONDS = 15  # for a request to come in, headers and body, and for tesseract

# Letter, three digits, two letters, two digits: what looks alike is told apart by its place.
SHAPE = re.compile("[ABCEHKMOPTXY][0-9]{3}[ABCEHKMOPTXY]{2}[0-9]{2}")
TO_DIGIT = str.maketrans("OBTA", "0874")
TO_LETTER = str.maketrans("0874", "OBTA")

cv2.setNumThreads(1)
cascade = cv2.CascadeClassifier(CASCADE)
one_at_a_time = threading.Lock()
known = collections.deque(maxlen=1000)


def field_of(gray, box):
    """The bright field of the plate around `box`, as tesseract likes it; None where there is none."""
    x, y, width, height = box
    aside, above = width // 8, height // 10
    part = gray[max(0, y - above) : y + height + above, max(0, x - aside) : x + width + aside]
    larger = min(3, 1500 / part.shape[1])  # one that fills the picture is large enough
    part = cv2.resize(part, None, fx=larger, fy=larger, interpolation=cv2.INTER_CUBIC)
    _, bright = cv2.threshold(cv2.GaussianBlur(part, (5, 5), 0), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    contours, _ = cv2.findContours(bright, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    fields = [cv2.boundingRect(contour) for contour in contours]
    fields = [f for f in fields if 3 < f[2] / f[3] < 7 and f[2] > part.shape[1] / 2]
    if not fields:
        return None
    x, y, width, height = max(fields, key=lambda f: f[2] * f[3])
    edge = height // 10
    inner = part[y + edge : y + height - edge, x + edge : x + width - edge]
    scale = 80 / inner.shape[0]
    inner = cv2.resize(inner, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.copyMakeBorder(inner, 20, 20, 20, 20, cv2.BORDER_CONSTANT, value=int(numpy.percentile(inner, 90)))


def text_of(field):
    """What tesseract reads; empty where that is no plate's text."""
    letters = "tessedit_char_whitelist=ABCEHKMOPTXY0123456789"
    done = subprocess.run(
        ["/usr/bin/tesseract", "stdin", "stdout", "--psm", "7", "-c", letters],
        input=cv2.imencode(".png", field)[1].tobytes(),
        capture_output=True,
        timeout=SECONDS,
        check=True,
    )
    text = re.sub("[^A-Z0-9]", "", done.stdout.decode("ascii", "ignore"))
    text = (
        text[:1].translate(TO_LETTER)
        + text[1:4].translate(TO_DIGIT)
        + text[4:6].translate(TO_LETTER)
        + text[6:].translate(TO_DIGIT)
    )
    return text if SHAPE.fullmatch(text) else ""


def pixels_of(picture):
    """What the header of a JPEG picture says; 0 where it is none."""
    at = 2 if picture[:2] == b"\xff\xd8" else len(picture)
    while 0 <= (at := picture.find(b"\xff", at)) < len(picture) - 9:
        marker = picture[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame's header, not a table
            return int.from_bytes(picture[at + 5 : at + 7], "big") * int.from_bytes(picture[at + 7 : at + 9], "big")
        if marker in (0xD9, 0xDA):  # the end, or the pixels
            return 0
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8:  # without a length
            at += 1
        else:
            at += 2 + int.from_bytes(picture[at + 2 : at + 4], "big")
    return 0


def read_plates(picture):
    """Their texts; None where it is no picture."""
    with one_at_a_time:
        try:
            gray = cv2.imdecode(numpy.frombuffer(picture, numpy.uint8), cv2.IMREAD_GRAYSCALE)
        except cv2.error:
            gray = None
        if gray is None:
            return None
        boxes = cascade.detectMultiScale(gray, 1.1, 4, minSize=SMALLEST)
        fields = [field_of(gray, box) for box in list(boxes)[:MOST_PLATES]]
        texts = [text_of(field) for field in fields if field is not None]
    return list(dict.fromkeys(text for text in texts if text))  # one plate may be found at two sizes


def tell_upstream(url, waiting):
    """Sends on what waits, in order, and tries again what did not arrive."""
    while True:
        report = waiting.get()
        body = json.dumps(report).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        while True:
            try:
                with urllib.request.urlopen(request, timeout=5):
                    break
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    print("the cloud refused:", error, file=sys.stderr, flush=True)
                    break
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(2)


class Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True

    def __init__(self, name, port, upstream):
        self.name = name
        self.waiting = queue.Queue(MOST_WAITING) if upstream else None
        self.connections = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(("::", port), Handler)
        if upstream:
            threading.Thread(target=tell_upstream, args=(upstream, self.waiting), daemon=True).start()

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def process_request(self, request, client_address):
        if self.connections.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.connections.release()


class InTime(io.RawIOBase):
    """What comes in at a connection until SECONDS have passed, however slowly."""

    def __init__(self, connection):
        self.connection, self.end = connection, time.monotonic() + SECONDS

    def readable(self):
        return True

    def readinto(self, buffer):
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.connection.settimeout(left)
        return self.connection.recv_into(buffer)


class Handler(BaseHTTPRequestHandler):
    def setup(self):
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(InTime(self.connection))

    def answer(self, status, value):
        body = json.dumps(value).encode() + b"\n"
        self.connection.settimeout(SECONDS)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        """All of it; None where it is too large, or does not come in time: then the answer is given."""
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit():
            self.answer(411, {"error": "no length"})
            return None
        if len(length) > 9 or int(length) > MOST_BYTES:
            self.answer(413, {"error": f"more than {MOST_BYTES} bytes"})
            return None
        body = bytearray(int(length))
        try:
            came = self.rfile.readinto(body)
        except TimeoutError:
            came = 0
        if came < len(body):
            self.answer(408, {"error": "the body did not come"})
            return None
        return body

    def do_GET(self):
        if self.path == "/healthz":
            self.answer(200, "ok")
        elif self.path == "/plates" and self.server.waiting is None:
            self.answer(200, list(known))
        else:
            self.answer(404, {"error": "not found"})

    def do_POST(self):
        if self.path != "/plates":
            self.answer(404, {"error": "not found"})
            return
        body = self.body()
        if body is None:
            return
        if self.headers.get_content_type() == "application/json" and self.server.waiting is None:
            self.take_text(body)
        else:
            self.take_picture(body)

    def take_text(self, body):
        try:
            report = json.loads(body)
            by, plates = str(report["read_by"])[:32], [str(plate)[:16] for plate in report["plates"][:MOST_PLATES]]
        except (ValueError, KeyError, TypeError, RecursionError):
            self.answer(400, {"error": "no report"})
            return
        known.append({"plates": plates, "read_by": by})
        self.answer(200, {"taken_by": self.server.name})

    def take_picture(self, picture):
        pixels = pixels_of(picture)
        if pixels > MOST_PIXELS:
            self.answer(413, {"error": f"more than {MOST_PIXELS} pixels"})
            return
        try:
            plates = read_plates(picture) if pixels else None
        except (subprocess.SubprocessError, OSError):
            self.answer(503, {"error": "cannot read now"})
            return
        if plates is None:
            self.answer(415, {"error": "no JPEG picture"})
            return
        report = {"plates": plates, "read_by": self.server.name}
        if self.server.waiting is not None and plates:
            try:
                self.server.waiting.put_nowait(report)
            except queue.Full:
                self.answer(503, {"error": "too much waits for the cloud"})
                return
        if self.server.waiting is None:
            known.append(report)
        self.answer(200, report)

    def log_message(self, *arguments):
        pass  # a line for each probe would wear the log out


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or not sys.argv[2].isdigit():
        sys.exit(__doc__)
    if cascade.empty():
        sys.exit(f"cannot read {CASCADE}")
    Server(sys.argv[1], int(sys.argv[2]), sys.argv[3] if len(sys.argv) == 4 else "").serve_forever()
