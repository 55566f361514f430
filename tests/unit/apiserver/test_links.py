"""Links through the API server's proxy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellhead.apiserver.subresources.links import Way, rewrite_html

PREFIX = "/api/v1/namespaces/n/services/s/proxy"
WAY = Way(PREFIX, "10.244.1.5:8080", "localhost:8001")


@pytest.mark.parametrize(
    ("link", "through"),
    [
        ("/a/b", f"{PREFIX}/a/b"),
        ("/a/", f"{PREFIX}/a/"),
        ("/", f"{PREFIX}/"),
        ("/a?b=c#d", f"{PREFIX}/a?b=c#d"),
        ("a/b", "a/b"),
        ("", ""),
        ("#top", "#top"),
        ("http://10.244.1.5:8080/a", f"{PREFIX}/a"),
        ("http://localhost:8001/a", f"http://localhost:8001{PREFIX}/a"),
        ("https://example.org/a", "https://example.org/a"),
        (f"{PREFIX}/a", f"{PREFIX}/a"),
        ("//example.org/a", "//example.org/a"),
        ("http://[/", "http://[/"),
    ],
)
def test_links_to_the_same_host_lead_through_the_proxy(link: str, through: str) -> None:
    assert WAY.through(link) == through


@pytest.mark.parametrize(
    ("page", "rewritten"),
    [
        ('<a href="/x">y</a>', '<a href="!/x">y</a>'),
        ("<A HREF='/x' class=z>", "<A HREF='!/x' class=z>"),
        ("<img src=/x alt=/y>", "<img src=!/x alt=/y>"),
        ("<p title='/x'>/x</p>", "<p title='/x'>/x</p>"),
        ("<!-- <a href='/x'> --><a href='/y'>", "<!-- <a href='/x'> --><a href='!/y'>"),
        ("<script src='/x'>'<a href=\"/y\">'</script><a href='/z'>", None),
        ('<form  action = "/x&amp;y" >', '<form  action = "!/x&amp;y" >'),
        ("<a href>", "<a href>"),
        ('<a href="/x', '<a href="/x'),
        ("<a / href='/x'/>", "<a / href='!/x'/>"),
    ],
)
def test_links_in_pages_are_rewritten(page: str, rewritten: str | None) -> None:
    if rewritten is None:
        rewritten = page.replace("src='/x'", "src='!/x'").replace("'/z'", "'!/z'")
    assert rewrite_html(page.encode(), lambda link: "!" + link if link else "") == rewritten.encode()


@given(st.text(st.sampled_from("<a href='\"/x!-->script= \n")).map(str.encode) | st.binary())
def test_whatever_is_no_link_stays(page: bytes) -> None:
    assert rewrite_html(page, lambda link: link) == page


def test_no_page_takes_longer_than_it_is_long() -> None:
    for piece in (b"<a ", b"<!-", b"<a x='", b'<a href="', b"<script>", b"<"):
        rewrite_html(piece * 100_000, lambda link: link)
