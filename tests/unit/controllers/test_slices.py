"""Slices partition the endpoints, and change as little as possible."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wellhead.api.meta import Obj
from wellhead.api.types.endpointslice import Endpoint, EndpointSlice
from wellhead.api.types.pod import Pod
from wellhead.api.types.service import Service
from wellhead.controllers.endpointslice.desired import desired_endpoints, frame_of
from wellhead.controllers.endpointslice.hints import shared_out
from wellhead.controllers.endpointslice.mirroring import mirrored_endpoints
from wellhead.controllers.endpointslice.ports import Port
from wellhead.controllers.endpointslice.slices import Changes, Frame, SliceKind, changes

FRAME = Frame("web-", "default", {"kubernetes.io/service-name": "web"}, {}, [])
MOST = 4
KINDS: list[SliceKind] = [("IPv4", (Port("http", 80, "TCP"),)), ("IPv4", (Port("http", 81, "TCP"),))]


def endpoint(number: int, ready: bool = True) -> Endpoint:
    address = f"10.244.{number // 250}.{number % 250}"
    return {"addresses": [address], "conditions": {"ready": ready}, "targetRef": {"uid": str(number)}}


class Slices:
    """What an API server would make of changes."""

    def __init__(self) -> None:
        self.objects: dict[str, EndpointSlice] = {}
        self.created = 0

    def carry_out(self, decided: Changes) -> None:
        for each in decided.create:
            self.created += 1
            name = f"web-{self.created}"
            self.objects[name] = {**each, "metadata": {**each["metadata"], "name": name}}
        for each in decided.update:
            self.objects[each["metadata"]["name"]] = each
        for each in decided.delete:
            del self.objects[each["metadata"]["name"]]

    def settle(self, desired: dict[SliceKind, list[Endpoint]]) -> Changes:
        decided = changes(list(self.objects.values()), desired, FRAME, ["IPv4"], MOST)
        self.carry_out(decided)
        return decided

    def endpoints(self) -> list[str]:
        return sorted(e["targetRef"]["uid"] for each in self.objects.values() for e in each["endpoints"])


members = st.dictionaries(st.integers(0, 30), st.tuples(st.booleans(), st.sampled_from(KINDS)), max_size=20)


def wanted(pods: dict[int, tuple[bool, SliceKind]]) -> dict[SliceKind, list[Endpoint]]:
    desired: dict[SliceKind, list[Endpoint]] = {}
    for number, (ready, kind) in pods.items():
        desired.setdefault(kind, []).append(endpoint(number, ready))
    return desired


@given(st.lists(members, min_size=1, max_size=6))
def test_every_endpoint_is_in_exactly_one_slice_of_at_most_so_many(
    history: list[dict[int, tuple[bool, SliceKind]]],
) -> None:
    slices = Slices()
    for pods in history:
        slices.settle(wanted(pods))
        assert slices.endpoints() == sorted(map(str, pods))
        assert all(len(each["endpoints"]) <= MOST for each in slices.objects.values())
        assert slices.objects
        if pods:
            assert all(each["endpoints"] for each in slices.objects.values())
        else:
            assert len(slices.objects) == 1
        assert not slices.settle(wanted(pods)), "a second look changes nothing"


@given(members.filter(bool), st.data())
def test_one_pods_change_of_readiness_rewrites_one_slice(
    pods: dict[int, tuple[bool, SliceKind]], data: st.DataObject
) -> None:
    slices = Slices()
    slices.settle(wanted(pods))
    number = data.draw(st.sampled_from(sorted(pods)))
    ready, kind = pods[number]
    decided = slices.settle(wanted({**pods, number: (not ready, kind)}))
    assert (len(decided.create), len(decided.update), len(decided.delete)) == (0, 1, 0)


@given(members, st.integers(31, 40))
def test_one_new_pod_writes_one_slice(pods: dict[int, tuple[bool, SliceKind]], number: int) -> None:
    slices = Slices()
    slices.settle(wanted(pods))
    decided = slices.settle(wanted({**pods, number: (True, KINDS[0])}))
    assert len(decided.create) + len(decided.update) == 1


def pod(name: str, ip: str = "10.244.1.2", **spec: Any) -> Any:
    return {
        "metadata": {"name": name, "namespace": "default", "uid": name, "labels": {"app": "web"}},
        "spec": {"nodeName": "node-1", "containers": [], **spec},
        "status": {
            "phase": "Running",
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def service(**spec: Any) -> Any:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "default", "uid": "s"},
        "spec": {
            "selector": {"app": "web"},
            "ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}],
            "clusterIP": "10.0.0.7",
            "ipFamilies": ["IPv4"],
            **spec,
        },
    }


NODES: Any = {"node-1": {"metadata": {"name": "node-1", "labels": {"topology.kubernetes.io/zone": "a"}}}}


def only(service: Service, pod: Pod) -> Endpoint | None:
    found = [each for group in desired_endpoints(service, [pod], NODES).values() for each in group]
    return found[0] if found else None


def conditions(service: Service, pod: Pod) -> Obj:
    found = only(service, pod)
    assert found is not None
    return dict(found["conditions"])


def test_conditions_of_ready_unready_and_terminating_pods() -> None:
    ready, waiting, ending = pod("a"), pod("b"), pod("c")
    waiting["status"]["conditions"][0]["status"] = "False"
    ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert conditions(service(), ready) == {"ready": True, "serving": True, "terminating": False}
    assert conditions(service(), waiting) == {"ready": False, "serving": False, "terminating": False}
    assert conditions(service(), ending) == {"ready": False, "serving": True, "terminating": True}
    publishing = service(publishNotReadyAddresses=True)
    assert all(conditions(publishing, each)["ready"] for each in (ready, waiting, ending))


def test_pods_that_ended_or_have_no_address_are_no_endpoints() -> None:
    for phase in ("Succeeded", "Failed"):
        ended = pod("a")
        ended["status"]["phase"] = phase
        assert only(service(), ended) is None
    pending = pod("a")
    pending["status"] = {"phase": "Pending"}
    assert only(service(), pending) is None
    assert only(service(), pod("a", nodeName="gone")) is None


def test_an_endpoint_names_node_zone_and_pod() -> None:
    found = only(service(), pod("a"))
    assert found is not None
    assert (found["nodeName"], found["zone"]) == ("node-1", "a")
    assert found["targetRef"] == {"kind": "Pod", "namespace": "default", "name": "a", "uid": "a"}


def test_a_hostname_counts_within_the_services_subdomain() -> None:
    found = only(service(), pod("a", hostname="h", subdomain="web"))
    assert found is not None
    assert found["hostname"] == "h"
    other = only(service(), pod("a", hostname="h", subdomain="other"))
    assert other is not None
    assert "hostname" not in other


def test_named_target_ports_resolve_per_pod() -> None:
    def listening(number: int) -> list[Obj]:
        return [{"name": "c", "ports": [{"name": "http", "containerPort": number}]}]

    named = service(ports=[{"port": 80, "targetPort": "http", "protocol": "TCP"}])
    pods = [
        pod("a", "10.244.1.2", containers=listening(8080)),
        pod("b", "10.244.1.3", containers=listening(9090)),
    ]
    found = desired_endpoints(named, pods, NODES)
    assert {kind[1][0].port for kind in found} == {8080, 9090}


def test_traffic_distribution_writes_hints_for_ready_endpoints_only() -> None:
    near = only(service(trafficDistribution="PreferClose"), pod("a"))
    assert near is not None
    assert near["hints"] == {"forZones": [{"name": "a"}]}
    nearest = only(service(trafficDistribution="PreferSameNode"), pod("a"))
    assert nearest is not None
    assert nearest["hints"] == {"forZones": [{"name": "a"}], "forNodes": [{"name": "node-1"}]}
    waiting = pod("b")
    waiting["status"]["conditions"][0]["status"] = "False"
    without = only(service(trafficDistribution="PreferClose"), waiting)
    assert without is not None
    assert "hints" not in without


def test_headless_services_label_their_slices() -> None:
    assert "service.kubernetes.io/headless" in frame_of(service(clusterIP="None"), None).labels
    labelled = service()
    labelled["metadata"]["labels"] = {"service.kubernetes.io/headless": "", "team": "x"}
    copied = frame_of(labelled, None).labels
    assert "service.kubernetes.io/headless" not in copied
    assert copied["team"] == "x"


def test_topology_mode_auto_gives_each_zone_a_share_like_its_cpus() -> None:
    found: list[Endpoint] = [{**endpoint(n), "zone": "ab"[n % 2]} for n in range(9)]
    hinted = shared_out(found, {"a": 8000, "b": 4000})
    zones = [each["hints"]["forZones"][0]["name"] for each in hinted]
    assert (zones.count("a"), zones.count("b")) == (6, 3)
    assert shared_out(found[:1], {"a": 8000, "b": 4000}) == found[:1]


def test_mirroring_takes_all_subsets_and_both_families() -> None:
    subsets = [
        {"addresses": [{"ip": "192.0.2.1"}, {"ip": "2001:db8::1"}], "ports": [{"port": 80}]},
        {"notReadyAddresses": [{"ip": "192.0.2.2"}], "ports": [{"port": 80}, {"name": "b", "port": 81}]},
    ]
    found = mirrored_endpoints({"metadata": {"name": "x"}, "subsets": subsets})
    assert sorted((family, len(ports), len(each)) for (family, ports), each in found.items()) == [
        ("IPv4", 1, 1),
        ("IPv4", 2, 1),
        ("IPv6", 1, 1),
    ]
