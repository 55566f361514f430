"""The sizes of terminals."""

from __future__ import annotations

import fcntl
import os
import struct
import termios


def set_size(terminal: int, rows: int, columns: int) -> None:
    """Set a terminal's size, of which the kernel tells those who use it. Raises OSError if it is none."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def set_size_of(process: int, rows: int, columns: int) -> None:
    """Set the size of the terminal that a process reads from. Raises OSError if it is gone or has none."""
    terminal = os.open(f"/proc/{process}/fd/0", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        set_size(terminal, rows, columns)
    finally:
        os.close(terminal)
