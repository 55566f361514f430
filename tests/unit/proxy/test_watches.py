"""From watch events to the service map."""

from __future__ import annotations

import pytest

from tests.unit.services.objects import endpoint, node, service_object, slice_object
from wellhead.api.meta import Obj
from wellhead.api.names import TRIGGER_TIME_ANNOTATION
from wellhead.proxy.metrics import Metrics
from wellhead.proxy.watches import Watches, read_service, read_slice
from wellhead.services.node_view import NodeView
from wellhead.services.service_map import ServiceMap

STARTED = 1704067200.0  # 2024-01-01T00:00:00Z


class World:
    def __init__(self) -> None:
        self.services = ServiceMap()
        self.requests = 0
        self.metrics = Metrics()
        self.watches = Watches(self.services, self.metrics, self._request, STARTED)
        self.view = NodeView(self.services, node())

    def _request(self) -> None:
        self.requests += 1

    def service(self, old: Obj | None, new: Obj | None) -> None:
        self.watches.on_service(read_service(old) if old else None, read_service(new) if new else None)

    def slice(self, old: Obj | None, new: Obj | None) -> None:
        self.watches.on_slice(read_slice(old) if old else None, read_slice(new) if new else None)


def test_events_reach_the_view_and_ask_for_a_sync() -> None:
    world = World()
    service, endpoints = service_object(), slice_object(endpoint("10.244.1.2"))
    world.service(None, service)
    world.slice(None, endpoints)
    assert world.requests == 2
    world.view.update()
    [port] = world.view.ports.values()
    assert len(port.cluster) == 1
    world.slice(endpoints, None)
    world.service(service, None)
    world.view.update()
    assert not world.view.ports


def test_an_object_that_cannot_be_read_is_left_out() -> None:
    world = World()
    broken = service_object("broken", ports=({"port": 80, "protocol": "CARRIER-PIGEON"},))
    world.service(None, broken)
    world.service(None, service_object("sound", cluster_ips=("10.0.0.11",)))
    world.view.update()
    assert [key.service for key in world.view.ports] == ["sound"]


def test_a_wish_to_keep_the_clients_address_that_says_nothing_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = service_object()
    for wish, named in ({"true": False, "false": False, "True": True, "yes": True}).items():
        caplog.clear()
        service["metadata"]["annotations"] = {"wellhead.dev/preserve-client-ip": wish}
        read_service(service)
        assert (repr(wish) in caplog.text) == named


def test_a_service_that_becomes_headless_is_no_longer_served() -> None:
    world = World()
    before = service_object()
    world.service(None, before)
    world.service(before, service_object(type="ExternalName", clusterIP=""))
    world.view.update()
    assert not world.view.ports


def changed_at(time: str) -> Obj:
    made = slice_object()
    made["metadata"]["annotations"] = {TRIGGER_TIME_ANNOTATION: time}
    return made


def test_trigger_times_are_taken_once() -> None:
    world = World()
    new = changed_at("2024-01-01T00:00:05Z")
    world.slice(None, slice_object())
    world.slice(slice_object(), new)
    world.slice(new, new)
    assert world.watches.take_triggers() == [STARTED + 5]
    assert world.watches.take_triggers() == []


def test_what_a_new_slice_shows_is_measured_unless_it_is_older_than_the_proxy() -> None:
    world = World()
    world.slice(None, changed_at("2024-01-01T00:00:07Z"))
    world.slice(None, changed_at("2023-12-31T23:59:59Z"))
    world.slice(changed_at("2024-01-01T00:00:07Z"), None)
    assert world.watches.take_triggers() == [STARTED + 7]
