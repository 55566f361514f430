"""The audit log's file: begun anew when it is large, and which old ones go."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

from wellhead.apiserver.audit.log_file import LogFile, expired
from wellhead.apiserver.audit.options import AuditOptions

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def old(*stamps: str) -> list[Path]:
    return [Path(f"/log/audit-{stamp}.log") for stamp in stamps]


def test_the_newest_backups_stay() -> None:
    files = old("2026-11-27T00-00-00.000", "2026-11-28T00-00-00.000", "2026-11-26T00-00-00.000")
    options = AuditOptions(log_path="/log/audit.log", log_max_backups=2)
    assert expired(files, options, NOW) == old("2026-11-26T00-00-00.000")


def test_backups_go_after_so_many_days() -> None:
    files = old("2026-11-27T13-00-00.000", "2026-11-26T11-00-00.000")
    options = AuditOptions(log_path="/log/audit.log", log_max_age=1)
    assert expired(files, options, NOW) == old("2026-11-26T11-00-00.000")


def test_files_that_are_no_backups_stay() -> None:
    options = AuditOptions(log_path="/log/audit.log", log_max_backups=1, log_max_age=1)
    assert expired([Path("/log/audit-of-others.log")], options, NOW) == []


def test_without_bounds_everything_stays() -> None:
    files = old("2020-01-01T00-00-00.000", "2021-01-01T00-00-00.000")
    assert expired(files, AuditOptions(log_path="/log/audit.log"), NOW) == []


async def test_a_large_file_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "made" / "audit.log"
    log = LogFile(AuditOptions(log_path=str(path), log_max_size=1, log_compress=True))
    log.write([b"a" * 700_000, b"b" * 700_000, b"c"])
    await log.close()
    assert path.read_bytes() == b"b" * 700_000 + b"\nc\n"
    assert path.stat().st_mode & 0o777 == 0o600
    (backup,) = path.parent.glob("audit-*.log.gz")
    assert gzip.decompress(backup.read_bytes()) == b"a" * 700_000 + b"\n"
    # What is there is gone on with.
    again = LogFile(AuditOptions(log_path=str(path)))
    await again.send([b"d"])
    await again.close()
    assert path.read_bytes().endswith(b"\nc\nd\n")
