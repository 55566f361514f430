"""One etcd for a file's tests, each of which has a prefix of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.etcd import Etcd, running


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    with running(tmp_path_factory.mktemp("etcd")) as etcd:
        yield etcd
