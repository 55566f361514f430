"""Time zones by name, and the rules by which Go's clock is set in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1)


@lru_cache(maxsize=256)
def find_zone(name: str) -> ZoneInfo:
    """The zone of that name; UTC for an empty one. Raises ValueError in Go's words."""
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, OSError, ValueError):
        raise ValueError(f"unknown time zone {name}") from None


class Clock:
    """A zone's clock: seconds since 1970 to what the clock shows, and back."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone

    def shown(self, seconds: int) -> datetime:
        """What the clock shows (without a zone)."""
        return (datetime.fromtimestamp(seconds, UTC).astimezone(self._zone)).replace(tzinfo=None)

    def seconds(self, shown: datetime) -> int:
        """When the clock shows that. Of two times, the one that Go's time.Date takes; of none, one nearby."""
        naive = (shown - _EPOCH) // timedelta(seconds=1)
        offset = self._offset(naive)
        if offset and self._offset(naive - offset) != offset:
            offset = self._offset(naive - offset)
        return naive - offset

    def _offset(self, seconds: int) -> int:
        shown = datetime.fromtimestamp(seconds, UTC).astimezone(self._zone)
        return int((shown.utcoffset() or timedelta()).total_seconds())
