"""What the supervisor tries until it works."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable

from wellhead.lab.cluster import LabError
from wellhead.lab.restarts import Restarts

log = logging.getLogger("wellhead.supervisor")


class Step:
    """Something to be done; what prevents it is kept to be told, and it is tried again later."""

    def __init__(self) -> None:
        self.problem = ""
        self._restarts = Restarts()

    @property
    def not_before(self) -> float:
        """When it is to be tried again, by time.monotonic()."""
        return self._restarts.not_before

    def take(self, step: Callable[[], None], now: float) -> bool:
        """Do it, unless it has failed and isn't due again. Returns whether it is done."""
        if not self._restarts.is_due(now):
            return False
        try:
            step()
        except (OSError, LabError, ValueError) as error:
            self.problem = _explained(error)
            self._restarts.failed(self.problem, 0.0)
            log.error("%s", error)
            return False
        self.problem, self._restarts = "", Restarts()
        return True


def _explained(error: Exception) -> str:
    """What is wrong, and what to do about it if that isn't in the message."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{error.filename or 'the disk'}: {error.strerror}; make room there"
    return str(error)
