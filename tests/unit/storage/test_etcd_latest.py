"""Which questions for the latest revision share an answer of etcd's."""

from __future__ import annotations

import asyncio

import pytest

from wellhead.storage.etcd.options import EtcdOptions
from wellhead.storage.etcd.store import EtcdStore


class Asked:
    """Answers by hand: how often it was asked, and the answers that are awaited."""

    def __init__(self, store: EtcdStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: list[asyncio.Future[tuple[int, int]]] = []
        monkeypatch.setattr(store, "_latest", self._latest)

    async def _latest(self) -> tuple[int, int]:
        answer: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()
        self.answers.append(answer)
        return await answer


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_comes_while_etcd_is_asked_shares_the_next_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    store = EtcdStore(["http://127.0.0.1:1"], EtcdOptions())
    asked = Asked(store, monkeypatch)
    first = [asyncio.create_task(store.latest()) for _ in range(3)]
    await turns()
    later = [asyncio.create_task(store.latest()) for _ in range(20)]
    await turns()
    assert len(asked.answers) == 1
    asked.answers[0].set_result((64, 1))
    await turns()
    assert [await each for each in first] == [64] * 3
    assert len(asked.answers) == 2
    asked.answers[1].set_result((128, 2))
    assert [await each for each in later] == [128] * 20
    assert len(asked.answers) == 2


async def test_who_gives_up_leaves_the_others_their_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    store = EtcdStore(["http://127.0.0.1:1"], EtcdOptions())
    asked = Asked(store, monkeypatch)
    impatient, patient = (asyncio.create_task(store.latest()) for _ in range(2))
    await turns()
    impatient.cancel()
    await turns()
    asked.answers[0].set_result((64, 1))
    assert await patient == 64
    assert len(asked.answers) == 1
