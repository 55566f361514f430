"""One browser for all tests of the page, and one cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.page.browser import Browser
from tests.page.shop import Shop, opened


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = Browser(tmp_path_factory.mktemp("chromium"))
    yield found
    found.close()


@pytest.fixture(scope="session")
def shop(chromium: Browser) -> Iterator[Shop]:
    """Needs the browser so that nothing is started for tests that are skipped without one."""
    with opened(f"test-{os.getpid()}-page") as found:
        yield found
