"""Where the objects come from: files, or the API server of the current kubeconfig."""

from __future__ import annotations

from collections.abc import Sequence

from wellhead.paths.world import World
from wellhead.snapshot.files import Unreadable, read_files


class NoSource(Exception):
    """There is nothing to read from; the message says why and what to do."""


def world_of(
    files: Sequence[str], kubeconfig: str | None, namespace: str, context: str | None = None
) -> World:
    """The world of files, or, without any, of a cluster. Raises NoSource."""
    if files:
        try:
            return World(read_files(files))
        except Unreadable as error:
            raise NoSource(str(error)) from error
    from wellhead.snapshot.cluster import reading_of  # an HTTP client takes long to import

    reading = reading_of(kubeconfig, namespace, context)
    return World(reading.entries(), reading.unread, is_cluster=True)
