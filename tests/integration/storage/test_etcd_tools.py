"""What docs/storage.md says to do with etcd's own tool, word for word, with Debian's."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from pathlib import Path

from tests.etcd import Etcd, running
from wellhead.images import etcd as image
from wellhead.images.store import ImageStore
from wellhead.lab.cluster import IMAGE_CACHE
from wellhead.storage.etcd.client import EtcdClient
from wellhead.storage.etcd.compaction import compact, read_note
from wellhead.storage.etcd.layout import Layout
from wellhead.storage.etcd.options import EtcdOptions
from wellhead.storage.etcd.store import EtcdStore
from wellhead.storage.store import StoreFull, StoreKey, Write

DOCUMENT = Path(__file__).parents[3] / "docs/storage.md"


def commands(first_word: str) -> list[str]:
    """Those of the document that begin so, without what it says about them."""
    text = DOCUMENT.read_text().replace("\\\n", " ")
    found = re.findall(rf"^    ({first_word} .*?)(?:  +#.*)?$", text, re.MULTILINE)
    return [" ".join(each.split()) for each in found]


def etcdctl(etcd: Etcd, command: str, directory: Path) -> str:
    """Run a command line of the document in a directory."""
    tool = image.launcher(ImageStore(IMAGE_CACHE)).with_name("etcdctl-outside")
    environment = os.environ | {"ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": etcd.members[0].client}
    words = [str(tool), *command.split()[1:]]
    done = subprocess.run(words, env=environment, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def key(name: str) -> StoreKey:
    return StoreKey("pods", "default", name)


def store_of(etcd: Etcd) -> EtcdStore:
    return EtcdStore([member.client for member in etcd.members], EtcdOptions(compaction_seconds=0))


async def test_a_full_etcd_is_emptied_as_the_document_says(tmp_path: Path) -> None:
    with running(tmp_path, 1, "--quota-backend-bytes", str(2 << 20)) as etcd:
        store = store_of(etcd)
        await store.open()
        revisions: dict[str, int] = {}
        with contextlib.suppress(StoreFull):
            for number in range(100):
                name = f"n{number}"
                (revisions[name],) = await store.transact([Write(key(name), b"x" * 100_000, 0)])
        assert await store.check() == "etcd: alarm NOSPACE"
        for name, revision in revisions.items():
            await store.transact([Write(key(name), None, revision)], freeing=True)
        client, layout = EtcdClient([etcd.members[0].client], EtcdOptions()), Layout("/wellhead")
        client.connect()
        note = await compact(client, layout, await read_note(client, layout))
        await compact(client, layout, note)
        await client.close()
        defragment, status, disarm = (
            each for each in commands("etcdctl") if not each.startswith("etcdctl snapshot")
        )
        etcdctl(etcd, defragment, tmp_path)
        assert etcd.members[0].client in etcdctl(etcd, status, tmp_path)
        assert "alarm:NOSPACE" in etcdctl(etcd, disarm, tmp_path)
        assert await store.check() == ""
        await store.transact([Write(key("new"), b"x" * 100_000, 0)])
        await store.close()


async def test_a_backup_is_restored_as_the_document_says(tmp_path: Path) -> None:
    save, restore = (each for each in commands("etcdctl") if each.startswith("etcdctl snapshot"))
    with running(tmp_path) as etcd:
        store = store_of(etcd)
        await store.open()
        (kept,) = await store.transact([Write(key("kept"), b"1", 0)])
        etcdctl(etcd, save, tmp_path)
        await store.transact([Write(key("lost"), b"1", 0)])
        await store.close()
    before, after = tmp_path / "backup.db", tmp_path / "after"
    after.mkdir()
    with running(after, start=False) as etcd:
        (member,) = etcd.members
        # The document's three members, as the one that there is here.
        restore = re.sub(r"m1=\S+", member.initial_cluster, restore)
        restore = re.sub(r"(?<=--name )\S+", member.name, restore)
        restore = re.sub(r"(?<=peer-urls )\S+", member.peer, restore)
        restore = re.sub(r"(?<=--data-dir )\S+", f"after/{member.name}", restore)
        assert before.exists()
        etcdctl(etcd, restore, tmp_path)
        etcd.start()
        store = store_of(etcd)
        await store.open()
        snapshot = await store.snapshot()
        assert [(record.key.name, record.revision) for record in snapshot.records] == [("kept", kept)]
        await store.transact([Write(key("new"), b"1", 0)])
        await store.close()
