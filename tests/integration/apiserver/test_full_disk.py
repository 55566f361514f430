"""The API server on a full disk: it says so, keeps what it has, and lets things be deleted."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.apiserver.cluster import Cluster, User, serve
from tests.integration.apiserver.objects import CONFIGMAPS, NAMESPACES, configmap
from tests.integration.apiserver.pki import Pki
from tests.patience import reached
from wellhead.linux import mounts

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[str]:
    directory = tmp_path / "disk"
    directory.mkdir()
    mounts.mount("tmpfs", directory, "tmpfs", data=f"size={48 << 20},mode=700")
    try:
        yield f"sqlite:{directory / 'state.db'}"
    finally:
        mounts.umount(directory, mounts.MNT_DETACH)


def fill(storage: str) -> Path:
    path = Path(storage.removeprefix("sqlite:")).with_name("others")
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(64 * 1024))
    return path


async def until_full(admin: User) -> list[str]:
    """The ConfigMaps that were acknowledged until one was refused."""
    names: list[str] = []
    while True:
        name = f"c{len(names)}"
        answer = await admin.call("POST", CONFIGMAPS, configmap(name, data="x" * 200_000))
        if answer.code != 201:
            assert "only deletions are written" in answer.expect(503)["message"]
            return names
        names.append(name)


async def names(admin: User) -> set[str]:
    return {item["metadata"]["name"] for item in (await admin.get(CONFIGMAPS))["items"]}


async def ready(cluster: Cluster, path: str = "/readyz") -> tuple[int, str]:
    answer = await (await cluster.user(None)).call("GET", path)
    return answer.code, str(answer.body)


async def until_ready_is(cluster: Cluster, code: int) -> str:
    """The verbose answer; one of a moment ago may still count."""

    async def ask() -> tuple[int, str]:
        return await ready(cluster, "/readyz?verbose")

    found: tuple[int, str] = await reached(ask, lambda answer: answer[0] == code)
    return found[1]


async def test_a_full_disk_is_said_and_outlived(pki: Pki, tmp_path: Path, storage: str) -> None:
    async with serve(pki, tmp_path, storage) as cluster:
        admin = await cluster.user()
        await admin.create(NAMESPACES, {"metadata": {"name": "going"}})
        others = fill(storage)
        written = await until_full(admin)
        text = await until_ready_is(cluster, 500)
        assert "[-]storage failed: the disk of the database is full" in text
        assert "[+]ready ok" in text
        assert (await ready(cluster))[0] == 500
        assert (await admin.call("GET", "/readyz/storage")).code == 500
        assert (await ready(cluster, "/livez"))[0] == 200  # a restart wouldn't mend it
        assert await names(admin) == set(written)
        for name in written[::2]:
            await admin.delete(f"{CONFIGMAPS}/{name}")
        await admin.delete(f"{NAMESPACES}/going")
        (await admin.call("PUT", f"{NAMESPACES}/going/finalize", {"metadata": {"name": "going"}})).expect(200)
        assert await names(admin) == set(written[1::2])
    # It starts on the full disk, too; not ready, which `serve` would wait for.
    others.unlink()
    async with serve(pki, tmp_path, storage) as cluster:
        admin = await cluster.user()
        assert await names(admin) == set(written[1::2])
        await admin.create(CONFIGMAPS, configmap("new"))
        await until_ready_is(cluster, 200)
