"""What a container leaves behind: its termination message, and logs until they are two runs old."""

from __future__ import annotations

import shutil
from collections import deque

from wellhead.api.meta import Obj
from wellhead.node.pods.record import Attempt
from wellhead.node.pods.state import PodState

_MESSAGE_BYTES = 4096
_LOG_BYTES, _LOG_LINES = 2048, 80


def read(state: PodState, container: Obj, attempt: Attempt) -> str:
    """The termination message: from its file, or the log's end if the policy says so and it failed."""
    name = container["name"]
    message = ""
    path = state.termination_log(name, attempt.number)
    if path.exists():
        with path.open("rb") as file:
            message = file.read(_MESSAGE_BYTES).decode(errors="replace")
    policy = container.get("terminationMessagePolicy")
    if not message and policy == "FallbackToLogsOnError" and attempt.exit_code != 0:
        log = state.log(name, attempt.number)
        if log.exists():
            with log.open("rb") as file:
                lines = deque(file, _LOG_LINES)
            text = b"".join(line.split(b" ", 3)[-1] for line in lines if line.count(b" ") >= 3)
            message = text[-_LOG_BYTES:].decode(errors="replace")
    return message


def forget_before(state: PodState, name: str, number: int) -> None:
    """Delete what is left of the runs before `number`."""
    for directory in (state.log(name, 0).parent, state.bundle(name, 0).parent):
        if not directory.exists():
            continue
        for path in directory.iterdir():
            if int(path.name.partition(".")[0]) < number:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
