"""How `wellhead apiserver` speaks to an etcd, as options named as kube-apiserver's are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from wellhead.storage.etcd.options import COMPACTION_SECONDS, PREFIX, EtcdOptions

F = TypeVar("F", bound=Callable[..., Any])

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


def etcd_options(command: F) -> F:
    """Add --etcd-…, passed as `etcd_…`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--etcd-cafile", type=_FILE, help="Who vouches for etcd's servers (PEM)."),
    click.option("--etcd-certfile", type=_FILE, help="Whom to be towards etcd (PEM)."),
    click.option("--etcd-keyfile", type=_FILE, help="Its key (PEM)."),
    click.option(
        "--etcd-prefix", default=PREFIX, show_default=True, help="What all keys in etcd begin with."
    ),
    click.option(
        "--etcd-compaction-interval",
        type=click.FloatRange(min=0),
        default=COMPACTION_SECONDS,
        show_default=True,
        metavar="SECONDS",
        help="How often etcd's history is cut to what it was that long ago; 0: never, others do it.",
    ),
)


def etcd_of(options: dict[str, Any]) -> EtcdOptions:
    """What the options say; takes them out."""
    return EtcdOptions(
        prefix=options.pop("etcd_prefix"),
        ca_file=options.pop("etcd_cafile"),
        cert_file=options.pop("etcd_certfile"),
        key_file=options.pop("etcd_keyfile"),
        compaction_seconds=options.pop("etcd_compaction_interval"),
    )
