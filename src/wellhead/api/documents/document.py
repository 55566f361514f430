"""What a text holds."""

from __future__ import annotations

from typing import NamedTuple

from wellhead.api.errors import BadRequest, RequestEntityTooLarge
from wellhead.api.limits import Limits


class Document(NamedTuple):
    """A value, and what a strict reader would complain about: keys that are there twice."""

    value: object
    complaints: tuple[str, ...] = ()


class Unreadable(BadRequest):
    """A text that isn't what it says it is; `problem` is what Go's reader says of it."""

    def __init__(self, message: str, problem: str) -> None:
        super().__init__(message)
        self.problem = problem


def too_many_values(limits: Limits) -> RequestEntityTooLarge:
    """The error for a text that holds more than `body_values`."""
    error = RequestEntityTooLarge(f"Request entity too large: it holds more than {limits.body_values} values")
    return error.exceeding("body-values")


def too_deep(what: str, limits: Limits) -> BadRequest:
    """The error for a text that is nested deeper than `nesting`; `what` is the text's language."""
    error = BadRequest(f"{what} parse error: exceeded max depth of {limits.nesting}")
    return error.exceeding("nesting")
