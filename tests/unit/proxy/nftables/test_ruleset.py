"""What a table is to hold, for any history of the cluster."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.unit.services.objects import endpoint, endpoint_slice, node, service
from wellhead.ip import Family
from wellhead.linux.nftables.content import difference
from wellhead.linux.nftables.fake import FakeTable
from wellhead.linux.nftables.objects import Chain, Element, Transaction
from wellhead.proxy.backends.nftables.ruleset import Ruleset
from wellhead.proxy.backends.tables import in_parts
from wellhead.services.endpointslice import EndpointSlice
from wellhead.services.names import ServiceKey
from wellhead.services.node import Ways
from wellhead.services.node_view import NodeView
from wellhead.services.service import Service
from wellhead.services.service_map import ServiceMap

NAMES = ("a", "b", "c")
INSIDE = tuple(
    ip_network(each)
    for each in (
        "10.240.0.11",
        "10.240.0.12",
        "10.244.0.0/24",
        "10.244.1.0/24",
        "fd00:10:240::11",
        "fd00::/64",
    )
)


@st.composite
def services(draw: st.DrawFn) -> Service:
    """Few addresses, so that Services claim the same ones."""
    name = draw(st.sampled_from(NAMES))
    last = NAMES.index(name) + 1
    affinity = draw(st.sampled_from([None, 60, 10800]))
    spec: dict[str, Any] = {}
    if affinity is not None:
        spec["sessionAffinity"] = "ClientIP"
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": affinity}}
    return service(
        name,
        cluster_ips=(f"10.0.0.{last}", f"fd00:10::{last}"),
        created=draw(st.sampled_from(["2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"])),
        type="LoadBalancer",
        ports=({"name": "tcp", "port": 80, "nodePort": draw(st.sampled_from([0, 30080]))},),
        externalIPs=draw(st.lists(st.sampled_from(["198.18.0.1", "10.0.0.2", "2001:db8::1"]), max_size=2)),
        ingress=tuple({"ip": each} for each in draw(st.lists(st.just("203.0.113.1"), max_size=1))),
        externalTrafficPolicy=draw(st.sampled_from(["Cluster", "Local"])),
        internalTrafficPolicy=draw(st.sampled_from(["Cluster", "Local"])),
        loadBalancerSourceRanges=draw(
            st.lists(st.sampled_from(["10.240.0.0/24", "10.240.0.128/25", "fd00::/8"]), max_size=2)
        ),
        annotations=draw(st.sampled_from([{}, {"wellhead.dev/preserve-client-ip": "true"}])),
        **spec,
    )


@st.composite
def slices(draw: st.DrawFn) -> EndpointSlice:
    family, prefix = draw(st.sampled_from([("IPv4", "10.244.0."), ("IPv6", "fd00::")]))
    return endpoint_slice(
        *(
            endpoint(f"{prefix}{each}", draw(st.sampled_from(["node-1", "node-2", None])))
            for each in draw(st.lists(st.integers(1, 6), max_size=4, unique=True))
        ),
        of=draw(st.sampled_from(NAMES)),
        name=draw(st.sampled_from(["s1", "s2", "s3"])),
        family=family,
        ports=({"name": "tcp", "port": 8080},),
    )


nodes = st.builds(
    node,
    cluster_networks=st.sampled_from([(), INSIDE[2:4]]),
    ways=st.builds(
        Ways,
        routed=st.lists(st.sampled_from(INSIDE), unique=True).map(tuple),
        bridges=st.sampled_from([(), ("br0",), ("br0", "cni0")]),
    ),
    detects=st.booleans(),
    returning=st.sampled_from([frozenset(), frozenset({"node-2"})]),
    inside=st.lists(st.sampled_from(INSIDE), unique=True).map(tuple),
)

steps = st.lists(
    st.one_of(
        services().map(lambda each: ("service", each.key, each)),
        st.sampled_from(NAMES).map(lambda name: ("service", ServiceKey("default", name), None)),
        slices().map(lambda each: ("slice", each.name, each)),
        st.sampled_from(["s1", "s2", "s3"]).map(lambda name: ("slice", name, None)),
        nodes.map(lambda each: ("node", None, each)),
        st.just(("update", None, None)),
    ),
    max_size=25,
)


class Proxy:
    """A ruleset that follows a cluster, and the table that takes its transactions."""

    def __init__(
        self,
        cluster: ServiceMap,
        table: FakeTable,
        family: Family,
        make: Callable[[Family], Any] = Ruleset,
    ) -> None:
        self.table = table
        self.view = NodeView(cluster, node())
        self.ruleset = make(family)

    def start(self) -> Transaction:
        held = self.table.content()
        self.ruleset.adopt(held)
        fresh = self.ruleset.update(self.view.update())
        assert not fresh.delete_elements
        found = difference(self.ruleset, fresh.add_elements, held)
        self.table.commit(found)
        return found

    def update(self) -> None:
        self.table.commit(self.ruleset.update(self.view.update()))


def play(
    history: list[tuple[str, Any, Any]], family: Family, make: Callable[[Family], Any] = Ruleset
) -> tuple[ServiceMap, Proxy]:
    cluster = ServiceMap()
    proxy = Proxy(cluster, FakeTable(), family, make)
    proxy.start()
    for what, key, value in history:
        if what == "service":
            cluster.set_service(key, value)
        elif what == "slice":
            cluster.set_slice("default", key, value)
        elif what == "node":
            proxy.view.set_node(value)
        else:
            proxy.update()
    proxy.update()
    return cluster, proxy


def content(elements: Any) -> dict[Any, Any]:
    found = {each.id: each.data for each in elements}
    return dict(sorted(found.items()))


@given(steps, st.sampled_from(Family))
@settings(max_examples=examples(150), deadline=None)
def test_single_changes_lead_where_compiling_from_nothing_leads(
    history: list[tuple[str, Any, Any]], family: Family
) -> None:
    _, proxy = play(history, family)
    assert dict(sorted(proxy.table.elements.items())) == content(proxy.ruleset.elements())
    assert proxy.table.chains == proxy.ruleset.chains
    elements = list(proxy.ruleset.elements())
    assert not difference(proxy.ruleset, elements, proxy.table.content())


@given(steps, st.sampled_from(Family))
@settings(max_examples=examples(100), deadline=None)
def test_a_restart_finds_nothing_to_do_but_remove_chains(
    history: list[tuple[str, Any, Any]], family: Family
) -> None:
    cluster, before = play(history, family)
    after = Proxy(cluster, before.table, family)
    after.view.set_node(before.view.node)
    found = after.start()
    assert not found.add_elements
    assert not found.add_chains
    assert not found.replace_rules
    assert all(each.set in ("picks", "policies", "slot-picks") for each in found.delete_elements)


@given(steps, st.sampled_from(Family), st.integers(1, 3))
@settings(max_examples=examples(60), deadline=None)
def test_a_first_view_in_parts_makes_the_same_table(
    history: list[tuple[str, Any, Any]], family: Family, size: int
) -> None:
    cluster, before = play(history, family)
    view = NodeView(cluster, before.view.node)
    ruleset, table = Ruleset(family), FakeTable()
    for part in in_parts(ruleset, view.update(), size):
        assert not any(chain.hook for chain in table.chains.values()), "in force too early"
        table.commit(part)
    assert not difference(ruleset, ruleset.elements(), table.content())
    assert table.chains == ruleset.chains
    assert any(chain.hook for chain in table.chains.values())


@given(steps, steps, st.sampled_from(Family))
@settings(max_examples=examples(100), deadline=None)
def test_a_restart_makes_up_for_what_happened_meanwhile(
    earlier: list[tuple[str, Any, Any]], later: list[tuple[str, Any, Any]], family: Family
) -> None:
    """Whatever was there, and whatever is wanted now: one transaction that the kernel accepts."""
    _, before = play(earlier, family)
    cluster, _ = play(later, family)
    after = Proxy(cluster, before.table, family)
    after.start()
    assert dict(sorted(before.table.elements.items())) == content(after.ruleset.elements())
    assert before.table.chains == after.ruleset.chains


@given(steps, st.data(), st.sampled_from(Family))
@settings(max_examples=examples(60), deadline=None)
def test_whatever_others_did_is_undone(
    history: list[tuple[str, Any, Any]], data: st.DataObject, family: Family
) -> None:
    _, proxy = play(history, family)
    table = proxy.table
    keys = sorted(table.elements)
    for key in data.draw(st.lists(st.sampled_from(keys), unique=True)) if keys else ():
        del table.elements[key]
    name = data.draw(st.sampled_from(sorted(table.chains)))
    table.chains[name] = Chain(name, (), table.chains[name].hook)
    table.chains["intruder"] = Chain("intruder", ())
    table.commit(difference(proxy.ruleset, proxy.ruleset.elements(), table.content()))
    assert dict(sorted(table.elements.items())) == content(proxy.ruleset.elements())
    assert table.chains == proxy.ruleset.chains


def cluster_of(*found: Service, slices: tuple[EndpointSlice, ...] = ()) -> ServiceMap:
    cluster = ServiceMap()
    for each in found:
        cluster.set_service(each.key, each)
    for one in slices:
        cluster.set_slice("default", one.name, one)
    return cluster


def test_removing_one_of_many_endpoints_changes_three_elements() -> None:
    everyone = [endpoint(f"10.244.2.{each}", "node-2") for each in range(1, 101)]
    cluster = cluster_of(service("a"), slices=(endpoint_slice(*everyone, of="a", name="s"),))
    proxy = Proxy(cluster, FakeTable(), Family.IPV4)
    proxy.start()
    fewer = endpoint_slice(*everyone[:50], *everyone[51:], of="a", name="s")
    cluster.set_slice("default", "s", fewer)
    found = proxy.ruleset.update(proxy.view.update())
    sets = sorted(each.id.set for each in found.add_elements)
    assert sets == ["endpoint-counts", "endpoints", "picks"]  # picks: nobody had 99 before
    assert sorted(each.set for each in found.delete_elements) == ["endpoint-counts", "endpoints", "endpoints"]
    proxy.table.commit(found)


def test_an_endpoint_shared_by_services_may_reach_itself_until_the_last_is_gone() -> None:
    def hairpins(table: FakeTable) -> int:
        return sum(1 for each in table.elements if each.set == "hairpins")

    both = (service("a"), service("b", cluster_ips=("10.0.0.2",)))
    pods = [endpoint_slice(endpoint("10.244.1.2"), of=each, name=each) for each in ("a", "b")]
    cluster = cluster_of(*both, slices=tuple(pods))
    proxy = Proxy(cluster, FakeTable(), Family.IPV4)
    proxy.start()
    assert hairpins(proxy.table) == 1
    for name, left in (("a", 1), ("b", 0)):
        cluster.set_service(ServiceKey("default", name), None)
        proxy.update()
        assert hairpins(proxy.table) == left


def test_chains_do_not_depend_on_how_many_services_there_are() -> None:
    def chains(count: int) -> list[str]:
        found = [service(f"s{each}", cluster_ips=(f"10.0.1.{each}",)) for each in range(count)]
        pods = tuple(
            endpoint_slice(endpoint("10.244.1.2"), of=f"s{each}", name=f"s{each}") for each in range(count)
        )
        proxy = Proxy(cluster_of(*found, slices=pods), FakeTable(), Family.IPV4)
        proxy.start()
        return sorted(proxy.table.chains)

    assert chains(1) == chains(50)


def test_a_table_of_another_version_is_replaced_in_one_transaction() -> None:
    cluster = cluster_of(service("a"), slices=(endpoint_slice(endpoint("10.244.1.2"), of="a", name="s"),))
    proxy = Proxy(cluster, FakeTable(), Family.IPV4)
    proxy.start()
    services_map = proxy.table.sets["services"]
    proxy.table.sets["services"] = type(services_map)("services", (), None)
    found = difference(proxy.ruleset, proxy.ruleset.elements(), proxy.table.content())
    assert found.rebuild
    proxy.table.commit(found)
    assert dict(sorted(proxy.table.elements.items())) == content(proxy.ruleset.elements())


def elements_of(ruleset: Ruleset, name: str) -> list[Element]:
    return [each for each in ruleset.elements() if each.id.set == name]


def test_comments_lead_to_the_service() -> None:
    proxy = Proxy(
        cluster_of(
            service("a", ports=({"name": "http", "port": 80, "nodePort": 30080},), type="NodePort"),
            slices=(
                endpoint_slice(
                    endpoint("10.244.1.2"), of="a", name="s", ports=({"name": "http", "port": 8080},)
                ),
            ),
        ),
        FakeTable(),
        Family.IPV4,
    )
    proxy.start()
    assert [each.comment for each in elements_of(proxy.ruleset, "services")] == ["default/a:http cluster IP"]
    assert [each.comment for each in elements_of(proxy.ruleset, "node-ports")] == ["default/a:http node port"]
    assert [each.comment for each in elements_of(proxy.ruleset, "endpoints")] == ["default/a:http"]


def test_the_client_addresses_that_are_kept_and_those_of_the_cluster_itself() -> None:
    cluster = ServiceMap()
    web = service(
        type="NodePort",
        ports=({"port": 80, "nodePort": 30080},),
        annotations={"wellhead.dev/preserve-client-ip": "true"},
    )
    cluster.set_service(web.key, web)
    found = (endpoint("10.244.1.2"), endpoint("10.244.2.2", "node-2"), endpoint("10.244.3.2", "node-3"))
    cluster.set_slice("default", "web-1", endpoint_slice(*found))
    proxy = Proxy(cluster, FakeTable(), Family.IPV4)
    proxy.start()
    assert not any("preserve" in each for each in policies(proxy.table)), "nobody knows who is inside"

    proxy.view.set_node(node(returning=frozenset({"node-2"}), inside=INSIDE))
    proxy.update()
    assert "jump cluster-masquerade.cluster-masquerade.cluster-preserve-3" in policies(proxy.table)
    assert keys(proxy.table, "returning") == {"10.244.1.2", "10.244.2.2"}
    assert keys(proxy.table, "inside") == {"10.240.0.11", "10.240.0.13", "10.244.0.0", "10.244.2.0"}

    proxy.view.set_node(node())
    proxy.update()
    assert not keys(proxy.table, "returning") | keys(proxy.table, "inside")


def policies(table: FakeTable) -> set[str]:
    return {str(data) for key, data in table.elements.items() if key.set == "policies"}


def keys(table: FakeTable, name: str) -> set[str]:
    """The addresses in a set; of ranges, the first and that behind the last."""
    return {str(ip_address(each.key)) for each in table.elements if each.set == name}


some_networks = st.lists(
    st.tuples(st.integers(0, 255), st.integers(24, 32)).map(
        lambda each: ip_network((f"10.244.0.{each[0]}", each[1]), strict=False)
    ),
    max_size=6,
)


@given(some_networks, st.integers(0, 255))
@settings(max_examples=examples(200), deadline=None)
def test_the_clusters_own_are_those_in_its_networks_and_nobody_else(found: list[Any], last: int) -> None:
    proxy = Proxy(ServiceMap(), FakeTable(), Family.IPV4)
    proxy.start()
    proxy.view.set_node(node(inside=tuple(found)))
    proxy.update()
    address = ip_address(f"10.244.0.{last}")
    before = [each for each in proxy.table.elements if each.set == "inside" and each.key <= address.packed]
    inside = bool(before) and not max(before, key=lambda each: each.key).interval_end
    assert inside == any(address in each for each in found)
