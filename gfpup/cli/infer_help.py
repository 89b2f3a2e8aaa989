"""The help of `gfpgan-infer`."""

from __future__ import annotations

HELP = """\
usage: gfpgan-infer [-i INPUT] [-o OUTPUT] [-v VERSION] [-s UPSCALE] [flags]

The old command, as a translation to gfpup run: one line on stderr names the command that does the same.
Results lie as they did: restored_imgs, cropped_faces, restored_faces and cmp in the output folder, replaced when it runs again.

  -i, --input PATH           photo, folder or pattern; repeat for more (default: inputs/whole_imgs)
  -o, --output DIR           folder of the results (default: results)
  -v, --version V            GFPGAN 1.2, 1.3 or 1.4, also as v1.4; RestoreFormer, as that script called it (default: 1.3)
  -s, --upscale X            make the result this many times larger (default: 2)
  -w, --weight X             0 to 1: --strength, but --fidelity for CodeFormer; only when given
  --backend NAME             gfpgan, codeformer, restoreformerpp, ... ; restoreformer means restoreformerpp here
  --fidelity X               CodeFormer's w, 0 to 1
  --auto                     choose the method photo by photo
  --bg_upsampler NAME        realesrgan (on a GPU; on a CPU it stays off, as it did) or none (default: realesrgan)
  --bg_tile PX               tile of the background, 0 for none (default: planned)
  --suffix TEXT              add _TEXT to names
  --ext EXT                  auto, jpg, png, webp, ... (default: auto)
  --only_center_face         restore the face nearest the centre only
  --aligned                  the inputs are aligned faces; restored_imgs holds the restored ones too
  --high_quality             float32, each face also mirrored, no tiles
  --memory_efficient         one face at a time, small tiles
  --detector NAME            retinaface_resnet50, retinaface_mobile0.25 or cascade (default: the best that is here)
  --detection_threshold X    accept faces from this score, 0 to 1 (default: 0.97)
  --eye-dist-threshold PX    leave faces out whose eyes are nearer than this (default: 5)
  --no-parse                 paste by a feathered square
  --device NAME              auto, cpu, cuda, cuda:N or mps (default: auto)
  --compile [MODE]           compile the network; MODE none switches it off
  --workers N                processes that read ahead
  --seed N                   draw GFPGAN's noise from this number
  --model-path FILE          restore with this checkpoint
  --weights-file NAME=FILE   take your file for a published checkpoint; repeat
  --no-download              use only weights that are here
  --accept-licence ID        consent to a licence, once; repeat
  --trust-first-download     accept checkpoints without a published hash
  --jpg-quality, --png-compress, --webp-quality N
  --no-cmp                   write no pictures of before beside after
  --max-images N             stop after N photos
  --skip-existing            keep what is there
  --overwrite                replace what is there, of other settings too (the default)
  --metrics WHICH            none, id, lpips, both, fast, full (or detailed), or a list of gfpup's metrics
  --manifest FILE            copy the record there
  --html-report FILE         write the report there
  --dry-run                  validate and plan, without weights or network
  --print-env                print what gfpup doctor finds first
  --verbose                  print the plan first

  gfpgan-infer --input photo.jpg --version 1.4
  gfpgan-infer --input photo.jpg --backend codeformer --fidelity 0.8
  gfpgan-infer -i inputs -o results -v 1.3 -s 2
"""
