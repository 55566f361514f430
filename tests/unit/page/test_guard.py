"""Who may ask: by the token, a name that is ours, and from no other page."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellhead.page.guard import HEADERS, Guard, new_token

LOOPBACK = Guard("secret", ip_address("127.0.0.1"), 8410)
EVERYWHERE = Guard("secret", ip_address("0.0.0.0"), 8410)
IPV6 = Guard("secret", ip_address("::1"), 8410)
PRIVATE = Guard("secret", ip_address("192.0.2.7"), 8410)


@pytest.mark.parametrize(
    ("guard", "host"),
    [
        (LOOPBACK, "127.0.0.1:8410"),
        (LOOPBACK, "localhost:8410"),
        (LOOPBACK, "LOCALHOST:8410"),
        (LOOPBACK, "[::1]:8410"),
        (IPV6, "[::1]:8410"),
        (PRIVATE, "192.0.2.7:8410"),
        (EVERYWHERE, "198.51.100.9:8410"),
        (EVERYWHERE, "localhost:8410"),
    ],
)
def test_a_name_that_was_bound_is_ours(guard: Guard, host: str) -> None:
    assert guard.refuses(host, None) == ""
    assert guard.refuses(host, f"http://{host}") == ""


@pytest.mark.parametrize(
    ("guard", "host"),
    [
        (LOOPBACK, ""),
        (LOOPBACK, "127.0.0.1"),
        (LOOPBACK, "127.0.0.1:80"),
        (LOOPBACK, "127.0.0.1:8410x"),
        (LOOPBACK, "evil.example:8410"),
        (LOOPBACK, "localhost.evil.example:8410"),
        (LOOPBACK, "192.0.2.7:8410"),
        (LOOPBACK, "[::1:8410"),
        (LOOPBACK, "[::1]8410"),
        (LOOPBACK, "user@127.0.0.1:8410"),
        (PRIVATE, "localhost:8410"),
        (EVERYWHERE, "evil.example:8410"),
    ],
)
def test_any_other_name_is_refused_as_one_that_may_have_been_rebound(guard: Guard, host: str) -> None:
    assert "isn't called" in guard.refuses(host, None)


@pytest.mark.parametrize(
    "origin",
    ["null", "http://evil.example", "https://127.0.0.1:8410", "http://127.0.0.1:8411", "", "http://["],
)
def test_another_page_may_not_ask(origin: str) -> None:
    assert "another page" in LOOPBACK.refuses("127.0.0.1:8410", origin)


def test_only_the_token_is_let_in() -> None:
    assert LOOPBACK.knows("Bearer secret")
    assert LOOPBACK.knows("bearer secret")
    for wrong in ("", "secret", "Bearer", "Bearer secre", "Bearer secrets", "Basic secret", "Bearer séçrét"):
        assert not LOOPBACK.knows(wrong)


@given(st.text())
def test_no_other_header_is_let_in_and_none_breaks_it(header: str) -> None:
    assert LOOPBACK.knows(header) == (header.lower().startswith("bearer ") and header[7:].strip() == "secret")
    LOOPBACK.refuses(header, header)


def test_the_token_is_in_what_a_browser_keeps_to_itself() -> None:
    assert LOOPBACK.link == "http://127.0.0.1:8410/#token=secret"
    assert IPV6.link == "http://[::1]:8410/#token=secret"
    assert EVERYWHERE.link == "http://127.0.0.1:8410/#token=secret"


def test_tokens_cannot_be_guessed() -> None:
    assert len({new_token() for _ in range(100)}) == 100
    assert all(len(new_token()) >= 43 for _ in range(10))


def test_nothing_from_elsewhere_runs_in_the_page() -> None:
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "*" not in policy
