"""When a schedule's next time is.

Source: SpecSchedule.Next and ConstantDelaySchedule.Next of robfig/cron. The clock is moved on hour by hour
and minute by minute, so an hour that it skips never comes, and one that it repeats comes twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from wellhead.api.cron.zones import Clock

_YEARS = 5
"""A schedule without a time in so many years has none."""


class Schedule(Protocol):
    """What a CronJob's schedule is read as."""

    def next(self, after: datetime) -> datetime | None:
        """The first time after `after`, in UTC; None if there is none in five years."""


@dataclass(frozen=True)
class Every:
    """`@every`: so many seconds after the last time, which is what `after` is."""

    seconds: int

    def next(self, after: datetime) -> datetime | None:
        return (after + timedelta(seconds=self.seconds)).astimezone(UTC).replace(microsecond=0)


@dataclass(frozen=True)
class Field:
    """Values that match; whether the field was a star, which tells how days go together."""

    values: frozenset[int]
    star: bool = False

    def __contains__(self, value: int) -> bool:
        return value in self.values


@dataclass(frozen=True)
class Times:
    """Five fields, on the clock of a zone."""

    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field
    clock: Clock

    def next(self, after: datetime) -> datetime | None:
        seconds = int(after.timestamp()) + 1
        found = _Search(self, seconds).run()
        return None if found is None else datetime.fromtimestamp(found, UTC)

    def matches_day(self, shown: datetime) -> bool:
        """Day of month and day of week must both match if one is a star, else either will do."""
        day, weekday = shown.day in self.day, (shown.weekday() + 1) % 7 in self.weekday
        return (day and weekday) if self.day.star or self.weekday.star else (day or weekday)


class _Search:
    """One search. Moving a field on sets the smaller ones back, once; a field that wraps begins it anew."""

    def __init__(self, times: Times, seconds: int) -> None:
        self._times, self._seconds = times, seconds
        self._fresh = True
        self._last_year = self._shown().year + _YEARS

    def _shown(self) -> datetime:
        return self._times.clock.shown(self._seconds)

    def _set(self, shown: datetime) -> None:
        self._seconds = self._times.clock.seconds(shown)

    def run(self) -> int | None:
        steps = (self._month, self._day, self._hour, self._minute)
        while self._shown().year <= self._last_year:
            if all(step() for step in steps) and self._second():
                return self._seconds
        return None

    def _month(self) -> bool:
        while (shown := self._shown()).month not in self._times.month:
            if self._fresh:
                self._fresh = False
                shown = shown.replace(day=1, hour=0, minute=0, second=0)
            self._set(_next_month(shown))
            if self._shown().month == 1:
                return False
        return True

    def _day(self) -> bool:
        while not self._times.matches_day(shown := self._shown()):
            if self._fresh:
                self._fresh = False
                self._set(shown.replace(hour=0, minute=0, second=0))
                shown = self._shown()
            self._set(shown + timedelta(days=1))
            # Where a clock change takes midnight away, the hour is another.
            hour = self._shown().hour
            self._seconds += 3600 * ((24 - hour) if hour > 12 else -hour)
            if self._shown().day == 1:
                return False
        return True

    def _hour(self) -> bool:
        while (shown := self._shown()).hour not in self._times.hour:
            if self._fresh:
                self._fresh = False
                self._set(shown.replace(minute=0, second=0))
            self._seconds += 3600
            if self._shown().hour == 0:
                return False
        return True

    def _minute(self) -> bool:
        while self._shown().minute not in self._times.minute:
            if self._fresh:
                self._fresh = False
                self._seconds -= self._seconds % 60
            self._seconds += 60
            if self._shown().minute == 0:
                return False
        return True

    def _second(self) -> bool:
        while self._shown().second != 0:
            self._fresh = False
            self._seconds += 1
            if self._shown().second == 0:
                return False
        return True


def _next_month(shown: datetime) -> datetime:
    """The same day of the next month; of one that is too short, as many days beyond its end (AddDate)."""
    first = shown.replace(day=1)
    month = (first + timedelta(days=32)).replace(day=1)
    return month + timedelta(days=shown.day - 1)
