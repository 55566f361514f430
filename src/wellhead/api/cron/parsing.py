"""Reading a schedule: five fields, a descriptor, or `@every`.

Source: parser.go of robfig/cron; its words, too, since they end up in messages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from wellhead.api.cron.schedule import Every, Field, Schedule, Times
from wellhead.api.cron.zones import Clock, find_zone
from wellhead.api.duration import Duration

_INTEGER = re.compile("[+-]?[0-9]+", re.ASCII)
_MOST = 2**63 - 1


@dataclass(frozen=True)
class _Bounds:
    low: int
    high: int
    names: tuple[str, ...] = ()
    """In the order of their numbers, the first one being `low`."""


_MINUTES = _Bounds(0, 59)
_HOURS = _Bounds(0, 23)
_DAYS = _Bounds(1, 31)
_MONTHS = _Bounds(1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"))
_WEEKDAYS = _Bounds(0, 6, ("sun", "mon", "tue", "wed", "thu", "fri", "sat"))
_FIELDS = (_MINUTES, _HOURS, _DAYS, _MONTHS, _WEEKDAYS)

_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


def parse_schedule(text: str, zone: str = "") -> Schedule:
    """The schedule, on the clock of `zone` unless it names one itself (`TZ=…`). Raises ValueError."""
    if not text:
        raise ValueError("empty spec string")
    place: ZoneInfo | None = None
    if text.startswith(("TZ=", "CRON_TZ=")):
        head, blank, rest = text.partition(" ")
        if not blank:
            raise ValueError("invalid schedule format: runtime error: slice bounds out of range [:-1]")
        name = head.partition("=")[2]
        try:
            place = find_zone(name)
        except ValueError as error:
            raise ValueError(f"provided bad location {name}: {error}") from None
        text = rest.strip()
    clock = Clock(place or find_zone(zone))
    if text.startswith("@every "):
        return Every(_seconds_of(text))
    if text.startswith("@"):
        if text not in _DESCRIPTORS:
            raise ValueError(f"unrecognized descriptor: {text}")
        text = _DESCRIPTORS[text]
    fields = text.split()
    if len(fields) != len(_FIELDS):
        found = f"{len(fields)}: [{' '.join(fields)}]"
        raise ValueError(f"expected exactly {len(_FIELDS)} fields, found {found}")
    minute, hour, day, month, weekday = map(_field, fields, _FIELDS)
    return Times(minute, hour, day, month, weekday, clock)


def _seconds_of(text: str) -> int:
    value = text.removeprefix("@every ")
    try:
        seconds = Duration.parse(value).seconds
    except ValueError:
        raise ValueError(f"failed to parse duration {text}: {_go_complaint(value)}") from None
    return max(1, int(seconds))


def _go_complaint(text: str) -> str:
    """What time.ParseDuration says."""
    numbers = re.fullmatch(r"[+-]?(?:[0-9.]+[a-zµμ]+)*?[0-9.]+(?P<unit>[^0-9.]*).*", text)
    if numbers is None or not re.search("[0-9]", text):
        return f'time: invalid duration "{text}"'
    if not numbers["unit"]:
        return f'time: missing unit in duration "{text}"'
    return f'time: unknown unit "{numbers["unit"]}" in duration "{text}"'


def _field(text: str, bounds: _Bounds) -> Field:
    parts = [_range(part, bounds) for part in text.split(",") if part]
    return Field(frozenset().union(*(part.values for part in parts)), any(part.star for part in parts))


def _range(text: str, bounds: _Bounds) -> Field:
    span, *steps = text.split("/")
    first, *lasts = span.split("-")
    star = first in ("*", "?")
    if star:
        low, high = bounds.low, bounds.high
    else:
        low = high = _number_or_name(first, bounds)
        if len(lasts) > 1:
            raise ValueError(f"too many hyphens: {text}")
        if lasts:
            high = _number_or_name(lasts[0], bounds)
    if len(steps) > 1:
        raise ValueError(f"too many slashes: {text}")
    step = 1
    if steps:
        step = _number(steps[0])
        if not lasts:  # "N/step" stands for "N-max/step"
            high = bounds.high
        star = star and step <= 1
    if low < bounds.low:
        raise ValueError(f"beginning of range ({low}) below minimum ({bounds.low}): {text}")
    if high > bounds.high:
        raise ValueError(f"end of range ({high}) above maximum ({bounds.high}): {text}")
    if low > high:
        raise ValueError(f"beginning of range ({low}) beyond end of range ({high}): {text}")
    if step == 0:
        raise ValueError(f"step of range should be a positive number: {text}")
    return Field(frozenset(range(low, high + 1, step)), star)


def _number_or_name(text: str, bounds: _Bounds) -> int:
    if text.lower() in bounds.names:
        return bounds.low + bounds.names.index(text.lower())
    return _number(text)


def _number(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    number = int(text) if len(text) < 25 else _MOST + 1
    if abs(number) > _MOST:
        why = "value out of range"
        raise ValueError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": {why}')
    if number < 0:
        raise ValueError(f"negative number ({number}) not allowed: {text}")
    return number
