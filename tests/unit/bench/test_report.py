"""What `make bench` prints fits a terminal of 80 columns, and no value is broken."""

from __future__ import annotations

import io

from rich.console import Console

from bench.apiserver import targets as apiserver
from bench.measure import Result, median, number
from bench.proxy import targets as proxy
from bench.proxy.growth import Point
from bench.report import WIDTH, served_table, show
from bench.targets import compare

_LONG = "raw EndpointSlice to kernel, in process, with a word or two about how that was done"
_ALONE = [
    median("wellhead up, three nodes, to the last node Ready", [1.9, 2.1, 2.3], "s", "from nothing"),
    Result("PSS, whole cluster", 1234.5, "MiB", "sum over its processes, idle, no pods"),
]
_TWO_CASES = [
    Result(name, value, "ms", _LONG, case=case)
    for case, value in (("nftables, 10,000", 0.123), ("nftables, 50,000", 123456.0))
    for name in (
        "one change, p99",
        "÷ the same directly to the pod",
        "first sync, objects at hand",
        "one new Service",
        "resident memory",
    )
]
_MANY_CASES = [
    Result(name, 0.987, unit, "rounds in turn; median of ratios", case=f"{kind}, {where}")
    for kind in ("masqueraded", "preserved", "local")
    for where in ("here", "elsewhere")
    for name, unit in (
        ("download", "Gbit/s"),
        ("new connections", "1/s"),
        ("download ÷ masqueraded", ""),
        ("connections ÷ masqueraded", ""),
    )
]
_POINTS = [Point("iptables", 50_000, 123.4, 5.678)]


def printed() -> list[str]:
    file = io.StringIO()
    subjects = {"A cluster": _ALONE, "The service proxy": _TWO_CASES, "Client addresses": _MANY_CASES}
    results = [each for rows in subjects.values() for each in rows]
    show(
        Console(width=WIDTH, file=file),
        {"cpu": "2 x any"},
        subjects,
        _POINTS,
        compare(proxy.TARGETS, results),
    )
    return file.getvalue().splitlines()


def test_no_line_is_longer_than_a_terminal_is_wide() -> None:
    assert [line for line in printed() if len(line.rstrip()) > WIDTH] == []


def test_every_value_stands_whole_in_the_row_of_its_name() -> None:
    lines = printed()
    for row in (*_ALONE, *_TWO_CASES):
        begin = row.name[:20]
        assert any(line[1:].startswith(begin) and number(row.value) in line.split() for line in lines), row
    for case in {row.case for row in _MANY_CASES}:
        (line,) = (each for each in lines if each[1:].startswith(case))
        assert line.split()[-4:] == ["0.987"] * 4


def test_values_are_aligned_at_their_right_end() -> None:
    ends = {
        line.index(value) + len(value) for line in printed() for value in ("2.1 ", "1,234 ") if value in line
    }
    assert len(ends) == 1


def test_how_it_was_measured_is_told_below_once_for_all_that_was_measured_alike() -> None:
    text = " ".join(" ".join(printed()).split())
    assert text.count(_LONG) == 1
    assert "PSS, whole cluster: sum over its processes, idle, no pods." in text


def test_the_api_servers_targets_are_told_with_upstreams_figures_in_brackets() -> None:
    rows = [
        Result("list of 10,000", 0.04, "s", "", case="SQLite"),
        Result("PSS with 10,000", 151.0, "MiB", "", case="SQLite"),
    ]
    file = io.StringIO()
    Console(width=WIDTH, file=file).print(served_table(compare(apiserver.TARGETS, rows)))
    lines = [line.split() for line in file.getvalue().splitlines()]
    assert ["list", "of", "10,000", "≤", "0.05", "0.04", "[0.12]", "s", "met"] in lines
    assert ["memory", "with", "10,000", "≤", "150", "151", "[609]", "MiB", "missed"] in lines
    assert any("[kube-apiserver" in line for line in lines)
