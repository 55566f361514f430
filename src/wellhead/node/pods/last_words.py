"""What a container leaves behind: its termination message, and logs until they are two runs old."""

from __future__ import annotations

import logging
from pathlib import Path

from wellhead.api.meta import Obj
from wellhead.linux import paths, trees
from wellhead.node.pods.record import Attempt
from wellhead.node.pods.state import PodState

_log = logging.getLogger(__name__)

_MESSAGE_BYTES = 4096
_LOG_BYTES, _LOG_LINES = 2048, 80
# What 80 entries with 2048 bytes of text take at most, and a long one before them.
_LOG_END = 32 << 10


def read(state: PodState, container: Obj, attempt: Attempt) -> str:
    """The termination message: from its file, or the log's end if the policy says so and it failed.

    Blocks, but not for long: of what the container wrote, only the beginning or the end is read, and nothing
    but a regular file in the pod's directory.
    """
    name = container["name"]
    message = _read(state.directory, state.termination_log(name, attempt.number), _MESSAGE_BYTES)
    policy = container.get("terminationMessagePolicy")
    if not message and policy == "FallbackToLogsOnError" and attempt.exit_code != 0:
        entries = _read(state.directory, state.log(name, attempt.number), -_LOG_END).split(b"\n")
        parts = [entry.split(b" ", 3) for entry in entries if entry.count(b" ") >= 3]
        # A line that isn't over (P) has no newline.
        texts = [text if tag == b"P" else text + b"\n" for _, _, tag, text in parts]
        message = b"".join(texts[-_LOG_LINES:])[-_LOG_BYTES:]
    return message.decode(errors="replace")


def forget_before(state: PodState, name: str, number: int) -> None:
    """Delete what is left of the runs before `number`. Blocks."""
    for directory in (state.log(name, 0).parent, state.bundle(name, 0).parent):
        if not directory.exists():
            continue
        for path in directory.iterdir():
            if int(path.name.partition(".")[0]) < number:
                _remove(path)


def _read(directory: Path, path: Path, limit: int) -> bytes:
    with paths.directory(directory) as top:
        try:
            return paths.read_file(top, str(path.relative_to(directory)), limit)
        except FileNotFoundError:
            return b""
        except OSError as error:
            _log.warning("%s: %s", path, error)
            return b""


def _remove(path: Path) -> None:
    try:
        trees.remove(path)
    except OSError as error:
        _log.warning("removing %s: %s", path, error)
