"""What a measured value has to reach."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """At most, or at least, so much; with neither, any value is good enough."""

    at_most: float | None = None
    at_least: float | None = None

    @property
    def wanted(self) -> str:
        if self.at_most is not None:
            return f"≤ {self.at_most:g}"
        return f"≥ {self.at_least:g}" if self.at_least is not None else ""

    def verdict(self, value: float) -> str:
        """Whether `value` is good enough; empty where nothing is wanted."""
        if not self.wanted:
            return ""
        met = (self.at_most is None or value <= self.at_most) and (
            self.at_least is None or value >= self.at_least
        )
        return "met" if met else "missed"
