"""Kept answers and changes: what is answered is always what a server that has just started would answer."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.examples import examples
from tests.unit.dns.world import ask, endpoint, endpoint_slice, external, responder, service, told
from wellhead.api.meta import Obj
from wellhead.dns.cache import Cache, Entry
from wellhead.dns.objects import read_service, read_slice

_NAMESPACES = ("shop", "bank")
_SERVICES = ("a", "b")
_ADDRESSES = ("10.244.1.1", "10.244.1.2", "10.0.0.1")
_QUESTIONS = [
    *((f"{name}.{namespace}.svc.cluster.local", type_)
      for name in _SERVICES for namespace in _NAMESPACES for type_ in ("A", "SRV")),
    *((f"h.{name}.{namespace}.svc.cluster.local", "A") for name in _SERVICES for namespace in _NAMESPACES),
    *((f"{namespace}.{kind}.cluster.local", "A") for namespace in _NAMESPACES for kind in ("svc", "pod")),
    *((f"1-2-3-4.{namespace}.pod.cluster.local", "A") for namespace in _NAMESPACES),
    *((".".join(reversed(ip.split("."))) + ".in-addr.arpa", "PTR") for ip in _ADDRESSES),
]  # fmt: skip
_names = st.tuples(st.sampled_from(_NAMESPACES), st.sampled_from(_SERVICES))
_endpoints = st.lists(
    st.builds(endpoint, st.sampled_from(_ADDRESSES), st.sampled_from(["", "h"]), st.booleans()), max_size=2
)


class Changes(RuleBasedStateMachine):
    """Objects come, change and go between questions."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = responder(namespaces=())
        self.namespaces: set[str] = set()
        self.services: dict[tuple[str, str], Obj] = {}
        self.slices: dict[tuple[str, str], Obj] = {}

    @rule(name=st.sampled_from(_NAMESPACES))
    def toggle_namespace(self, name: str) -> None:
        is_there = name in self.namespaces
        self.asked.zone.namespace_changed(name if is_there else None, None if is_there else name)
        self.namespaces ^= {name}

    @rule(key=_names, ips=st.lists(st.sampled_from(_ADDRESSES), max_size=1))
    def set_service(self, key: tuple[str, str], ips: list[str]) -> None:
        self._set_service(key, service(key[1], *ips, namespace=key[0]))

    @rule(key=_names, to=_names)
    def set_external(self, key: tuple[str, str], to: tuple[str, str]) -> None:
        self._set_service(key, external(key[1], f"{to[1]}.{to[0]}.svc.cluster.local", key[0]))

    @rule(key=_names)
    def delete_service(self, key: tuple[str, str]) -> None:
        self._set_service(key, None)

    @rule(key=_names, endpoints=_endpoints)
    def set_slice(self, key: tuple[str, str], endpoints: list[Obj]) -> None:
        self._set_slice(key, endpoint_slice(key[1], *endpoints, namespace=key[0], name=key[1]))

    @rule(key=_names)
    def delete_slice(self, key: tuple[str, str]) -> None:
        self._set_slice(key, None)

    @rule()
    def ask_everything(self) -> None:
        fresh = responder(*self.services.values(), *self.slices.values(), namespaces=sorted(self.namespaces))
        for name, type_ in _QUESTIONS:
            assert told(ask(self.asked, name, type_)) == told(ask(fresh, name, type_)), name

    def _set_service(self, key: tuple[str, str], new: Obj | None) -> None:
        old = self.services.pop(key, None)
        self.asked.zone.service_changed(
            read_service(old) if old else None, read_service(new) if new else None
        )
        if new is not None:
            self.services[key] = new

    def _set_slice(self, key: tuple[str, str], new: Obj | None) -> None:
        old = self.slices.pop(key, None)
        self.asked.zone.slice_changed(read_slice(old) if old else None, read_slice(new) if new else None)
        if new is not None:
            self.slices[key] = new


TestChanges = Changes.TestCase
TestChanges.settings = settings(max_examples=examples(40), stateful_step_count=20, deadline=None)


def test_a_change_forgets_what_rests_on_it_and_nothing_else() -> None:
    made = responder(service("web", "10.0.3.7"), service("db", "10.0.3.8"))
    for name in ("web", "db"):
        ask(made, f"{name}.shop.svc.cluster.local", id=1)
    held = len(made)
    old = read_service(service("web", "10.0.3.7"))
    made.zone.service_changed(old, None)
    assert len(made) == held - 1
    assert told(ask(made, "web.shop.svc.cluster.local"))[0] == "NXDOMAIN"
    assert told(ask(made, "db.shop.svc.cluster.local"))[1] == ["A 10.0.3.8"]


def test_the_cache_has_a_bound() -> None:
    cache = Cache(2)
    for number in range(5):
        cache.put(bytes([number]), Entry((b"",), "A", ".", "NOERROR", (("address", str(number % 2)),)))
    assert [cache.get(bytes([number])) is not None for number in range(5)] == [False] * 3 + [True] * 2
    cache.changed([("address", "0"), ("address", "1")])
    assert len(cache) == 0


@pytest.mark.parametrize("conditions", [{"ready": True}, {"ready": True, "serving": False}])
def test_what_is_published_although_it_does_not_serve_is_answered(conditions: dict[str, bool]) -> None:
    # A Service with publishNotReadyAddresses: the controller makes its endpoints ready.
    published = endpoint("10.244.1.1") | {"conditions": conditions}
    made = responder(service("db"), endpoint_slice("db", published))
    assert told(ask(made, "db.shop.svc.cluster.local")) == ("NOERROR", ["A 10.244.1.1"])
