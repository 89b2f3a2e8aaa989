#!/bin/sh
# Classical, identity (bilinear) and Lanczos on references damaged by two protocols and eight seeds.
#
#     sh experiments/004-synthetic-baseline/run.sh REFERENCES DETECTOR OUT
#
# REFERENCES is a folder of photos with a face each; DETECTOR a RetinaFace MobileNet-0.25 checkpoint that aligns them.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
references=$(cd "$1" && pwd)
detector=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
mkdir -p "$3"
cd "$3"

gfpup run --input "$references" --backend identity --detector retinaface-mobilenet0.25 --detector-path "$detector" \
    --faces largest --upscale 1 --ext png --save-faces --device cpu --output aligned
mkdir -p faces
for file in aligned/faces/*/*_aligned.png; do
    name=$(basename "$(dirname "$file")")
    cp "$file" "faces/${name%.*}.png"
done
for protocol in mild gfpgan; do
    for seed in 0 1 2 3 4 5 6 7; do
        gfpup degrade --input faces --protocol "$protocol" --seed "$seed" --output "lq/$protocol/$seed" --references "refs/$protocol/$seed"
    done
    for backend in identity classical; do
        gfpup run --input "lq/$protocol" --recursive --aligned --backend "$backend" --device cpu --output "out/$protocol/$backend"
    done
    python "$here/lanczos.py" "refs/$protocol" "lq/$protocol" "results/$protocol/lanczos"
    gfpup score "out/$protocol" --reference "refs/$protocol" --metrics psnr,ssim,ms_ssim,seconds
    gfpup score --restored "results/$protocol/lanczos" --reference "refs/$protocol" --metrics psnr,ssim,ms_ssim --output "out/$protocol/lanczos"
    gfpup compare "out/$protocol" --baseline lanczos --markdown --output "$protocol.md"
done
