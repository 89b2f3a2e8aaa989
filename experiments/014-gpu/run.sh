#!/bin/bash
# Settle what is open about GPUs, in at most 8 minutes, on a machine with Python 3.12 and torch, without a package index.
#
#   experiments/014-gpu/run.sh [--shared DIR] [--device cuda] [--out DIR] [--small] [--steps NAME,...] [--seconds 480]
#
# Wheels of what is missing lie in experiments/014-gpu/wheels (collect.sh makes it). PYTHON is the interpreter (python3).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
python=${PYTHON:-python3}
site=$(mktemp -d "${TMPDIR:-/tmp}/gfpup-gpu-XXXXXX")
trap 'rm -rf "$site"' EXIT
if compgen -G "$here/wheels/*.whl" > /dev/null; then
  "$python" "$here/unpack.py" "$here/wheels" "$site" > "$site/unpacked.txt"
fi
# gfpup itself, as an installation would lay it out: conf/ is a package inside it.
cp -r "$root/gfpup" "$site/gfpup"
cp -r "$root/conf" "$site/gfpup/conf"
export PYTHONPATH="$site${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
export GFPUP_KIT_UNPACKED="$site/unpacked.txt" GFPUP_KIT_COMMIT="$(git -C "$root" rev-parse HEAD 2>/dev/null || true)"
"$python" "$here/run.py" "$@"
