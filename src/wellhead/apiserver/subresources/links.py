"""Links in what comes from behind the API server, so that they lead through it (apimachinery's util/proxy).

Only those to the same host, or without one, that begin at its root: others lead where they should.
"""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

# Which attributes of which elements are links.
_ATTRIBUTES = {
    "a": {"href"},
    "applet": {"codebase"},
    "area": {"href"},
    "audio": {"src"},
    "base": {"href"},
    "blockquote": {"cite"},
    "body": {"background"},
    "button": {"formaction"},
    "command": {"icon"},
    "del": {"cite"},
    "embed": {"src"},
    "form": {"action"},
    "frame": {"longdesc", "src"},
    "head": {"profile"},
    "html": {"manifest"},
    "iframe": {"longdesc", "src"},
    "img": {"longdesc", "src", "usemap"},
    "input": {"src", "usemap", "formaction"},
    "ins": {"cite"},
    "link": {"href"},
    "object": {"classid", "codebase", "data", "usemap"},
    "q": {"cite"},
    "script": {"src"},
    "source": {"src"},
    "video": {"poster", "src"},
}
# What is in these is text, whatever it looks like.
_RAW = frozenset(
    ("iframe", "noembed", "noframes", "noscript", "plaintext", "script", "style", "textarea", "title", "xmp")
)
_NAME = re.compile(rb"[A-Za-z][^ \t\n\r\f/>]*")
_BETWEEN = re.compile(rb"[ \t\n\r\f/]*")
_KEY = re.compile(rb"=?[^ \t\n\r\f/>=]*")
_EQUALS = re.compile(rb"[ \t\n\r\f]*=[ \t\n\r\f]*")
_BARE = re.compile(rb"[^ \t\n\r\f>]*")


@dataclass(frozen=True, slots=True)
class Way:
    """How the one behind is reached: its paths begin with `prefix` here; it is called `behind` by us, and
    `asked` by the client."""

    prefix: str
    behind: str
    asked: str

    def through(self, link: str) -> str:
        """The link as the client has to follow it."""
        try:
            parts = urlsplit(link)
        except ValueError:
            return link
        if (parts.netloc and parts.netloc not in (self.behind, self.asked)) or not parts.path.startswith("/"):
            return link
        if parts.netloc != self.asked:
            parts = parts._replace(scheme="", netloc="")
        if not parts.path.startswith(self.prefix):
            path = posixpath.normpath(f"{self.prefix}/{parts.path}")
            parts = parts._replace(path=path + "/" if parts.path.endswith("/") else path)
        return urlunsplit(parts)


def rewrite_html(data: bytes, rewrite: Callable[[str], str]) -> bytes:
    """The page with every link rewritten; all else byte for byte. Its time is linear in the page's length."""
    page = _Page(data, rewrite)
    page.run()
    return page.result()


class _Page:
    def __init__(self, data: bytes, rewrite: Callable[[str], str]) -> None:
        self._data = data
        self._rewrite = rewrite
        self._pieces: list[bytes] = []
        self._copied = 0

    def result(self) -> bytes:
        return b"".join([*self._pieces, self._data[self._copied :]])

    def run(self) -> None:
        """Go through all start tags. What never ends, ends the page."""
        data, at = self._data, 0
        while (at := data.find(b"<", at)) >= 0:
            if data.startswith(b"<!--", at):
                at = data.find(b"-->", at + 4)
                if at < 0:
                    return
                continue
            found = _NAME.match(data, at + 1)
            if found is None:
                at += 1
                continue
            name = found.group().decode(errors="replace").lower()
            at = self._attributes(found.end(), _ATTRIBUTES.get(name, ()))
            if at < 0:
                return
            if name in _RAW:
                end = re.compile(b"</" + name.encode(), re.IGNORECASE).search(data, at)
                if end is None:
                    return
                at = end.start()

    def _attributes(self, at: int, links: set[str] | tuple[()]) -> int:
        """Where the tag that is open at `at` ends; -1 if it doesn't."""
        data = self._data
        while True:
            at = self._after(_BETWEEN, at)
            if at >= len(data):
                return -1
            if data[at : at + 1] == b">":
                return at + 1
            end = self._after(_KEY, at)
            key = data[at:end].decode(errors="replace").lower()
            at = end
            equals = _EQUALS.match(data, at)
            if equals is None:
                continue
            start = equals.end()
            quote = data[start : start + 1]
            if quote in (b'"', b"'"):
                start += 1
                end = data.find(quote, start)
                if end < 0:
                    return -1
                at = end + 1
            else:
                at = end = self._after(_BARE, start)
            if key in links:
                self._link(start, end)

    def _after(self, pattern: re.Pattern[bytes], at: int) -> int:
        found = pattern.match(self._data, at)
        return at if found is None else found.end()

    def _link(self, start: int, end: int) -> None:
        old = html.unescape(self._data[start:end].decode(errors="surrogateescape"))
        new = self._rewrite(old)
        if new != old:
            self._pieces += (
                self._data[self._copied : start],
                html.escape(new).encode(errors="surrogateescape"),
            )
            self._copied = end
