"""A history of requests has room for so many, and so much."""

from __future__ import annotations

from wellhead.page.history import History, Kept
from wellhead.page.values import Line, Send


def kept(number: int, size: int = 10) -> Kept:
    line = Line(
        id=str(number),
        at="2026-11-29T00:00:00Z",
        question=Send(client="client", target="svc/web"),
        summary="",
        disposition="delivered",
        agreed=True,
    )
    return Kept(line, bytes(size), b"", b"")


def names(history: History) -> list[str]:
    return [each.id for each in history.lines()]


def test_the_newest_is_the_first() -> None:
    history = History()
    for number in range(3):
        history.add(kept(number))
    assert names(history) == ["2", "1", "0"]
    found = history.get("1")
    assert found is not None
    assert found.line.id == "1"


def test_the_oldest_go_where_there_are_too_many() -> None:
    history = History(requests=3)
    for number in range(10):
        history.add(kept(number))
    assert names(history) == ["9", "8", "7"]
    assert history.get("6") is None


def test_the_oldest_go_where_there_is_too_much_and_the_newest_never() -> None:
    history = History(most_bytes=100)
    for number in range(5):
        history.add(kept(number, 40))
    assert names(history) == ["4", "3"]
    history.add(kept(5, 1000))
    assert names(history) == ["5"]
    history.add(kept(6))
    assert names(history) == ["6"]
