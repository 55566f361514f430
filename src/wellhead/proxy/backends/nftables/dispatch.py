"""Which chains there are besides the base chains, and the codes by which elements name them.

The elements of Services hold codes, and small verdict maps lead from a code to a chain: see `layout.py`.
"""

from __future__ import annotations

import sys
from functools import lru_cache
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
    """Of endpoints, or of seconds."""
    scope: Scope = Scope.CLUSTER
    routing: Routing | None = None
    returns: bool = False

    @property
    def element(self) -> Element:
        return Element(ElementKey(self.map, word(self.code)), Verdict(self.chain, self.returns))


def handling_chain(handling: Handling) -> str:
    """The chain that a packet goes to once it is clear where it comes from."""
    if handling.action is not Action.FORWARD:
        return _REFUSALS[handling.action]
    if handling.preserve:
        return f"{handling.scope.value}-preserve"
    return f"{handling.scope.value}-masquerade" if handling.masquerade else f"{handling.scope.value}"


def routing_chain(routing: Routing, *, restricted: bool) -> str:
    """The chain of a frontend: `restricted` when not everybody may use it."""
    name = ".".join(handling_chain(each) for each in routing)
    if routing.pods == routing.node == routing.others:
        name = handling_chain(routing.others)
    return f"{RESTRICTED}{name}" if restricted else name


@lru_cache(maxsize=1024)
def policy(routing: Routing, restricted: bool) -> Dispatch:
    """The policy of a frontend. Its code says what its chain does, like digits of a number."""
    code = int(restricted)
    for each in routing:
        code = code * len(HANDLINGS) + _digit(each)
    name = routing_chain(routing, restricted=restricted)
    return Dispatch(layout.POLICIES, code + 1, name, routing=routing)


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
