"""The schema as Hydra's structured config: what types the keys of conf/run.yaml have, before any value is composed."""

from __future__ import annotations

import dataclasses
from copy import copy
from dataclasses import field, make_dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from gfpup.core import registry
from gfpup.planning.schema import OPTIONS, Settings

SCHEMA: Final = "schema"
"""Its name in the defaults list of conf/run.yaml."""
PLAIN: Final = (bool, int, float, str)


def register() -> None:
    """Store the schema, and the methods of installed packages as choices of the group `backend`."""
    store = ConfigStore.instance()
    schema = OmegaConf.structured(_class(Settings, ""))
    # Methods of installed packages have parameters of their own; `read_settings` checks their names.
    OmegaConf.set_struct(schema.restore, False)
    store.store(name=SCHEMA, node=schema, provider="gfpup")
    for name in registry.plugins("backend"):
        store.store(group="backend", name=name, node={"name": name}, provider="an installed package")


def _class(root: type, prefix: str) -> type:
    """A dataclass of the types that OmegaConf checks: it freezes a frozen one, and knows no Path as we write it."""
    rows: list[tuple[str, Any, Any]] = []
    for item in dataclasses.fields(root):
        if inside := item.metadata.get("node"):
            made = _class(inside, f"{prefix}{item.name}.")
            rows.append((item.name, made, field(default_factory=made)))
        elif "option" in item.metadata:
            wanted = OPTIONS[f"{prefix}{item.name}"]
            base = str if wanted.base is Path else wanted.base
            # Lists and numbers beside words (`devices: auto`) are left to `read_settings`.
            simple = base in PLAIN and wanted.key not in ("hardware.devices", "faces.which")
            kind = (base | None if wanted.optional else base) if simple else Any
            default = str(wanted.default) if isinstance(wanted.default, Path) else wanted.default
            rows.append((item.name, kind, field(default_factory=partial(copy, default))))
    return make_dataclass(root.__name__, rows)
