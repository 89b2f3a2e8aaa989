"""The store in a folder: an SQLite file, made aside and renamed, with the pictures beside it that move with the folder.

MLflow makes its tables in dozens of migrations. A process killed in between would leave a file that MLflow refuses ever after,
so the file gets its name only when it is complete.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
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


@contextmanager
def locked(path: Path, advice: str) -> Iterator[None]:
    """Hold the store with this file while it is made or mended; what goes wrong is a TrackingError that ends in `advice`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(path.parent / ".mlflow.lock", timeout=_LOCK_SECONDS):
            yield
    except filelock.Timeout:
        raise TrackingError(f"another process is still making the store {path}; end it.") from None
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise TrackingError(f"the store {path} cannot be used: {reason}; {advice}.") from error


def prepare(path: Path, client: Any) -> None:
    """Make the store's file where there is none, make it anew where making it was interrupted, and let artifacts follow it.

    The caller holds it (`locked`). `client(uri)` opens a store.

    Raises:
        TrackingError: the file is incomplete or of another version, and has runs in it.
        sqlite3.Error: it is not a database, or another program holds it.
    """
    for torn in path.parent.glob(f"{TEMPORARY_GLOB}*"):
        torn.unlink(missing_ok=True)
    if path.exists():
        # MLflow would try for minutes to read a file that is not a database, or to write one that is held.
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("SELECT name FROM sqlite_master LIMIT 1").fetchall()
            connection.rollback()
        if path.stat().st_size and not _is_current(path):
            _put_aside(path)
    if not path.exists() or not path.stat().st_size:
        _make(path, client)
    follow(path)


def _make(path: Path, client: Any) -> None:
    temporary = path.with_name(TEMPORARY_GLOB.replace("*", f"{os.getpid()}-{secrets.token_hex(4)}"))
    uri = f"sqlite:///{temporary}"
    try:
        client(uri).search_experiments(max_results=1)
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        engine = getattr(SqlAlchemyStore, "_engine_map", {}).pop(uri, None)
        if engine is not None:
            engine.dispose()  # MLflow would keep its connections to a file that is renamed now
        temporary.replace(path)
    finally:
        for file in path.parent.glob(f"{temporary.name}*"):
            file.unlink(missing_ok=True)


def _is_current(path: Path) -> bool:
    """Whether the file has all tables of the MLflow that is installed, in its version."""
    import sqlalchemy
    from mlflow.store.db import utils
    from mlflow.store.tracking import sqlalchemy_store  # noqa: F401 (registers the tables)

    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    # By name: a version of MLflow without these functions is left to its own checks.
    names = ("_all_tables_exist", "_get_schema_version", "_get_latest_schema_revision")
    exist, version, latest = (getattr(utils, name, None) for name in names)
    try:
        return None in (exist, version, latest) or (bool(exist(engine)) and version(engine) == latest())  # type: ignore[misc]
    finally:
        engine.dispose()


def _put_aside(path: Path) -> None:
    """Rename a file that MLflow cannot use and that holds no run; one that holds runs is the user's to decide about."""
    runs = 0
    # Without the table there are none.
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection, suppress(sqlite3.OperationalError):
        runs = int(connection.execute("SELECT COUNT(*) FROM runs").fetchone()[0])
    if runs:
        raise TrackingError(
            f"the store {path} was made by another version of MLflow and holds {runs} runs; upgrade it with "
            f"'mlflow db upgrade sqlite:///{path}', or move it away and log the runs again with gfpup track."
        )
    path.replace(path.with_name(f"{path.name}.incomplete"))


def follow(path: Path) -> bool:
    """Correct the addresses of pictures and files in a store whose folder was renamed, moved or copied; says whether it did.

    MLflow records absolute addresses, so old runs would show no pictures, and new ones would write into the old place.
    The caller holds the store (`locked`), which also explains an error of the database.
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
