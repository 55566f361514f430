"""Opening the link in a browser without telling it to everybody: a program's arguments are seen by all users
of the machine. So the browser is given a file that only its owner can read, which leads on to the link.
"""

from __future__ import annotations

import html
import os
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FILE = """<!doctype html>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={link}">
<title>wellhead page</title>
<a href="{link}">wellhead page</a>
"""


@contextmanager
def opened(link: str) -> Iterator[None]:
    """Open it, if there is a browser; the file lives as long as the page."""
    with tempfile.TemporaryDirectory(prefix="wellhead-page-") as directory:
        file = Path(directory) / "open.html"
        file.write_text(_FILE.format(link=html.escape(link)))
        start(file.as_uri())
        yield


def can_open() -> bool:
    """Whether there is a display. A browser in the terminal would be in the way of what is printed there."""
    shown = any(os.environ.get(each) for each in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))
    return shown or sys.platform != "linux"


def start(url: str) -> None:
    """Without waiting for the browser, which may be one that runs in the foreground."""
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
