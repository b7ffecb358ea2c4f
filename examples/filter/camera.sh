#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# camera.sh HOST:PORT SECONDS [OPTION OF FFMPEG...]: a camera that sends ten frames a second of a still scene, with its
# sensor's noise, through which something moves in the last two of every ten seconds. With -re it takes its time.
set -eu
to=$1 seconds=$2
shift 2
exec ffmpeg -nostdin -v error "$@" -f lavfi -i "color=c=0x607080:s=640x360:r=10:d=$seconds,noise=alls=8:allf=t" \
    -f lavfi -i color=c=0x202020:s=60x40:r=10 \
    -filter_complex "[0][1]overlay=x='40+(mod(t,10)-8)*250':y=200:enable='gte(mod(t,10),8)':shortest=1" \
    -c:v mjpeg -q:v 4 -f mjpeg "tcp://$to"
