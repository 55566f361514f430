"""Which chains there are besides the base chains, and the codes by which elements name them.

The elements of Services hold codes, and small verdict maps lead from a code to a chain: see `layout.py`.
"""

from __future__ import annotations

import sys
from functools import cache, lru_cache
from typing import NamedTuple

from wellhead.linux.nftables.objects import Element, ElementKey
from wellhead.linux.nftables.statements import Verdict
from wellhead.proxy.backends.nftables import layout
from wellhead.proxy.backends.nftables.layout import word
from wellhead.services.view import Action, Handling, Routing, Scope

RESTRICTED = "from-source-ranges-"
_REFUSALS = {Action.REJECT: "rejected", Action.DROP: "dropped"}  # nft's verbs can't be names
HANDLINGS = (
    Handling(Action.REJECT),
    Handling(Action.DROP),
    *(Handling(Action.FORWARD, scope, masquerade) for scope in Scope for masquerade in (False, True)),
    Handling(Action.FORWARD, Scope.CLUSTER, masquerade=True, preserve=True),
)


PREPARED = 16
"""So many numbers of endpoints have their chain from the start; up to here a policy's code says the number.

A chain that comes later looks into a map that is full, and the kernel walks all of it: 17 ms with 50,000
Services, for a change that makes a Service the first to have so many endpoints.
"""
_POLICIES = 1 + 2 * len(HANDLINGS) ** 3  # restricted or not, and how each of three origins is handled; from 1


def _digit(handling: Handling) -> int:
    """The place in `HANDLINGS`; what is not forwarded has neither scope nor masquerading."""
    if handling.preserve:
        return len(HANDLINGS) - 1
    if handling.action is Action.FORWARD:
        return 2 + 2 * (handling.scope is Scope.LOCAL) + handling.masquerade
    return int(handling.action is Action.DROP)


class Dispatch(NamedTuple):
    """A code in one of the small verdict maps, and the chain that it leads to."""

    map: str
    code: int
    chain: str
    number: int = 0
    """Of endpoints, or of seconds. Of a policy: 0 where it doesn't say, and `endpoint-counts` has to."""
    scope: Scope = Scope.CLUSTER
    routing: Routing | None = None
    returns: bool = False

    @property
    def element(self) -> Element:
        return Element(ElementKey(self.map, word(self.code)), Verdict(self.chain, self.returns))


def handling_chain(handling: Handling, endpoints: int = 0) -> str:
    """The chain that a packet goes to once it is clear where it comes from and, maybe, among how many
    endpoints it chooses."""
    if handling.action is not Action.FORWARD:
        return _REFUSALS[handling.action]
    marks = "preserve" if handling.preserve else "masquerade" if handling.masquerade else ""
    if endpoints:  # the id says the scope
        return f"{marks or 'pick'}-{endpoints}"
    return f"{handling.scope.value}-{marks}" if marks else handling.scope.value


def routing_chain(routing: Routing, *, restricted: bool, endpoints: int = 0) -> str:
    """The chain of a frontend: `restricted` when not everybody may use it."""
    if routing.pods == routing.node == routing.others:
        name = handling_chain(routing.others, endpoints)
    else:
        name = ".".join(handling_chain(each) for each in routing)
        name = f"{name}-{endpoints}" if endpoints else name
    return f"{RESTRICTED}{name}" if restricted else name


@lru_cache(maxsize=1024)
def policy(routing: Routing, restricted: bool, endpoints: int = 0) -> Dispatch:
    """The policy of a frontend. Its code says what its chain does, like digits of a number.

    With `endpoints` the choice is among so many, at most `PREPARED`, of the scope that is in the id.
    """
    code = int(restricted)
    for each in routing:
        code = code * len(HANDLINGS) + _digit(each)
    name = routing_chain(routing, restricted=restricted, endpoints=endpoints)
    code += 1 + _POLICIES * endpoints
    return Dispatch(layout.POLICIES, code, name, endpoints, routing=routing, returns=True)


@cache
def scopes_of(routing: Routing) -> frozenset[Scope]:
    """From which scopes what a routing forwards is chosen."""
    return frozenset(each.scope for each in routing if each.action is Action.FORWARD)


@lru_cache(maxsize=1024)
def pick(endpoints: int) -> Dispatch:
    """Choose among a number of endpoints."""
    return Dispatch(layout.PICKS, endpoints, f"pick-{endpoints}", number=endpoints)


@lru_cache(maxsize=1024)
def pick_slot(endpoints: int) -> Dispatch:
    """Choose among a number of slots."""
    return Dispatch(layout.SLOT_PICKS, endpoints, f"pick-slot-{endpoints}", number=endpoints, returns=True)


@lru_cache(maxsize=1024)
def affinity(seconds: int, timeout_code: int, scope: Scope) -> Dispatch:
    """Return to the client's last endpoint. `timeout_code` says which of the timeouts in use `seconds` is."""
    code = layout.MAX_ENDPOINTS + 1 + 2 * timeout_code + (scope is Scope.LOCAL)
    return Dispatch(layout.PICKS, code, affinity_chain(seconds, scope), number=seconds, scope=scope)


def affinity_chain(seconds: int, scope: Scope) -> str:
    return f"affinity-{seconds}-{scope.value}"


def timeout_of(chain: str, key: bytes) -> tuple[int, int] | None:
    """Seconds and timeout code of an element of `picks`; None when it is for no timeout."""
    code = int.from_bytes(key, sys.byteorder) - layout.MAX_ENDPOINTS - 1
    seconds = chain.removeprefix("affinity-").partition("-")[0]
    return (int(seconds), code // 2) if code >= 0 and seconds.isdigit() else None
