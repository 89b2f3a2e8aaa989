"""What is remembered between commands: a small JSON file of tables, which several processes may update at once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from gfpup.core.disk_cache import replacing
from gfpup.core.errors import GfpupError


@dataclass(frozen=True)
class Memory:
    """The file, what it holds in words, and the error and the remedy where it cannot be read."""

    file: Path
    holds: str
    error: type[GfpupError]
    remedy: str

    def table(self, name: str) -> dict[str, Any]:
        """One table, empty where nothing is remembered; raises `error` where the file is damaged or cannot be read."""
        table: dict[str, Any] = self._tables().get(name, {})
        return table

    def update(self, name: str, entry: str, value: object) -> None:
        """Remember one entry of a table; raises `error` like `table`, and OSError where the file cannot be written."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.file.with_name(f".{self.file.name}.lock")):
            tables = self._tables()
            tables.setdefault(name, {})[entry] = value
            with replacing(self.file) as fresh:
                fresh.write_text(json.dumps(tables, indent=2, sort_keys=True) + "\n", encoding="utf-8")

    def _tables(self) -> dict[str, dict[str, Any]]:
        try:
            content = json.loads(self.file.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError) as error:
            raise self.error(f"the remembered {self.holds} in {self.file} cannot be read: {self.remedy}") from error
        if not isinstance(content, dict) or not all(isinstance(table, dict) for table in content.values()):
            raise self.error(f"the remembered {self.holds} in {self.file} are damaged: {self.remedy}")
        return content
