"""Why something isn't done."""

from __future__ import annotations


class Cannot(Exception):
    """What can't be done here; the message says why."""

    def __init__(self, message: str, status: int = 403) -> None:
        super().__init__(message)
        self.status = status


class CannotAsk(ValueError):
    """A question that can't be answered as it was put; the message says why."""


class Busy(Exception):
    """Too much of the like is asked for already."""
