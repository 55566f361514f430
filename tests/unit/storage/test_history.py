"""Both bounds of the history hold, and no more of it is forgotten than they ask for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellhead.storage.history import History
from wellhead.storage.memory import MemoryStore
from wellhead.storage.sqlite import SqliteStore
from wellhead.storage.store import Compacted, Store, StoreKey, Write

KEY = StoreKey("pods", "default", "a")
SIZE, BOUND = 1_000, 100_000


@given(
    st.integers(1, 40), st.integers(0, 200), st.lists(st.lists(st.integers(0, 50), min_size=1), max_size=30)
)
def test_what_is_kept_is_within_both_bounds(revisions: int, size: int, groups: list[list[int]]) -> None:
    history, kept = History(revisions, size), list[int]()
    for group in groups:
        surplus = history.surplus(group)
        history.extend(group)
        history.forget(surplus)
        kept += group
        if surplus:
            # The least that brings it within the bounds again.
            least = next(
                n for n in range(len(kept) + 1) if len(kept) - n <= revisions and sum(kept[n:]) <= size
            )
            assert surplus == least
        kept = kept[surplus:]
        assert len(kept) < revisions + max(1, revisions // 16)
        assert sum(kept) < size + max(1, size // 16)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_store_forgets_by_bytes_long_before_it_does_by_number(kind: str, tmp_path: Path) -> None:
    store: Store = (
        MemoryStore(history_bytes=BOUND)
        if kind == "memory"
        else SqliteStore(tmp_path / "db", history_bytes=BOUND)
    )
    await store.open()
    revision = await _rewritten(store, 0, 500)
    assert BOUND * 0.9 <= (revision - store.bounds.oldest) * SIZE <= BOUND * 1.1
    with pytest.raises(Compacted):
        await anext(store.watch(store.bounds.oldest - 1))
    with pytest.raises(Compacted):
        await store.snapshot(store.bounds.oldest - 1)
    # Who isn't so far behind misses nothing.
    backlog = await anext(store.watch(store.bounds.oldest))
    assert [change.revision for change in backlog] == list(range(store.bounds.oldest + 1, revision + 1))
    old = await store.snapshot(store.bounds.oldest)
    assert [record.revision for record in old.records] == [store.bounds.oldest]
    await store.close()


async def test_a_file_stays_small_across_restarts(tmp_path: Path) -> None:
    revision = 0
    for _ in range(3):
        store = SqliteStore(tmp_path / "db", history_bytes=BOUND)
        await store.open()
        revision = await _rewritten(store, revision, 150)
        assert (revision - store.bounds.oldest) * SIZE <= BOUND * 1.1
        await store.close()
    assert (tmp_path / "db").stat().st_size < 3 * BOUND


async def test_what_was_deleted_takes_no_room_in_the_history(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "db", history_bytes=BOUND)
    await store.open()
    revision = 0
    for _ in range(150):
        (revision,) = await store.transact([Write(KEY, bytes(SIZE), 0)])
        (revision,) = await store.transact([Write(KEY, None, revision)])
    assert BOUND * 0.9 <= (revision - store.bounds.oldest) / 2 * SIZE <= BOUND * 1.1
    await store.close()


async def _rewritten(store: Store, revision: int, times: int) -> int:
    for _ in range(times):
        (revision,) = await store.transact([Write(KEY, bytes(SIZE), revision)])
    return revision
