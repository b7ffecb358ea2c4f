#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""draw.py DIRECTORY COUNT [SEED]: pictures of cars in a street, DIRECTORY/PLATE.jpg, to try the reading with."""

import os
import random
import sys

import cv2
import numpy

LETTERS = "ABCEHKMOPTXY"
PLATE = (240, 52)  # pixels


def draw_plate(text):
    """Drawn four times as large, for smooth edges."""
    width, height = PLATE[0] * 4, PLATE[1] * 4
    plate = numpy.full((height, width, 3), 245, numpy.uint8)
    ink, thickness = (20, 20, 20), height // 10
    cv2.rectangle(plate, (8, 8), (width - 8, height - 8), ink, 8)
    font = cv2.FONT_HERSHEY_DUPLEX
    (w, h), _ = cv2.getTextSize(text, font, 1, thickness)
    scale = min(0.88 * width / w, 0.58 * height / h)
    (w, h), _ = cv2.getTextSize(text, font, scale, thickness)
    cv2.putText(plate, text, ((width - w) // 2, (height + h) // 2), font, scale, ink, thickness, cv2.LINE_AA)
    return cv2.resize(plate, PLATE, interpolation=cv2.INTER_AREA)


def draw_street(text, dice):
    street = numpy.zeros((720, 1280, 3), numpy.uint8)
    street[:300], street[300:] = (200, 170, 130), (90, 90, 95)
    for _ in range(8):  # houses
        x, y, shade = dice.randint(0, 1200), dice.randint(40, 200), dice.randint(60, 160)
        cv2.rectangle(street, (x, y), (x + dice.randint(60, 200), 330), (shade, shade - 20, shade - 30), -1)
    paint = [dice.randint(30, 170) for _ in range(3)]
    x, y = dice.randint(250, 650), dice.randint(330, 420)
    cv2.rectangle(street, (x - 60, y - 180), (x + 360, y), [part // 2 for part in paint], -1)
    cv2.rectangle(street, (x - 120, y), (x + 380, y + 200), paint, -1)
    street[y + 110 : y + 110 + PLATE[1], x + 30 : x + 30 + PLATE[0]] = draw_plate(text)
    grain = numpy.random.RandomState(dice.randint(0, 2**31)).normal(0, 4, street.shape)
    return numpy.clip(cv2.GaussianBlur(street, (3, 3), 0) + grain, 0, 255).astype(numpy.uint8)


def main(directory, count, seed):
    dice = random.Random(seed)
    os.makedirs(directory, exist_ok=True)
    for _ in range(count):
        letters = [dice.choice(LETTERS) for _ in range(3)]
        text = f"{letters[0]}{dice.randint(0, 999):03}{letters[1]}{letters[2]}{dice.randint(10, 99)}"
        picture = draw_street(text, dice)
        cv2.imwrite(os.path.join(directory, text + ".jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) == 4 else 1)
