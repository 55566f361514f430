"""What is no fault of ours: where it is said, no traceback is needed."""

from __future__ import annotations


class Refusal(Exception):
    """A component can't do its work here. The message says why and what to do: a traceback tells no more."""
