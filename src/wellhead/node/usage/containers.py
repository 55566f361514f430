"""The running containers of a node's pods, for whoever measures them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wellhead.node.pods.state import PodState


def first_processes(states: Iterable[PodState]) -> Iterator[tuple[str, int]]:
    """(container id, pid of its first process). Reads a small file for each."""
    for state in states:
        for name, record in list(state.record.containers.items()):
            attempt = record.current
            if attempt is None or not attempt.running:
                continue
            try:
                yield attempt.id, int((state.bundle(name, attempt.number) / "pid").read_text())
            except (OSError, ValueError):
                continue
