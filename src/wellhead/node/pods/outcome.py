"""What a probe finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """`message` says what is wrong. What is ok and has one is a warning."""

    ok: bool
    message: str = ""
