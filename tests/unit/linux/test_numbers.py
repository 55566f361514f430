"""What is shared on a machine is chosen in one place, and no two of ours overlap."""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import combinations
from pathlib import Path

import pytest

import wellhead
from wellhead.linux import numbers
from wellhead.linux.numbers import HookPriority, RouteOwner, RulePriority

SOURCES = Path(wellhead.__file__).parent
OWNER = Path(numbers.__file__)

BITS_OF_MARKS = {
    "masquerading": numbers.MASQUERADE_MARK,
    "symmetric return": numbers.RETURN_MARKS,
    "forwarder": (numbers.FORWARDER_MARKS.stop - 1 - numbers.FORWARDER_MARKS.start)
    | numbers.FORWARDER_MARKS.start,
}
TABLES: dict[str, Collection[int]] = {
    "the kernel's": range(256),
    "forwarder": numbers.FORWARDER_TABLES,
    "symmetric return": numbers.RETURN_TABLES,
    "symmetric return's checks": numbers.RETURN_CHECK_TABLES,
}


@pytest.mark.parametrize("pair", list(combinations(BITS_OF_MARKS, 2)), ids=" and ".join)
def test_no_two_share_a_bit_of_a_mark(pair: tuple[str, str]) -> None:
    one, other = (BITS_OF_MARKS[each] for each in pair)
    assert one & other == 0


def test_the_forwarders_mask_tells_its_marks_from_all_others() -> None:
    marks, mask = numbers.FORWARDER_MARKS, numbers.FORWARDER_MARK_MASK
    assert {each & mask for each in marks} == {marks.start}
    assert (marks.start - 1) & mask != marks.start
    assert marks.stop & mask != marks.start


@pytest.mark.parametrize("pair", list(combinations(TABLES, 2)), ids=" and ".join)
def test_no_two_share_a_routing_table(pair: tuple[str, str]) -> None:
    one, other = (TABLES[each] for each in pair)
    assert not set(one) & set(other)
    assert all(0 <= each < 1 << 32 for each in (*one, *other))


@pytest.mark.parametrize("kind", [RouteOwner, RulePriority, HookPriority, numbers.Table])
def test_no_two_have_the_same(kind: type[RouteOwner]) -> None:
    assert len(kind.__members__) == len(list(kind))


def test_rules_come_after_the_local_table_and_before_the_main_one() -> None:
    assert all(0 < each < 32766 for each in RulePriority)


def test_zones_fit_into_conntracks_sixteen_bits() -> None:
    assert 0 < numbers.RETURN_ZONES.start < numbers.RETURN_ZONES.stop <= 1 << 16
    assert len(numbers.RETURN_ZONES) == len(numbers.RETURN_TABLES)


ELSEWHERE = {
    "a mark": r"mark.*\b0x(?!F{8}|0\b)[0-9a-f]|\b0x(5748|3FFF)0000\b",
    "a route's owner": r"_PROTOCOL = (0x57|8\d|9\d)\b",
    "a table's name": r"table.*\"wellhead(-\w+)?\"",
    "the tunnel": r"\b7687\b|\b4799\b|\"wellhead-vxlan\"",
}


@pytest.mark.parametrize("what", ELSEWHERE)
def test_they_are_chosen_nowhere_else(what: str) -> None:
    found = [
        f"{file.relative_to(SOURCES)}: {line.strip()}"
        for file in SOURCES.rglob("*.py")
        if file != OWNER
        for line in file.read_text().splitlines()
        if re.search(ELSEWHERE[what], line, re.IGNORECASE)
    ]
    assert found == []


PAGE = Path(__file__).parents[3] / "docs" / "architecture.md"


def test_the_page_about_them_has_them_all() -> None:
    page = PAGE.read_text().partition("## Where a packet meets us")[2]
    ranges = (
        numbers.FORWARDER_MARKS,
        numbers.POLICY_CLASSES,
        numbers.RETURN_ZONES,
        numbers.FORWARDER_TABLES,
        numbers.RETURN_TABLES,
        numbers.RETURN_CHECK_TABLES,
    )
    said = [
        *(rf"^ +{each.value}  " for each in HookPriority),
        *(rf"\b{int(each)}\b" for each in (*RouteOwner, numbers.TUNNEL_VNI, numbers.TUNNEL_PORT)),
        *(f"`{each}`" for each in (*numbers.Table, numbers.TUNNEL_DEVICE)),
        *(f"{each:#x}" for each in (numbers.RETURN_MARKS, numbers.POD_LINK_GROUP)),
        f"0x{numbers.MASQUERADE_MARK:08x}",
        f"packet priority from {numbers.SERVICE_PORTS.start:#x} ",
        *(f"{each.start:#x} to {each.stop - 1:#x}" for each in ranges),
        rf"{RulePriority.RETURN_PAST}-{RulePriority.RETURN_END} return",
        rf"{RulePriority.FORWARDER}  forwarder",
        rf"{RulePriority.FORWARDER_END}  forwarder",
    ]
    assert [each for each in said if not re.search(each, page, re.MULTILINE)] == []
