#!/bin/sh
# Score the published results of GFPGAN 1.2, 1.3 and 1.4 and their inputs as four methods, and compare them.
#
#     sh experiments/003-published-outputs/run.sh PUBLISHED OUT
#
# PUBLISHED holds face_1_input.png, face_1_gfpgan_v1.2.jpg and so on. Asks for consent to pyiqa's licence, kept in OUT only.
set -eu
published=$(cd "$1" && pwd)
mkdir -p "$2"
cd "$2"
export GFPUP_CONFIG_DIR="$PWD/config"

for method in input gfpgan_v1.2 gfpgan_v1.3 gfpgan_v1.4; do
    mkdir -p "results/$method"
    for number in 1 2 3 4; do
        for file in "$published/face_${number}_$method".*; do
            ln -sf "$file" "results/$method/face_$number.${file##*.}"
        done
    done
    gfpup score --restored "results/$method" --input results/input --metrics psnr,ssim,ms_ssim,niqe --output "scores/$method" \
        --accept-licence polyform-noncommercial-1.0.0 --no-download
done
gfpup compare scores/input scores/gfpgan_v1.2 scores/gfpgan_v1.3 scores/gfpgan_v1.4 --markdown --output four.md
gfpup compare scores/gfpgan_v1.2 scores/gfpgan_v1.3 scores/gfpgan_v1.4 --baseline gfpgan_v1.4 --markdown --output three.md
