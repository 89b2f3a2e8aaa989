"""A line of results, on the disk at once."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any


def append(path: Path, row: dict[str, Any]) -> None:
    """Append a row as one line of JSON; what JSON has no number for becomes a word."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(_finite(row), allow_nan=False, default=str) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
