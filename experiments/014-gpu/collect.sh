#!/bin/bash
# Collect the wheels that a machine without a package index lacks, for Python 3.12 on Linux x86_64, in under 60 MB.
#
#   experiments/014-gpu/collect.sh [--have "numpy opencv-python-headless ..."] [FOLDER]
#
# --have names what the machine has already; FOLDER is experiments/014-gpu/wheels unless given. Needs pip and a package index;
# PYTHON is the interpreter that builds what is published as source alone (.venv/bin/python, or python3).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
[ -x "$python" ] || python=python3
exec "$python" "$here/collect.py" "$@"
