from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from tests.examples import examples
from tests.unit.api.objects import Services, create, named, problems
from wellhead.api.errors import InternalError, Invalid
from wellhead.api.kinds.service.allocation import ServicePool, allocate, holdings
from wellhead.api.meta import Obj
from wellhead.api.ranges import AddressRanges
from wellhead.api.resources import SERVICES

IPV4 = ip_network("10.0.0.0/16")


@pytest.fixture
def services() -> Services:
    return Services("10.0.0.0/16")


def refusal(services: Services, **spec: Any) -> list[str]:
    with pytest.raises(Invalid) as refused:
        services.create("refused", **spec)
    return problems(refused.value)


def test_a_cluster_ip_service_gets_an_address_and_no_node_port(services: Services) -> None:
    spec = services.create()["spec"]
    assert ip_address(spec["clusterIP"]) in IPV4
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")
    assert "nodePort" not in spec["ports"][0]


def test_random_choice_leaves_the_lower_band_to_people(services: Services) -> None:
    spec = services.create(type="NodePort")["spec"]
    assert IPv4Address(spec["clusterIP"]) > IPv4Address("10.0.1.0")
    assert spec["ports"][0]["nodePort"] >= 30086


def test_headless_and_external_name_get_no_address(services: Services) -> None:
    headless = services.create("h", clusterIP="None", selector={"a": "b"})["spec"]
    assert (headless["clusterIP"], headless["clusterIPs"]) == ("None", ["None"])
    external = services.create("e", type="ExternalName", externalName="example.com")["spec"]
    assert not {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"} & set(
        external
    )
    assert not services.pool.addresses


def test_requested_address(services: Services) -> None:
    assert services.create("x", clusterIP="10.0.0.7")["spec"]["clusterIPs"] == ["10.0.0.7"]
    assert refusal(services, clusterIP="10.0.0.7") == [
        'spec.clusterIPs: Invalid value: ["10.0.0.7"]: failed to allocate IP 10.0.0.7: '
        "provided IP is already allocated"
    ]
    assert (
        "the provided network does not match the current range" in refusal(services, clusterIP="10.1.0.1")[0]
    )
    assert "does not match the current range" in refusal(services, clusterIP="10.0.255.255")[0]


def test_requested_node_port(services: Services) -> None:
    services.create("x", type="NodePort", ports=[{"port": 80, "nodePort": 30080}])
    assert refusal(services, type="NodePort", ports=[{"port": 80, "nodePort": 30080}]) == [
        "spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated"
    ]
    assert refusal(services, type="NodePort", ports=[{"port": 80, "nodePort": 80}]) == [
        "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. "
        "The range of valid ports is 30000-32767"
    ]


def test_two_protocols_of_one_service_may_share_a_node_port(services: Services) -> None:
    both = [{"name": p.lower(), "port": 53, "protocol": p, "nodePort": 30053} for p in ("TCP", "UDP")]
    assert services.create("dns", type="NodePort", ports=both)["spec"]["ports"][1]["nodePort"] == 30053
    other = [{"port": 53, "protocol": "SCTP", "nodePort": 30053}]
    assert "provided port is already allocated" in refusal(services, type="NodePort", ports=other)[0]


def test_two_protocols_on_one_port_share_the_allocated_node_port(services: Services) -> None:
    ports = [{"name": p.lower(), "port": 53, "protocol": p} for p in ("TCP", "UDP")]
    tcp, udp = services.create(type="NodePort", ports=ports)["spec"]["ports"]
    assert tcp["nodePort"] == udp["nodePort"]


def test_health_check_node_port_comes_with_load_balancer_and_local(services: Services) -> None:
    services.create(type="LoadBalancer")
    assert "healthCheckNodePort" not in services.stored["a"]["spec"]
    number = services.update(externalTrafficPolicy="Local")["spec"]["healthCheckNodePort"]
    assert number in services.pool.ports
    assert services.update(selector={"x": "y"})["spec"]["healthCheckNodePort"] == number
    with pytest.raises(Invalid, match="field is immutable"):
        services.update(healthCheckNodePort=30001 if number != 30001 else 30002)
    assert "healthCheckNodePort" not in services.update(externalTrafficPolicy="Cluster")["spec"]
    assert number not in services.pool.ports


def test_health_check_node_port_may_be_asked_for_and_shares_the_number_space(services: Services) -> None:
    local = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 31000}
    assert services.create("x", **local)["spec"]["healthCheckNodePort"] == 31000
    assert refusal(services, **local) == [
        "spec.healthCheckNodePort: Invalid value: 31000: provided port is already allocated"
    ]
    ports = [{"port": 80, "nodePort": 31000}]
    assert "already allocated" in refusal(services, type="NodePort", ports=ports)[0]
    assert (
        "already allocated" in refusal(services, **(local | {"ports": [{"port": 1, "nodePort": 31000}]}))[0]
    )


def test_a_change_of_type_releases_what_it_has_no_use_for(services: Services) -> None:
    first = services.create(type="LoadBalancer", externalTrafficPolicy="Local")["spec"]
    second = services.update(type="ClusterIP")["spec"]
    assert second["clusterIP"] == first["clusterIP"]
    assert services.pool.ports == set()
    gone = {"healthCheckNodePort", "externalTrafficPolicy", "allocateLoadBalancerNodePorts"}
    assert not gone & set(second)
    third = services.update(type="ExternalName", externalName="example.com")["spec"]
    assert not {"clusterIP", "clusterIPs", "ipFamilies", "internalTrafficPolicy"} & set(third)
    assert services.pool.addresses == set()


def test_node_ports_survive_node_port_to_load_balancer_and_new_ports(services: Services) -> None:
    services.create(type="NodePort", ports=[{"name": "b", "port": 80}])
    number = services.stored["a"]["spec"]["ports"][0]["nodePort"]
    assert services.update(type="LoadBalancer")["spec"]["ports"][0]["nodePort"] == number
    ports = [{"name": "a", "port": 81}, {"name": "b", "port": 80}]
    after = services.update(ports=ports)["spec"]["ports"]
    assert after[1]["nodePort"] == number != after[0]["nodePort"]


def test_load_balancer_without_node_ports(services: Services) -> None:
    spec = services.create(type="LoadBalancer", allocateLoadBalancerNodePorts=False)["spec"]
    assert "nodePort" not in spec["ports"][0]


def test_cluster_ip_is_kept_when_the_client_leaves_it_out_and_cannot_change(services: Services) -> None:
    ip = services.create()["spec"]["clusterIP"]
    assert services.update(clusterIP=None, clusterIPs=None)["spec"]["clusterIP"] == ip
    other = "10.0.0.9" if ip != "10.0.0.9" else "10.0.0.8"
    with pytest.raises(Invalid, match="may not change once set"):
        services.update(clusterIP=other)
    with pytest.raises(Invalid, match="may not change once set"):
        services.update(clusterIP="None")


def test_a_refused_or_dry_run_changes_no_pool(services: Services) -> None:
    new = create(SERVICES, named(spec={"type": "NodePort", "ports": [{"port": 80}]}))
    allocate(new, None, services.pool)
    assert services.pool == ServicePool(AddressRanges((IPV4,)))
    assert "clusterIP" not in new["spec"]
    assert "nodePort" not in new["spec"]["ports"][0]


def test_a_full_range_is_an_internal_error() -> None:
    services = Services("10.0.0.0/30", node_ports=range(30000, 30002))
    services.create("a", type="NodePort")
    services.create("b", type="NodePort")
    with pytest.raises(InternalError, match="range is full"):
        services.create("c")


TYPES = st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"])
PORTS = st.lists(
    st.tuples(st.integers(1, 3), st.sampled_from(["TCP", "UDP"]), st.none() | st.integers(30000, 30006)),
    min_size=1,
    max_size=3,
    unique_by=lambda port: port[:2],
)


POLICIES = st.sampled_from([None, "SingleStack", "PreferDualStack", "RequireDualStack"])


class AnyHistory(RuleBasedStateMachine):
    """Whatever is created, changed and deleted: nothing is given twice, everything comes back."""

    names: Bundle[str] = Bundle("names")

    @initialize()
    def cluster(self) -> None:
        self.services = Services("10.0.0.0/28", "fd00::/125", node_ports=range(30000, 30010))
        self.count = 0

    @rule(target=names, type=TYPES, ports=PORTS, local=st.booleans(), policy=POLICIES)
    def create(
        self, type: str, ports: list[tuple[int, str, int | None]], local: bool, policy: str | None
    ) -> str:
        self.count += 1
        name = f"s{self.count}"
        try:
            self.services.create(name, **self.spec(type, ports, local, policy))
        except (Invalid, InternalError):
            self.services.create(name, clusterIP="None")
        return name

    @rule(name=names, type=TYPES, ports=PORTS, local=st.booleans(), policy=POLICIES)
    def change(
        self, name: str, type: str, ports: list[tuple[int, str, int | None]], local: bool, policy: str | None
    ) -> None:
        before = self.services.stored[name]
        try:
            after = self.services.update(name, **self.spec(type, ports, local, policy))
        except (Invalid, InternalError):
            assert self.services.stored[name] == before
        else:
            old, new = before["spec"], after["spec"]
            if "ExternalName" not in (old["type"], new["type"]):
                assert new["clusterIP"] == old["clusterIP"]
                assert new["ipFamilies"][0] == old["ipFamilies"][0]

    @rule(name=consumes(names))
    def delete(self, name: str) -> None:
        self.services.delete(name)

    @invariant()
    def nothing_is_held_twice_and_nothing_leaks(self) -> None:
        held = [holdings(service) for service in self.services.stored.values()]
        pool = self.services.pool
        assert sum(len(each.addresses) for each in held) == len(pool.addresses)
        assert {address for each in held for address in each.addresses} == pool.addresses
        assert sum(len(each.ports) for each in held) == len(pool.ports)
        assert {port for each in held for port in each.ports} == pool.ports
        for service in self.services.stored.values():
            self.check(service["spec"])

    @staticmethod
    def check(spec: Obj) -> None:
        local = spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"
        assert ("healthCheckNodePort" in spec) is local
        exposed = spec["type"] in ("NodePort", "LoadBalancer")
        assert all(("nodePort" in port) is exposed for port in spec.get("ports") or ())
        assert ("clusterIP" in spec) is (spec["type"] != "ExternalName")
        if spec.get("clusterIP", "None") != "None":
            assert spec["clusterIPs"][0] == spec["clusterIP"]
            families = [f"IPv{ip_address(text).version}" for text in spec["clusterIPs"]]
            assert families == spec["ipFamilies"]
            assert (len(families) == 1) is (spec["ipFamilyPolicy"] == "SingleStack")

    @staticmethod
    def spec(
        type: str, ports: list[tuple[int, str, int | None]], local: bool, policy: str | None = None
    ) -> Obj:
        exposed = type in ("NodePort", "LoadBalancer")
        spec: Obj = {"type": type, "externalName": "example.com" if type == "ExternalName" else None}
        spec["ports"] = [
            {"name": f"p{i}", "port": port, "protocol": protocol}
            | ({"nodePort": np} if np and exposed else {})
            for i, (port, protocol, np) in enumerate(ports)
        ]
        if exposed:
            spec["externalTrafficPolicy"] = "Local" if local else "Cluster"
        if policy is not None:
            spec["ipFamilyPolicy"] = policy
        return {name: value for name, value in spec.items() if value is not None}


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=examples(60), stateful_step_count=15, deadline=None)


@given(st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer"]), st.booleans(), POLICIES)
def test_allocation_is_stable(type: str, local: bool, policy: str | None) -> None:
    services = Services("10.0.0.0/16", "fd00:10::/112")
    external = {"externalTrafficPolicy": "Local" if local else "Cluster"} if type != "ClusterIP" else {}
    first = services.create(type=type, **external, **({"ipFamilyPolicy": policy} if policy else {}))
    assert services.update() == first


def test_a_range_that_is_used_up_is_remembered_until_an_address_comes_back() -> None:
    services = Services("10.0.0.0/30", "fd00::/125")
    services.create("a")
    services.create("b")
    for name in ("c", "d"):
        with pytest.raises(InternalError, match="range is full"):
            services.create(name)
    services.delete("a")
    services.create("c")


def test_a_replace_keeps_node_ports_by_the_ports_names(services: Services) -> None:
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81}, {"name": "c", "port": 82}]
    services.create(type="NodePort", ports=ports)
    a, b, c = (port["nodePort"] for port in services.stored["a"]["spec"]["ports"])

    def after(*ports: dict[str, Any]) -> list[int]:
        return [port["nodePort"] for port in services.update(ports=list(ports))["spec"]["ports"]]

    renumbered = ({"name": "a", "port": 8080}, {"name": "b", "port": 81, "protocol": "UDP"})
    assert after(*renumbered, {"name": "c", "port": 82}) == [a, b, c]
    # Another port took the number: by name it would be c's.
    kept = after(
        {"name": "a", "port": 80, "nodePort": c}, {"name": "b", "port": 81}, {"name": "c", "port": 82}
    )
    assert kept[:2] == [c, b]
    assert kept[2] not in (a, b, c)
    # A new name is a new port, though its number is an old one's.
    assert after({"name": "d", "port": 80})[0] not in (*kept, a)


def test_the_port_of_a_service_with_one_may_change_its_number(services: Services) -> None:
    services.create(type="LoadBalancer", externalTrafficPolicy="Local")
    before = services.stored["a"]["spec"]
    left_out: dict[str, Any] = {"clusterIP": None, "clusterIPs": None, "healthCheckNodePort": None}
    after = services.update(ports=[{"port": 8080, "protocol": "UDP"}], **left_out)["spec"]
    assert after["ports"][0]["nodePort"] == before["ports"][0]["nodePort"]
    for field in left_out:
        assert after[field] == before[field]


def test_a_port_may_go_together_with_the_type(services: Services) -> None:
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
    kept = services.create(type="NodePort", ports=ports)["spec"]["ports"][0]
    assert "nodePort" not in services.update(type="ClusterIP", ports=[kept])["spec"]["ports"][0]
    assert services.pool.ports == set()
