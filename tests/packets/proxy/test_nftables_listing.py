"""A rule prints itself as nft lists what the kernel got: every rule that nftables mode writes."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from itertools import product
from typing import NamedTuple

import pytest

from tests.packets.proxy.world import Host
from wellhead.ip import Family
from wellhead.linux import nft
from wellhead.linux.nftables.content import difference, read
from wellhead.linux.nftables.messages import messages
from wellhead.linux.nftables.objects import Chain, Table, Transaction
from wellhead.linux.nftables.socket import Socket
from wellhead.proxy.backends.nftables import layout
from wellhead.proxy.backends.nftables.dispatch import HANDLINGS, affinity, pick, pick_slot, policy
from wellhead.proxy.backends.nftables.skeleton import Surroundings, base_chains, chains_for
from wellhead.proxy.claims.settings import SOURCE_CLAIMS, SourceClaims
from wellhead.proxy.marks import Marks
from wellhead.services.node import Detector, FromBridge, FromInterfacePrefix, FromNetwork
from wellhead.services.view import Routing, Scope

pytestmark = pytest.mark.cluster

DETECTORS: dict[str, tuple[Detector | None, Detector | None]] = {
    "network": (FromNetwork(ip_network("10.244.1.0/24")), FromNetwork(ip_network("fd00:10:244:1::/64"))),
    "address": (FromNetwork(ip_network("10.244.1.7/32")), FromNetwork(ip_network("fd00:10:244:1::7/128"))),
    "bridge": (FromBridge("cbr0"), FromBridge("an-ifc-of-15-ch")),
    "prefix": (FromInterfacePrefix("veth"), FromInterfacePrefix("v")),
    "none": (None, None),
}
MARKS = [Marks(), Marks(1, 0xFFFF0000), Marks(1 << 31, 0x3F)]


class Wanted(NamedTuple):
    table: Table
    chains: dict[str, Chain]


def every_chain(surroundings: Surroundings) -> dict[str, Chain]:
    """What the proxy may ever write."""
    dispatches = [
        *(pick(each) for each in (1, 2, 12_000)),
        *(pick_slot(each) for each in (1, 12_000)),
        *(affinity(seconds, 0, scope) for seconds in (1, 61, 10_800, 86_400, 90_061) for scope in Scope),
        *(
            policy(Routing(*each), restricted)
            for each in product(HANDLINGS, repeat=3)
            for restricted in (0, 1)
        ),
    ]
    chains = {each.name: each for each in base_chains(surroundings)}
    for dispatch in dispatches:
        chains |= {each.name: each for each in chains_for(dispatch, surroundings)}
    return chains


def listed(text: str) -> Iterator[str]:
    """The chains of a listing, each as it stands there."""
    for block in text.split("\n\tchain ")[1:]:
        body, _, _ = block.partition("\n\t}")
        yield "\n".join(line.removeprefix("\t") for line in f"\tchain {body}\n\t}}".splitlines())


@pytest.mark.parametrize(
    ("marks", "claims"),
    list(zip(MARKS, SOURCE_CLAIMS, strict=True)),
    ids=lambda each: f"{each.masquerade:#x}" if isinstance(each, Marks) else each,
)
@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("family", Family)
def test_what_a_rule_prints_is_what_nft_lists(
    host: Host, family: Family, detector: str, marks: Marks, claims: SourceClaims
) -> None:
    from_pods = DETECTORS[detector][family is Family.IPV6]
    wanted = Wanted(layout.table(family), every_chain(Surroundings(family, from_pods, marks, claims=claims)))

    def inside() -> tuple[str, Transaction]:
        socket = Socket()
        try:
            socket.transact(messages(difference(wanted, (), read(socket, wanted.table)), wanted.table))
            left = difference(wanted, (), read(socket, wanted.table))
        finally:
            socket.close()
        return nft.listing(family.nft, wanted.table.name), left

    text, left = host.inside(inside)
    assert not left, "the kernel holds the rules otherwise than they were sent"
    found = {each.split()[1]: each for each in listed(text)}
    assert found.keys() == wanted.chains.keys()
    for name, chain in wanted.chains.items():
        assert in_every_versions_words(str(chain)) == in_every_versions_words(found[name])


DIFFERENCES = {
    # nft 1.1 has words for priorities in more hooks than 1.0 has.
    "priority dstnat;": "priority -100;",
    # 1.0 takes the highest bits of a mark for a prefix.
    "meta mark != 0x00000000/1 ": "meta mark & 0x80000000 != 0x00000000 ",
    # 1.1 prints the mask in network order, as what follows it in the kernel converts the number.
    "& 80:ffff . ": "& ffff:8000 . ",
}


def in_every_versions_words(chain: str) -> str:
    """What the versions at hand (1.0.6, 1.1.3, 1.1.7) write differently, in one way."""
    for theirs, ours in DIFFERENCES.items():
        chain = chain.replace(theirs, ours)
    return chain
