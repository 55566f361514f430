"""What a SQLite log of writes says: the records as of a revision, one record, the writes after a revision."""

from __future__ import annotations

import sqlite3

from wellhead.storage.store import Change, Record, StoreKey

# SQLite takes a bare column beside MAX() from the row that holds the maximum (lang_select.html, 2.5).
_AS_OF = """
SELECT MAX(revision), resource, namespace, name, value FROM log
WHERE revision <= ? GROUP BY resource, namespace, name HAVING value IS NOT NULL
"""
_NEWEST = """
SELECT revision, value FROM log
WHERE resource = ? AND namespace = ? AND name = ? ORDER BY revision DESC LIMIT 1
"""
_AFTER = "SELECT revision, resource, namespace, name, value FROM log WHERE revision > ? ORDER BY revision"


def records_at(connection: sqlite3.Connection, revision: int) -> list[Record]:
    """Everything as it was then."""
    rows = connection.execute(_AS_OF, (revision,))
    return [Record(StoreKey(*key), value, at) for at, *key, value in rows]


def record_of(connection: sqlite3.Connection, key: StoreKey) -> Record | None:
    """What was written last under the key."""
    row = connection.execute(_NEWEST, key).fetchone()
    return Record(key, row[1], row[0]) if row is not None and row[1] is not None else None


def changes_after(connection: sqlite3.Connection, revision: int) -> list[Change]:
    """The writes after the revision, in order."""
    rows = connection.execute(_AFTER, (revision,))
    return [Change(at, StoreKey(*key), value) for at, *key, value in rows]
