"""Reading addresses out of API strings."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellhead.ip import Family, IPAddress, addresses_of, bracketed, networks_of, parse_address

PIECES = [
    *".:%/ -+x",
    "::",
    "0",
    "00",
    "1",
    "10",
    "255",
    "256",
    "ffff",
    "12345",
    "fe80::1",
    "10.0.0.1",
    "\0",
    "é",
    "٣",
]


def as_python_reads_it(text: str) -> IPAddress | None:
    try:
        return None if "%" in text else ip_address(text)
    except ValueError:
        return None


@given(
    st.one_of(
        st.ip_addresses().map(str),
        st.ip_addresses(v=6).map(lambda each: each.exploded),
        st.lists(st.sampled_from(PIECES), max_size=9).map("".join),
    )
)
def test_an_address_is_what_python_takes_for_one(text: str) -> None:
    assert parse_address(text) == as_python_reads_it(text)


@pytest.mark.parametrize(
    "text",
    [
        "010.0.0.1",
        "10.0.0.1 ",
        "10.1",
        "1.2.3.4.5",
        "0x0a.0.0.1",
        "::1%eth0",
        "::00001",
        "1::2::3",
        "1:2:3:4:5:6:7::",
        "::ffff:10.0.0.1",
        "::10.0.0.01",
        "fe80::1%",
        "10.0.0.1\0",
        "\ud800",
        "",
    ],
)
def test_unusual_spellings(text: str) -> None:
    assert parse_address(text) == as_python_reads_it(text)


@pytest.mark.parametrize("text", ["fe80::1%eth0", "2001:db8::1%x\nevil", "fe80::%a b/64"])
def test_what_has_a_scope_is_no_address_and_no_network(text: str) -> None:
    assert parse_address(text) is None
    assert addresses_of(Family.IPV6, [text]) == ()
    assert networks_of(Family.IPV6, [text, f"{text}/128"]) == ()


@pytest.mark.parametrize(
    ("host", "written"),
    [("fd00::1", "[fd00::1]"), ("10.0.0.1", "10.0.0.1"), ("a.example", "a.example"), ("", "")],
)
def test_a_host_before_a_port(host: str, written: str) -> None:
    assert bracketed(host) == written
    if (address := parse_address(host)) is not None:
        assert bracketed(address) == written
