"""Schedules as upstream's library reads them and reckons their times."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellhead.api.cron.parsing import parse_schedule
from wellhead.api.cron.zones import Clock, find_zone


def times(text: str, after: str, count: int = 1, zone: str = "") -> list[str]:
    """The next times, on the zone's clock."""
    schedule, time = parse_schedule(text, zone), datetime.fromisoformat(after)
    found = []
    for _ in range(count):
        next_time = schedule.next(time)
        assert next_time is not None
        time = next_time
        found.append(time.astimezone(find_zone(zone)).strftime("%Y-%m-%d %H:%M:%S %Z"))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 0 * * *", "2026-01-02 00:00:00 UTC"),
        ("*/15 * * * *", "2026-01-01 12:45:00 UTC"),
        ("5/15 * * * *", "2026-01-01 12:35:00 UTC"),
        ("0-10/5,31 * * * ?", "2026-01-01 12:31:00 UTC"),
        ("0 9 * * MON-fri", "2026-01-02 09:00:00 UTC"),
        ("0 0 1 feb *", "2026-02-01 00:00:00 UTC"),
        ("0 0 29 2 *", "2028-02-29 00:00:00 UTC"),
        ("0 0 13 * 5", "2026-01-02 00:00:00 UTC"),  # both given: either is enough
        ("0 0 13 * *", "2026-01-13 00:00:00 UTC"),
        ("0 0 */2 * 1", "2026-01-03 00:00:00 UTC"),  # a star with a step is none
        ("0 0 31 * *", "2026-01-31 00:00:00 UTC"),
        ("@hourly", "2026-01-01 13:00:00 UTC"),
        ("@weekly", "2026-01-04 00:00:00 UTC"),
        ("@yearly", "2027-01-01 00:00:00 UTC"),
        ("@every 1h30m", "2026-01-01 14:00:00 UTC"),
        ("@every 100ms", "2026-01-01 12:30:01 UTC"),
        ("TZ=Asia/Tokyo 0 0 * * *", "2026-01-01 15:00:00 UTC"),
        ("CRON_TZ=Asia/Tokyo 0 0 * * *", "2026-01-01 15:00:00 UTC"),
    ],
)
def test_the_next_time(text: str, expected: str) -> None:
    assert times(text, "2026-01-01T12:30:00+00:00") == [expected]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "empty spec string"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("* * * * * *", "expected exactly 5 fields, found 6: [* * * * * *]"),
        ("0 0 * * 7", "end of range (7) above maximum (6): 7"),
        ("0 0 L * *", 'failed to parse int from L: strconv.Atoi: parsing "L": invalid syntax'),
        ("0 0 * * 5#2", 'failed to parse int from 5#2: strconv.Atoi: parsing "5#2": invalid syntax'),
        ("0 0 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("30-10 * * * *", "beginning of range (30) beyond end of range (10): 30-10"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("*/1/2 * * * *", "too many slashes: */1/2"),
        ("@reboot", "unrecognized descriptor: @reboot"),
        ("@every", "unrecognized descriptor: @every"),
        ("@every 1d", 'failed to parse duration @every 1d: time: unknown unit "d" in duration "1d"'),
        ("@every 5", 'failed to parse duration @every 5: time: missing unit in duration "5"'),
        ("@every x", 'failed to parse duration @every x: time: invalid duration "x"'),
        ("TZ=0", "invalid schedule format: runtime error: slice bounds out of range [:-1]"),
        ("TZ=No/Where * * * * *", "provided bad location No/Where: unknown time zone No/Where"),
    ],
)
def test_what_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint) + "$"):
        parse_schedule(text)


def test_a_skipped_hour_is_skipped() -> None:
    # In Berlin, the clock goes from 2:00 to 3:00 on 29 March 2026.
    found = times("30 2 * * *", "2026-03-28T00:00:00+00:00", 2, "Europe/Berlin")
    assert found == ["2026-03-28 02:30:00 CET", "2026-03-30 02:30:00 CEST"]
    found = times("30 * * * *", "2026-03-29T00:00:00+00:00", 2, "Europe/Berlin")
    assert found == ["2026-03-29 01:30:00 CET", "2026-03-29 03:30:00 CEST"]


def test_a_repeated_hour_counts_twice() -> None:
    # In New York, the clock goes from 2:00 back to 1:00 on 1 November 2026.
    found = times("30 1 * * *", "2026-10-31T12:00:00+00:00", 3, "America/New_York")
    assert found == ["2026-11-01 01:30:00 EDT", "2026-11-01 01:30:00 EST", "2026-11-02 01:30:00 EST"]


def test_a_midnight_that_is_skipped() -> None:
    # In São Paulo, 4 November 2018 began at one o'clock.
    found = times("0 0 * * *", "2018-11-02T12:00:00+00:00", 2, "America/Sao_Paulo")
    assert found == ["2018-11-03 00:00:00 -03", "2018-11-05 00:00:00 -02"]


def test_a_day_that_never_comes() -> None:
    assert parse_schedule("59 23 31 2 *").next(datetime(2026, 1, 1, tzinfo=UTC)) is None


@st.composite
def fields(draw: st.DrawFn, low: int, high: int) -> tuple[str, set[int]]:
    """A field, and what it stands for."""
    everything = set(range(low, high + 1))
    kind = draw(st.sampled_from(["star", "number", "range", "step", "list"]))
    if kind == "star":
        return "*", everything
    first = draw(st.integers(low, high))
    if kind == "number":
        return str(first), {first}
    if kind == "list":
        other = draw(st.integers(low, high))
        return f"{first},{other}", {first, other}
    step = draw(st.integers(1, 7))
    if kind == "step":
        return f"{first}/{step}", set(range(first, high + 1, step))
    last = draw(st.integers(first, high))
    return f"{first}-{last}", set(range(first, last + 1))


@given(
    fields(0, 59),
    fields(0, 23),
    fields(1, 31),
    fields(1, 12),
    fields(0, 6),
    st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1)),
)
def test_the_next_time_is_the_first_minute_that_matches(
    minute: tuple[str, set[int]],
    hour: tuple[str, set[int]],
    day: tuple[str, set[int]],
    month: tuple[str, set[int]],
    weekday: tuple[str, set[int]],
    start: datetime,
) -> None:
    after = start.replace(tzinfo=UTC)
    text = " ".join(each[0] for each in (minute, hour, day, month, weekday))
    found = parse_schedule(text).next(after)
    stars = "*" in (day[0], weekday[0])

    def matches_day(time: datetime) -> bool:
        both = (time.day in day[1], time.isoweekday() % 7 in weekday[1])
        return time.month in month[1] and (all(both) if stars else any(both))

    expected = None
    candidate = (after + timedelta(minutes=1)).replace(second=0, microsecond=0)
    last_year = candidate.year + 5
    while expected is None and candidate.year <= last_year:
        if not matches_day(candidate):
            candidate = candidate.replace(hour=0, minute=0) + timedelta(days=1)
        elif candidate.hour not in hour[1]:
            candidate = candidate.replace(minute=0) + timedelta(hours=1)
        elif candidate.minute not in minute[1]:
            candidate += timedelta(minutes=1)
        else:
            expected = candidate
    assert found == expected


@given(st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia"]), st.data())
def test_a_clock_shows_the_time_that_it_is_set_to(zone: str, data: st.DataObject) -> None:
    clock = Clock(find_zone(zone))
    seconds = data.draw(st.integers(0, 4_000_000_000))
    shown = clock.shown(seconds)
    assert clock.shown(clock.seconds(shown)) == shown


@given(
    st.sampled_from(["30 2 * * *", "0 * * * *", "*/20 1,2 * * *", "0 0 * * 0", "15 3 1 * *"]),
    st.sampled_from(["Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe"]),
    st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1)),
)
def test_times_only_go_forward_and_match_on_the_zones_clock(text: str, zone: str, start: datetime) -> None:
    schedule, time = parse_schedule(text, zone), start.replace(tzinfo=UTC)
    for _ in range(5):
        following = schedule.next(time)
        assert following is not None
        assert following > time
        shown = following.astimezone(find_zone(zone))
        hours = {"30 2 * * *": {2}, "*/20 1,2 * * *": {1, 2}, "0 0 * * 0": {0}, "15 3 1 * *": {3}}
        assert shown.hour in hours.get(text, range(24))
        assert shown.second == 0
        time = following
