"""The iptables backend's way with a kernel that refuses."""

from __future__ import annotations

import pytest

from tests.unit.services.objects import endpoint, endpoint_slice, node, service
from wellhead.ip import Family
from wellhead.proxy.backends.base import BackendError
from wellhead.proxy.backends.iptables.backend import IptablesBackend
from wellhead.proxy.backends.iptables.commands import Commands
from wellhead.proxy.backends.iptables.ruleset import RulesetConfig
from wellhead.services.node_view import NodeView, ViewDiff
from wellhead.services.service_map import service_map

ALONE = RulesetConfig(claims="none")


class Kernel:
    """Stands in for iptables: refuses input that holds a certain text."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.refuses = ""
        self.restored: list[str] = []
        monkeypatch.setattr(Commands, "save", self._save)
        monkeypatch.setattr(Commands, "restore", self._restore)
        monkeypatch.setattr(Commands, "writes_nftables", self._writes_nftables)

    async def _save(self, *tables: str) -> str:
        return ""

    async def _writes_nftables(self) -> bool:
        return False

    async def _restore(self, text: str) -> None:
        if self.refuses and self.refuses in text:
            raise BackendError("refused")
        self.restored.append(text)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


def view_of(affinity: str) -> NodeView:
    services = service_map([service(sessionAffinity=affinity)], [endpoint_slice(endpoint("10.244.1.2"))])
    return NodeView(services, node())


async def test_what_failed_is_made_up_for_by_the_next_call(kernel: Kernel) -> None:
    backend, view = IptablesBackend([Family.IPV4], config=ALONE), view_of("None")
    kernel.refuses = "*nat"
    with pytest.raises(BackendError):
        await backend.apply(view.update())
    kernel.refuses = ""
    await backend.apply(ViewDiff(view.node))
    assert "DNAT --to-destination 10.244.1.2:8080" in kernel.restored[-1]


async def test_one_familys_failure_does_not_keep_the_other_from_its_rules(kernel: Kernel) -> None:
    backend, view = IptablesBackend(Family, config=ALONE), view_of("None")
    kernel.refuses = "10.0.0.10"
    with pytest.raises(BackendError):
        await backend.apply(view.update())
    [ipv6] = kernel.restored
    assert "10.0.0.10" not in ipv6


async def test_a_kernel_that_cannot_remember_clients_is_told_to_the_user_and_done_without(
    kernel: Kernel,
) -> None:
    backend, view = IptablesBackend([Family.IPV4], config=ALONE), view_of("ClientIP")
    kernel.refuses = "-m recent"
    with pytest.raises(BackendError, match="ClientIP affinity is left out"):
        await backend.apply(view.update())
    await backend.apply(ViewDiff(view.node))
    assert "DNAT" in kernel.restored[-1]
