"""The store in a folder: an SQLite file, made aside and renamed, with the pictures beside it that move with the folder.

MLflow makes its tables in dozens of migrations. A process killed in between would leave a file that MLflow refuses ever after,
so the file gets its name only when it is complete.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

import filelock

from gfpup.core.errors import GfpupError
from gfpup.core.files import TEMPORARY_GLOB

ARTIFACTS: Final = "artifacts"
BUSY_SECONDS = 20.0
_LOCK_SECONDS: Final = 120


class TrackingError(GfpupError):
    """The store cannot be used; results do not depend on it."""


def lock(path: Path) -> filelock.FileLock:
    """What everybody holds who makes or mends the store with this file."""
    return filelock.FileLock(path.parent / ".mlflow.lock", timeout=_LOCK_SECONDS)


def prepare(path: Path, client: Any) -> None:
    """Make the store's file where there is none, make it anew where making it was interrupted, and let artifacts follow it.

    The caller holds `lock(path)`. `client(uri)` opens a store.

    Raises:
        TrackingError: the file is incomplete or of another version, and has runs in it.
        sqlite3.Error: it is not a database, or another program holds it.
    """
    for torn in path.parent.glob(f"{TEMPORARY_GLOB}*"):
        torn.unlink(missing_ok=True)
    if path.exists():
        _check(path)
    if path.exists() and path.stat().st_size and not _is_current(path):
        _put_aside(path)
    if not path.exists() or not path.stat().st_size:
        _make(path, client)
    follow(path)


def _check(path: Path) -> None:
    """Refuse at once what MLflow would try again for minutes: a file that is not a database, or cannot be written."""
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("SELECT name FROM sqlite_master LIMIT 1").fetchall()
        connection.rollback()


def _make(path: Path, client: Any) -> None:
    temporary = path.with_name(TEMPORARY_GLOB.replace("*", f"{os.getpid()}-{secrets.token_hex(4)}"))
    uri = f"sqlite:///{temporary}"
    try:
        client(uri).search_experiments(max_results=1)
        _close(uri)
        temporary.replace(path)
    finally:
        for file in path.parent.glob(f"{temporary.name}*"):
            file.unlink(missing_ok=True)


def _close(uri: str) -> None:
    """Let go of MLflow's connections to a file that is about to be renamed."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    engine = getattr(SqlAlchemyStore, "_engine_map", {}).pop(uri, None)
    if engine is not None:
        engine.dispose()


def _is_current(path: Path) -> bool:
    """Whether the file has all tables of the MLflow that is installed, in its version."""
    import sqlalchemy
    from mlflow.store.db import utils
    from mlflow.store.tracking import sqlalchemy_store  # noqa: F401 (registers the tables)

    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    try:
        # Compared by name: a version of MLflow without these functions is left to its own checks.
        checks = [
            getattr(utils, name, None) for name in ("_all_tables_exist", "_get_schema_version", "_get_latest_schema_revision")
        ]
        if None in checks:
            return True
        exist, version, latest = checks
        return bool(exist(engine)) and version(engine) == latest()  # type: ignore[misc]
    finally:
        engine.dispose()


def _put_aside(path: Path) -> None:
    """Rename a file that MLflow cannot use and that holds no run; one that holds runs is the user's to decide about."""
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        try:
            runs = int(connection.execute("SELECT COUNT(*) FROM runs").fetchone()[0])
        except sqlite3.OperationalError:
            runs = 0  # the table was never made
    if runs:
        raise TrackingError(
            f"the store {path} was made by another version of MLflow and holds {runs} runs; upgrade it with "
            f"'mlflow db upgrade sqlite:///{path}', or move it away and log the runs again with gfpup track."
        )
    path.replace(path.with_name(f"{path.name}.incomplete"))


def follow(path: Path) -> bool:
    """Correct the addresses of pictures and files in a store whose folder was renamed, moved or copied; says whether it did.

    MLflow records absolute addresses, so old runs would show no pictures, and new ones would write into the old place.

    Raises:
        sqlite3.Error: the database cannot be read or written.
    """
    folder = path.absolute().parent / ARTIFACTS
    here, moved = folder.as_uri(), False
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection, connection:
        for (old,) in connection.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall():
            if old in (None, here) or not str(old).startswith("file:") or not str(old).endswith(f"/{ARTIFACTS}"):
                continue
            if Path(url2pathname(urlsplit(old).path)).exists() and not folder.exists():
                continue  # somebody's own place for them
            connection.execute("UPDATE experiments SET artifact_location = ? WHERE artifact_location = ?", (here, old))
            connection.execute(
                "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) WHERE substr(artifact_uri, 1, ?) = ?",
                (here, len(old) + 1, len(old) + 1, f"{old}/"),
            )
            moved = True
    return moved
