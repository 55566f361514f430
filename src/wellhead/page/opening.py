"""Opening the link in a browser without telling it to everybody: a program's arguments are seen by all users
of the machine. So the browser is given a file that only its owner can read, which leads on to the link.
"""

from __future__ import annotations

import atexit
import html
import tempfile
import threading
import webbrowser
from pathlib import Path

_FILE = """<!doctype html>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={link}">
<title>wellhead page</title>
<a href="{link}">wellhead page</a>
"""


def open_link(link: str) -> None:
    """Open it, if there is a browser. The file lives as long as the page."""
    directory = tempfile.TemporaryDirectory(prefix="wellhead-page-")
    atexit.register(directory.cleanup)
    file = Path(directory.name) / "open.html"
    file.write_text(_FILE.format(link=html.escape(link)))
    threading.Thread(target=webbrowser.open, args=(file.as_uri(),), daemon=True).start()
