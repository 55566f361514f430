"""Writing files so that a reader, or the next start after a crash, finds all of one or nothing."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from wellhead.linux.syscalls import checked, libc


def make_private(directory: Path) -> None:
    """Make the directory, if need be with those above it, root's alone: also one that was made otherwise."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if stat.S_IMODE(directory.stat().st_mode) != 0o700:
        directory.chmod(0o700)


def write_atomically(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace `path` by `content` in one step, for a crash of the machine, too. Blocks on the disk.

    Raises:
        OSError: ENOSPC among others; `path` is then as it was.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
            file.flush()
            # Else a crash of the machine soon after can leave an empty file under the final name.
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # write(2) doesn't say
        Path(temporary).unlink(missing_ok=True)
        raise


def put_in_place(made: Path, final: Path) -> None:
    """Give a file or tree its final name in one step, all of it or nothing, as above. Raises OSError."""
    descriptor = os.open(made, os.O_RDONLY)
    try:
        checked(libc.syncfs(descriptor), "syncfs", str(made))
    finally:
        os.close(descriptor)
    made.rename(final)


def write_if_different(path: Path, content: bytes, mode: int = 0o600) -> None:
    """As `write_atomically`, but leave a file alone that says the same already."""
    try:
        if path.read_bytes() == content:
            return
    except FileNotFoundError:
        pass
    write_atomically(path, content, mode)
