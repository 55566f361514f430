"""Durations as Go spells them, and with it every API object and flag: `30s`, `1m30s`, `1.5h`, `500ms`.

Source: time.ParseDuration and time.Duration.String; metav1.Duration. Ages, as kubectl shows them, are others:
`ages.py`.
"""

from __future__ import annotations

import re
from typing import Final

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_MOST = 2**63 / 1e9  # seconds: Go counts nanoseconds in 64 bits
# With one way only to match a number: a long one without a unit is refused in a time that its length says.
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_SHOWN = 100  # characters


class Duration:
    """A span of time, in seconds. No dataclass: the decoder would take those for objects with fields."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds: Final = float(seconds)

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Read what Go's time.ParseDuration reads.

        Raises:
            ValueError: it is no duration; a number needs a unit, unless it is 0.
        """
        sign, rest = (-1.0, text[1:]) if text[:1] == "-" else (1.0, text.removeprefix("+"))
        if rest == "0":
            return cls(0.0)
        seconds, at = 0.0, 0
        while at < len(rest) or not rest:
            part = _PART.match(rest, at)
            if part is None:
                raise ValueError(f"{text[:_SHOWN]!r} is not a duration such as 30s, 1m30s or 500ms")
            seconds += float(part[1]) * _UNITS[part[2]]
            at = part.end()
        if seconds >= _MOST:
            raise ValueError(f"{text[:_SHOWN]!r} is not a duration: it is longer than 292 years")
        return cls(sign * seconds)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Duration) and self.seconds == other.seconds

    def __hash__(self) -> int:
        return hash(self.seconds)

    def __repr__(self) -> str:
        return f"Duration({self.seconds:g})"

    def __str__(self) -> str:
        """As Go prints it: `1m30s`, `24h0m0s`, `500ms`, `0s`."""
        seconds, sign = abs(self.seconds), "-" if self.seconds < 0 else ""
        if 0 < seconds < 1:
            for unit, size in (("ms", 1e-3), ("µs", 1e-6)):
                if seconds >= size:
                    return f"{sign}{seconds / size:.6g}{unit}"
            return f"{sign}{seconds / 1e-9:.6g}ns"
        hours, rest = divmod(seconds, 3600)
        minutes, rest = divmod(rest, 60)
        text = f"{rest:.9f}".rstrip("0").rstrip(".") + "s"
        if hours:
            return f"{sign}{hours:.0f}h{minutes:.0f}m{text}"
        return f"{sign}{minutes:.0f}m{text}" if minutes else sign + text
