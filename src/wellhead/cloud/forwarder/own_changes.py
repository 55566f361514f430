"""Keeping the news of our own changes away from those who listen for others'.

The kernel tells each listener of every element that a transaction touches. A large transaction of ours would
overflow the listener's buffer, which could then not tell what else it has missed.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import threading
from collections import deque

_SO_ATTACH_FILTER = 26
_INSTRUCTION = struct.Struct("=HBBI")  # struct sock_filter (linux/filter.h): code, jump if true, if false, k
_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_PORT_OFFSET = 12  # nlmsg_pid, whose request it was: nft's socket is bound to the number of its process
_ALL, _NOTHING = 0xFFFFFFFF, 0
_REMEMBERED = 16


class OwnChanges:
    """The nft processes that change tables for us in one network namespace, of both families. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: deque[int] = deque(maxlen=_REMEMBERED)
        self._listeners: set[socket.socket] = set()

    def hide_from(self, listener: socket.socket) -> None:
        """Have the kernel drop the news of our changes before they take room in this socket's buffer."""
        with self._lock:
            self._listeners.add(listener)
            _attach(listener, self._processes)

    def forget(self, listener: socket.socket) -> None:
        """The socket is about to be closed."""
        with self._lock:
            self._listeners.discard(listener)

    def announce(self, process: int) -> None:
        """A process of this number is going to make a change for us."""
        with self._lock:
            self._processes.append(process)
            for listener in self._listeners:
                _attach(listener, self._processes)


def _attach(listener: socket.socket, processes: deque[int]) -> None:
    """Replace the socket's filter, in one step."""
    program = _INSTRUCTION.pack(_LOAD_WORD, 0, 0, _PORT_OFFSET)
    for index, process in enumerate(processes):
        # The filter's words are in network order, netlink's numbers in the machine's.
        number = int.from_bytes(struct.pack("=I", process), "big")
        program += _INSTRUCTION.pack(_JUMP_IF_EQUAL, len(processes) - index, 0, number)
    program += _INSTRUCTION.pack(_RETURN, 0, 0, _ALL) + _INSTRUCTION.pack(_RETURN, 0, 0, _NOTHING)
    memory = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: the number of instructions, and where they are.
    described = struct.pack("@HP", len(program) // _INSTRUCTION.size, ctypes.addressof(memory))
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)
