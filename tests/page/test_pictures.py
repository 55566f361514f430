"""The page in a browser, of files: each size, keyboard, hostile names, and who may look."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.page import browser, objects
from tests.page.browser import Browser, of
from tests.patience import until

WIDTHS = (360, 768, 1280, 1920, 3840)


def _page(directory: Path, content: list[objects.Obj]) -> Iterator[str]:
    with browser.page("-f", str(objects.write(directory, content))) as link:
        yield link


@pytest.fixture(scope="module")
def fifty(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from _page(tmp_path_factory.mktemp("fifty"), objects.many_nodes())


@pytest.fixture(scope="module")
def long(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from _page(tmp_path_factory.mktemp("long"), objects.long_names())


@pytest.fixture(scope="module")
def hostile(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from _page(tmp_path_factory.mktemp("hostile"), objects.hostile())


def _drawn(chromium: Browser) -> None:
    until(lambda: chromium.picture()["ways"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["fifty", "long", "hostile"])
def test_everything_can_be_read_from_360_to_3840_pixels(
    chromium: Browser, request: pytest.FixtureRequest, name: str, scheme: str
) -> None:
    chromium.open(request.getfixturevalue(name), color_scheme=scheme)
    _drawn(chromium)
    for width in WIDTHS:
        chromium.size(width)
        assert until(chromium.faults, lambda faults: not faults) == [], width
    assert chromium.errors() == []


def test_fifty_nodes_fold_by_kind_and_open(chromium: Browser, fifty: str) -> None:
    chromium.open(fifty)
    cards = until(chromium.picture, lambda found: found["ways"])["cards"]
    folds = {each: lines for each, lines in cards.items() if each.startswith("fold/")}
    assert sorted(lines[0] for lines in folds.values()) == ["10 nodes", "40 nodes"]
    for each in folds:
        chromium.click(f'.card[data-id="{each}"]')
        chromium.until_text(".picture", "Fold the nodes again")
    until(lambda: not any(each.startswith("fold/") for each in chromium.picture()["cards"]))
    opened = chromium.picture()["cards"]
    assert {f"node/node-{i}" for i in range(1, 51)} <= set(opened)
    assert chromium.faults() == []
    chromium.click('.card[data-id="close"]')
    until(chromium.picture, lambda found: set(folds) <= set(found["cards"]))


def test_ipv6_addresses_are_whole(chromium: Browser, long: str) -> None:
    chromium.open(long, width=360)
    _drawn(chromium)
    lines = chromium.picture()["cards"]["address"]
    assert "[2001:db8:cafe:cafe:cafe:cafe:cafe:cafe]:80" in "".join(lines)


def test_names_are_text_and_never_markup(chromium: Browser, hostile: str) -> None:
    chromium.open(hostile)
    _drawn(chromium)
    for tab in ("hops", "text", "matrix", "levers", "lesson"):
        chromium.click(f"#tab-{tab}")
        chromium.until_text("#panel", r"\S")
    text = chromium.text("body")
    assert "<script>window.hacked=1</script>" in text
    assert chromium.ask("return window.hacked") is None
    assert (
        chromium.ask("return document.querySelectorAll('#page script, #page img, #page iframe').length") == 0
    )
    visible = "".join("".join(lines) for lines in chromium.picture()["cards"].values())
    assert "\u202e" not in visible
    # There are no commands about such names: the server says so.
    assert [each for each in chromium.errors() if "api/levers" not in each] == []


def test_a_question_is_put_by_the_keyboard_alone(chromium: Browser, fifty: str) -> None:
    chromium.open(fifty)
    _drawn(chromium)
    label = "return document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
    chromium.press("TAB")
    assert chromium.ask(label) == "To the picture"
    chromium.press("ENTER")
    assert chromium.ask(label).startswith("Client: ")
    chromium.press("ARROW_RIGHT")
    assert chromium.ask(label).startswith("Address 203.0.113.7:80")
    chromium.press("ENTER")  # its menu
    until(lambda: chromium.ask(label), lambda text: "Dial 203.0.113.7:80" in text)
    chromium.press("ARROW_DOWN", "ENTER")
    chromium.until_text(".card[data-id=address]", r"10\.96\.0\.7:80")
    assert "ClusterIP" in chromium.text(".card[data-id=address]")
    # And from the list, by what is typed.
    chromium.ask("document.querySelector('.combobox input').focus()")
    chromium.press("ARROW_DOWN", "node node-17")
    chromium.until_text("[role=option][aria-selected=true]", "node node-17")
    chromium.press("ENTER")
    chromium.until_text(".card[data-id=client]", "node-17")
    # The way back is the browser's own.
    chromium.driver.back()
    chromium.until_text(".card[data-id=client]", "outside")
    # Panels are tabs.
    chromium.ask("document.querySelector('[role=tab][aria-selected=true]').focus()")
    chromium.press("ARROW_RIGHT")
    assert chromium.ask("return document.activeElement.id") == "tab-proof"
    assert chromium.errors() == []


def test_two_choices_stand_side_by_side_and_a_link_brings_them_back(chromium: Browser, fifty: str) -> None:
    chromium.open(fifty)
    _drawn(chromium)
    chromium.choose("#compare", "externalTrafficPolicy:Cluster")
    until(lambda: chromium.picture(1)["ways"])
    assert all("client" in each for each in chromium.picture(0)["seen"])
    assert not any("client" in each for each in chromium.picture(1)["seen"])
    assert "externalTrafficPolicy Cluster" in "".join(chromium.picture(1)["cards"]["address"])
    assert chromium.faults() == []
    link = str(chromium.ask("return location.href"))
    assert "token" not in link
    seen = chromium.picture(1)["seen"]
    chromium.open(link)
    chromium.seeing(*seen, side=1)


def test_the_picture_is_described_for_those_who_listen(chromium: Browser, fifty: str) -> None:
    chromium.open(fifty)
    _drawn(chromium)
    described = """
    const picture = document.querySelector('.picture svg');
    return [picture.getAttribute('aria-label'),
            document.getElementById(picture.getAttribute('aria-describedby')).textContent];
    """
    label, text = chromium.ask(described)
    assert "the server sees" in label
    assert "203.0.113.7:80" in text
    names = chromium.devtools("Accessibility.getFullAXTree")["nodes"]
    unnamed = [
        each["role"]["value"]
        for each in names
        if not each.get("ignored")
        and each["role"]["value"] in ("button", "combobox", "tab", "link", "slider", "textbox", "menuitem")
        and not each.get("name", {}).get("value")
    ]
    assert unnamed == []


def test_it_prints(chromium: Browser, fifty: str) -> None:
    chromium.open(fifty)
    _drawn(chromium)
    printed = base64.b64decode(chromium.devtools("Page.printToPDF")["data"])
    assert printed.startswith(b"%PDF")


def test_a_tab_behind_others_takes_no_connection(chromium: Browser, fifty: str) -> None:
    driver = chromium.driver
    chromium.open(fifty)
    _drawn(chromium)
    first = driver.current_window_handle
    for _ in range(8):  # a browser has six connections to one server
        driver.switch_to.new_window("tab")
        driver.get(fifty)
        _drawn(chromium)
    for each in set(driver.window_handles) - {first}:
        driver.switch_to.window(each)
        driver.close()
    driver.switch_to.window(first)
    _drawn(chromium)
    assert chromium.text(".state.connected")


def test_without_the_link_nothing_is_told(chromium: Browser, fifty: str) -> None:
    origin = fifty[: fifty.index("#")]
    chromium.open(origin)
    chromium.ask("sessionStorage.clear()")
    chromium.open(origin)
    chromium.until_text(".state", "open the link that wellhead page printed")
    assert chromium.picture()["cards"] == {}
    chromium.open(of(fifty, to="203.0.113.7:80"))
    _drawn(chromium)
    assert "token" not in chromium.ask("return location.href")
    asked = "return performance.getEntriesByType('resource').map((each) => each.name)"
    assert all(each.startswith(origin) for each in chromium.ask(asked))
