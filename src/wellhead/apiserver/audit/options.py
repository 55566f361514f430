"""What the command line says of the audit log: kube-apiserver's --audit-… flags."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

Mode = Literal["batch", "blocking", "blocking-strict"]
MODES: tuple[Mode, ...] = get_args(Mode)
Format = Literal["json", "legacy"]
FORMATS: tuple[Format, ...] = get_args(Format)
STDOUT = "-"
TRUNCATED_EVENT = 100 * 1024
TRUNCATED_BATCH = 10 * 1024 * 1024


@dataclass(frozen=True)
class Delivery:
    """How events go from the requests to one backend."""

    mode: Mode
    """batch: answers don't wait for the event; blocking: they do; blocking-strict: and need it."""
    buffer: int = 10_000
    """Events that may wait; what comes then is lost, and counted."""
    batch_size: int = 400
    batch_seconds: float = 30.0
    """How long a batch that isn't full waits for more."""
    throttle: bool = False
    batches_per_second: float = 10.0
    burst: int = 15
    truncate: bool = False
    longest_event: int = TRUNCATED_EVENT
    """Bytes, where `truncate` is set."""
    longest_batch: int = TRUNCATED_BATCH


@dataclass(frozen=True)
class AuditOptions:
    """Nothing is put down without a policy, or without a backend."""

    policy_file: Path | None = None
    log_path: str = ""
    """A file, or `-` for standard output."""
    log_format: Format = "json"
    log_max_age: int = 0
    """Days that old files are kept; 0: for ever."""
    log_max_backups: int = 0
    """How many old files are kept; 0: all."""
    log_max_size: int = 100
    """Megabytes after which a new file is begun; 0: never."""
    log_compress: bool = False
    log: Delivery = field(default_factory=lambda: Delivery("blocking", batch_size=100, batch_seconds=0.0))
    webhook_config_file: Path | None = None
    webhook_initial_backoff: float = 10.0
    webhook: Delivery = field(default_factory=lambda: Delivery("batch", throttle=True))
