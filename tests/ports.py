"""Ports for programs that are told theirs, and open it later, or again after they were killed."""

from __future__ import annotations

import random
import socket

_NOT_GIVEN_TO_CLIENTS = range(10_000, 30_000)
"""Whoever connects is given a port beyond: one of those may be another's when it is opened."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has."""
    while True:
        port = random.choice(_NOT_GIVEN_TO_CLIENTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
