"""What an image that somebody else made may cost, and what is wrong with one that can't be taken."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    """The most that one image may have: bytes of its files (and of its archive), and files in its layers."""

    size: int = 32 << 30
    entries: int = 2_000_000


DEFAULT = Bounds()


class ImageError(Exception):
    """An archive or an image can't be used; the message says which part of it, why, and what helps."""
