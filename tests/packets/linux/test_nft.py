"""Running nft, and what it says."""

from __future__ import annotations

import pytest

from tests.packets.proxy.world import Host
from wellhead.linux import nft

pytestmark = pytest.mark.cluster


def test_a_text_is_in_force_as_a_whole_or_not_at_all(host: Host) -> None:
    with pytest.raises(nft.NftError, match="No such file"):
        host.inside(lambda: nft.run("add table ip t\nadd rule ip t no-such-chain accept\n"))
    assert host.inside(lambda: nft.listing("ip", "t")) == ""


def test_a_replacement_leaves_nothing_of_what_was_there(host: Host) -> None:
    host.inside(lambda: nft.run("add table ip t\nadd chain ip t old\n"))
    host.inside(lambda: nft.run(nft.replacement("ip", "t", "chain new { }\n")))
    found = host.inside(lambda: nft.listing("ip", "t"))
    assert "chain new" in found
    assert "chain old" not in found
    host.inside(lambda: nft.run(nft.replacement("ip", "t")))
    assert host.inside(lambda: nft.listing("ip", "t")) == ""


def test_a_table_that_is_not_there_has_an_error_of_its_own(host: Host) -> None:
    with pytest.raises(nft.NoSuchObject):
        host.inside(lambda: nft.objects("ip", "t"))


def test_no_nft_is_said_so(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(nft.NftError, match="nft: No such file"):
        host.inside(lambda: nft.run("list tables"))
