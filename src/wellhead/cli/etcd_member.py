"""`wellhead etcd-member`: an etcd from the image cache, as a component of a cluster on this box."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

import click

from wellhead.images import etcd
from wellhead.images.store import ImageNotFound, ImageStore
from wellhead.lab.cluster import IMAGE_CACHE
from wellhead.linux.syscalls import libc

_PR_SET_PDEATHSIG = 1


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--image-dir", type=click.Path(path_type=Path), default=IMAGE_CACHE, show_default=True)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(image_dir: Path, arguments: tuple[str, ...]) -> None:
    """Run etcd with ARGUMENTS, of the image wellhead.dev/etcd, without a container.

    It ends with this process, however that ends.
    """
    try:
        program = etcd.launcher(ImageStore(image_dir))
    except ImageNotFound:
        raise click.ClickException(f"{etcd.NAME} isn't there: run `wellhead image build`") from None
    parent = os.getpid()
    child = subprocess.Popen([program, *arguments], preexec_fn=lambda: _end_with(parent))
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda number, _: child.send_signal(number))
    sys.exit(child.wait())


def _end_with(parent: int) -> None:
    libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
    if os.getppid() != parent:  # it has ended meanwhile
        os._exit(1)
