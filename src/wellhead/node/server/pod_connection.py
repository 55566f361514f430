"""A connection to a port inside of a pod, whatever address the program there listens on."""

from __future__ import annotations

import asyncio
import socket

from wellhead.linux import namespaces
from wellhead.node.pods.state import PodState

BLOCK = 32768  # bytes that are passed on at once
_TIMEOUT = 10.0  # seconds


async def connect(state: PodState, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a loopback address of the pod, from inside its network namespace. Raises OSError."""
    return await asyncio.open_connection(sock=await asyncio.to_thread(_connect, state, port))


def _connect(state: PodState, port: int) -> socket.socket:
    namespace = state.sandbox.namespaces(state.pod).get("network")
    if namespace is None:
        return _dial(port)
    with namespaces.inside(namespace, namespaces.CLONE_NEWNET):
        return _dial(port)


def _dial(port: int) -> socket.socket:
    """IPv4's first, as containerd does; what is said of a failure is about that one."""
    try:
        return socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT)
    except ConnectionRefusedError as refused:
        try:
            return socket.create_connection(("::1", port), timeout=_TIMEOUT)
        except OSError:
            raise refused from None
