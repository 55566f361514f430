"""The SQLite file itself: how it is opened, and what is in it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from wellhead.storage.store import StoreFailed

SCHEMA_VERSION = 1
_INCREMENTAL = 2
_APPLICATION_ID = 0x77656C6C  # "well": tells a wellhead database from any other SQLite file

_SCHEMA = """
CREATE TABLE log (
    revision INTEGER PRIMARY KEY,
    previous INTEGER NOT NULL,  -- the revision of the row that this one replaces; 0: none
    resource TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    value BLOB                  -- NULL: deleted
);
CREATE INDEX log_by_key ON log (resource, namespace, name, revision);
CREATE TABLE state (revision INTEGER NOT NULL, compacted INTEGER NOT NULL);
INSERT INTO state VALUES (0, 0);
"""


def open_database(path: Path) -> sqlite3.Connection:
    """The file at `path`, made if it is missing, for this process alone, each commit durable.

    Raises:
        StoreFailed: it can't be used: no permission, another process has it, not a wellhead database, or one
            with another schema.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Whatever is secret in a cluster is in here; the WAL takes over the mode.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=1.0, cached_statements=32
        )
    except (OSError, sqlite3.Error) as error:
        raise StoreFailed(f"{path}: {error}") from error
    try:
        # Before the first access: it keeps the WAL's index in memory and other processes out.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        if connection.execute("PRAGMA page_count").fetchone() == (0,):
            # The file can give room back. (Later, to say so would write to it, on a full disk too.)
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        # Debian's SQLite overwrites what is deleted: in the log, that would take as much room as it frees.
        connection.execute("PRAGMA secure_delete = FAST")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -2048")  # KiB: reads come from the watch cache
        connection.execute("PRAGMA journal_size_limit = 16777216")
        connection.execute("BEGIN IMMEDIATE")
        _check_schema(connection)
        connection.execute("COMMIT")
        _learn_to_shrink(connection, path)
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise StoreFailed(
                f"{path} is in use by another process: stop the API server that has it open"
            ) from error
        raise StoreFailed(f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:
        connection.close()
        raise StoreFailed(f"{path}: {error}") from error
    except StoreFailed as error:
        connection.close()
        raise StoreFailed(f"{path}: {error}") from None
    return connection


def _learn_to_shrink(connection: sqlite3.Connection, path: Path) -> None:
    """Write a file anew that was made before files could give room back, if there is room for that."""
    (mode,) = connection.execute("PRAGMA auto_vacuum").fetchone()
    disk = os.statvfs(path.parent)
    if mode != _INCREMENTAL and disk.f_bavail * disk.f_frsize > 3 * path.stat().st_size:
        connection.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
        connection.execute("VACUUM")


def _check_schema(connection: sqlite3.Connection) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    if application == 0 and version == 0 and tables == 0:
        for statement in _SCHEMA.split(";\n"):
            if statement.strip():
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    elif application != _APPLICATION_ID:
        raise StoreFailed("this is not a wellhead database")
    elif version != SCHEMA_VERSION:
        raise StoreFailed(
            f"its schema has version {version}, this wellhead reads version {SCHEMA_VERSION}:"
            " use the wellhead that wrote it"
        )
