"""Finished runs, and how tests start and read them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema

from gfpup.records.manifest import SCHEMA_FILE

Run = Callable[..., int]
"""The fixture `gfpup`: runs the command and returns its exit status."""


def manifest(run: Path) -> dict[str, Any]:
    """The document of a run, which must follow the schema."""
    document: dict[str, Any] = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    return document
