"""spec.ipFamilies, ipFamilyPolicy and clusterIPs in single-stack and dual-stack clusters (KEP-563)."""

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from tests.unit.api.objects import Services, problems
from wellhead.api.errors import Invalid
from wellhead.api.meta import Obj

RANGES = {"IPv4": "10.0.0.0/16", "IPv6": "fd00:10::/112"}
BOTH, REVERSED = ["IPv4", "IPv6"], ["IPv6", "IPv4"]
HEADLESS: Obj = {"clusterIP": "None"}
SELECTOR: Obj = {"selector": {"a": "b"}}
V4, V6 = "10.0.0.7", "fd00:10::7"
AT = "spec.ipFamilyPolicy"
DUAL = f'{AT}: Invalid value: "RequireDualStack"'
SINGLE_CLUSTER = "this cluster is not configured for dual-stack services"


def cluster(*families: str) -> Services:
    return Services(*(RANGES[family] for family in families))


def check(service: Obj, families: list[str], policy: str) -> None:
    spec = service["spec"]
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (families, policy)
    if spec["clusterIP"] == "None":
        assert spec["clusterIPs"] == ["None"]
        return
    assert spec["clusterIP"] == spec["clusterIPs"][0]
    assert len(spec["clusterIPs"]) == len(families)
    for text, family in zip(spec["clusterIPs"], families, strict=True):
        assert ip_address(text) in ip_network(RANGES[family])


def refused(act: Any, *args: Any, **spec: Any) -> list[str]:
    with pytest.raises(Invalid) as error:
        act(*args, **spec)
    return problems(error.value)


@pytest.mark.parametrize(
    ("spec", "families", "policy"),
    [
        ({}, ["IPv4"], "SingleStack"),
        ({"ipFamilies": ["IPv6"]}, ["IPv6"], "SingleStack"),
        ({"ipFamilyPolicy": "PreferDualStack"}, BOTH, "PreferDualStack"),
        ({"ipFamilyPolicy": "RequireDualStack"}, BOTH, "RequireDualStack"),
        ({"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6"]}, REVERSED, "PreferDualStack"),
        ({"ipFamilyPolicy": "RequireDualStack", "ipFamilies": REVERSED}, REVERSED, "RequireDualStack"),
        ({"clusterIP": V6}, ["IPv6"], "SingleStack"),
        ({"clusterIP": V6, "ipFamilyPolicy": "RequireDualStack"}, REVERSED, "RequireDualStack"),
        (
            {"clusterIP": V6, "clusterIPs": [V6, V4], "ipFamilyPolicy": "PreferDualStack"},
            REVERSED,
            "PreferDualStack",
        ),
        ({**HEADLESS, **SELECTOR}, ["IPv4"], "SingleStack"),
        ({**HEADLESS, **SELECTOR, "ipFamilyPolicy": "PreferDualStack"}, BOTH, "PreferDualStack"),
        (HEADLESS, BOTH, "RequireDualStack"),
        ({**HEADLESS, "ipFamilies": ["IPv6"]}, REVERSED, "RequireDualStack"),
        ({**HEADLESS, "ipFamilyPolicy": "SingleStack"}, ["IPv4"], "SingleStack"),
        ({"type": "LoadBalancer", "ipFamilyPolicy": "PreferDualStack"}, BOTH, "PreferDualStack"),
    ],
)
def test_in_a_dual_stack_cluster(spec: Obj, families: list[str], policy: str) -> None:
    check(cluster(*BOTH).create(**spec), families, policy)


@pytest.mark.parametrize(
    ("spec", "families", "policy"),
    [
        ({}, ["IPv4"], "SingleStack"),
        ({"ipFamilyPolicy": "PreferDualStack"}, ["IPv4"], "PreferDualStack"),
        ({**HEADLESS, **SELECTOR}, ["IPv4"], "SingleStack"),
        # Whoever writes the slices of a headless Service without a selector decides, not the cluster.
        (HEADLESS, BOTH, "RequireDualStack"),
        ({**HEADLESS, "ipFamilies": ["IPv6"], "ipFamilyPolicy": "SingleStack"}, ["IPv6"], "SingleStack"),
    ],
)
def test_in_a_single_stack_cluster(spec: Obj, families: list[str], policy: str) -> None:
    check(cluster("IPv4").create(**spec), families, policy)


@pytest.mark.parametrize(
    ("spec", "families", "policy"),
    [
        ({}, ["IPv6"], "SingleStack"),
        ({"ipFamilyPolicy": "RequireDualStack"}, REVERSED, "RequireDualStack"),
        (HEADLESS, REVERSED, "RequireDualStack"),
    ],
)
def test_the_first_range_gives_the_default_family(spec: Obj, families: list[str], policy: str) -> None:
    check(cluster(*REVERSED).create(**spec), families, policy)


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (
            {"ipFamilies": BOTH},
            f"{AT}: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when "
            "multiple IP families are specified",
        ),
        (
            {"clusterIP": V4, "clusterIPs": [V4, V6]},
            f"{AT}: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when "
            "multiple cluster IPs are specified",
        ),
        (
            {"ipFamilies": ["IPv5"]},
            'spec.ipFamilies[0]: Unsupported value: "IPv5": supported values: "IPv4", "IPv6"',
        ),
        (
            {"ipFamilies": ["IPv4", "IPv4"], "ipFamilyPolicy": "RequireDualStack"},
            'spec.ipFamilies[1]: Duplicate value: "IPv4"',
        ),
        (
            {"ipFamilyPolicy": "Both"},
            f'{AT}: Unsupported value: "Both": supported values: '
            '"PreferDualStack", "RequireDualStack", "SingleStack"',
        ),
        (
            {"clusterIP": V4, "ipFamilies": ["IPv6"]},
            f'spec.clusterIPs[0]: Invalid value: "{V4}": '
            "expected an IPv6 value as indicated by `ipFamilies[0]`",
        ),
        (
            {"clusterIP": V4, "clusterIPs": [V4, "10.0.0.8"], "ipFamilyPolicy": "RequireDualStack"},
            f'spec.clusterIPs: Invalid value: ["{V4}","10.0.0.8"]: '
            "may specify no more than one IP for each IP family",
        ),
        (
            {"clusterIPs": [V4]},
            f'spec.clusterIPs: Invalid value: ["{V4}"]: must be empty when `clusterIP` is not specified',
        ),
        (
            {"clusterIP": V4, "clusterIPs": [V6]},
            f'spec.clusterIPs: Invalid value: ["{V6}"]: first value must match `clusterIP`',
        ),
        (
            {"clusterIP": "None", "clusterIPs": ["None", V6]},
            f'spec.clusterIPs: Invalid value: ["None","{V6}"]: \'None\' must be the first and only value',
        ),
        (
            {"clusterIP": "192.0.2.1"},
            'spec.clusterIPs: Invalid value: ["192.0.2.1"]: failed to allocate IP 192.0.2.1: '
            "the provided network does not match the current range",
        ),
        (
            {"type": "ExternalName", "externalName": "example.com", "ipFamilyPolicy": "SingleStack"},
            f"{AT}: Forbidden: may not be set for ExternalName services",
        ),
    ],
)
def test_contradictions_are_refused(spec: Obj, problem: str) -> None:
    assert refused(cluster(*BOTH).create, **spec) == [problem]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (
            {"ipFamilyPolicy": "RequireDualStack"},
            f'{AT}: Invalid value: "RequireDualStack": {SINGLE_CLUSTER}',
        ),
        (
            {"ipFamilies": ["IPv6"]},
            'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster',
        ),
        (
            {"clusterIP": V6},
            f'spec.clusterIPs[0]: Invalid value: ["{V6}"]: IPv6 is not configured on this cluster',
        ),
        (
            {**HEADLESS, **SELECTOR, "ipFamilyPolicy": "RequireDualStack"},
            f'{AT}: Invalid value: "RequireDualStack": {SINGLE_CLUSTER}',
        ),
    ],
)
def test_what_a_single_stack_cluster_refuses(spec: Obj, problem: str) -> None:
    assert refused(cluster("IPv4").create, **spec) == [problem]


@pytest.mark.parametrize("policy", ["PreferDualStack", "RequireDualStack"])
def test_a_policy_adds_the_second_address_and_single_stack_releases_it(policy: str) -> None:
    services = cluster(*BOTH)
    first = services.create()["spec"]["clusterIP"]
    upgraded = services.update(ipFamilyPolicy=policy)
    check(upgraded, BOTH, policy)
    assert upgraded["spec"]["clusterIP"] == first
    downgraded = services.update(ipFamilyPolicy="SingleStack")
    check(downgraded, ["IPv4"], "SingleStack")
    assert downgraded["spec"]["clusterIP"] == first
    assert services.pool.addresses == {ip_address(first)}


def test_the_second_address_may_be_asked_for() -> None:
    services = cluster(*BOTH)
    services.create("other", clusterIP="fd00:10::8")
    first = services.create()["spec"]["clusterIP"]
    taken: Obj = {"ipFamilyPolicy": "RequireDualStack", "clusterIPs": [first, "fd00:10::8"]}
    assert "provided IP is already allocated" in refused(services.update, **taken)[0]
    wanted: Obj = {"ipFamilyPolicy": "RequireDualStack", "clusterIPs": [first, V6]}
    assert services.update(**wanted)["spec"]["clusterIPs"] == [first, V6]


def test_the_second_address_goes_only_with_single_stack() -> None:
    services = cluster(*BOTH)
    spec = services.create(ipFamilyPolicy="RequireDualStack")["spec"]
    less: Obj = {"clusterIPs": spec["clusterIPs"][:1], "ipFamilies": ["IPv4"]}
    assert refused(services.update, **less) == [
        f"{DUAL}: must be 'SingleStack' to release the secondary cluster IP",
        f"{DUAL}: must be 'SingleStack' to release the secondary IP family",
    ]
    check(services.update(**less, ipFamilyPolicy="SingleStack"), ["IPv4"], "SingleStack")


def test_the_first_family_stays() -> None:
    services = cluster(*BOTH)
    first = services.create(ipFamilyPolicy="RequireDualStack")["spec"]["clusterIPs"]
    assert "expected an IPv6 value" in refused(services.update, ipFamilies=REVERSED)[0]
    swapped = {"clusterIP": first[1], "clusterIPs": first[::-1], "ipFamilies": REVERSED}
    assert any("may not change once set" in problem for problem in refused(services.update, **swapped))


def test_a_client_that_knows_clusterip_only_changes_nothing() -> None:
    services = cluster(*BOTH)
    before = services.create(ipFamilyPolicy="RequireDualStack")
    old: Obj = {"clusterIPs": None, "ipFamilies": None, "ipFamilyPolicy": None}
    assert services.update(**old) == before
    assert services.update(**old, clusterIP=None) == before


def test_a_headless_service_may_change_its_families() -> None:
    services = cluster(*BOTH)
    check(services.create(**HEADLESS, **SELECTOR), ["IPv4"], "SingleStack")
    check(services.update(ipFamilyPolicy="RequireDualStack"), BOTH, "RequireDualStack")
    check(services.update(ipFamilyPolicy="SingleStack", ipFamilies=["IPv6"]), ["IPv6"], "SingleStack")
    assert services.update(clusterIP=None, clusterIPs=None)["spec"]["clusterIPs"] == ["None"]


def test_external_name_and_back() -> None:
    services = cluster(*BOTH)
    services.create(ipFamilyPolicy="RequireDualStack")
    external = services.update(type="ExternalName", externalName="example.com")["spec"]
    assert not {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"} & set(external)
    assert services.pool.addresses == set()
    check(services.update(type="ClusterIP", externalName=None), ["IPv4"], "SingleStack")


def test_a_service_is_not_touched_by_the_cluster_becoming_dual_stack_or_not() -> None:
    single, dual = cluster("IPv4"), cluster(*BOTH)
    dual.stored["a"] = single.create(ipFamilyPolicy="PreferDualStack")
    check(dual.update(selector={"x": "y"}), ["IPv4"], "PreferDualStack")
    check(dual.update(ipFamilyPolicy="RequireDualStack"), BOTH, "RequireDualStack")
    single.stored["b"] = dual.create("b", ipFamilyPolicy="PreferDualStack")
    check(single.update("b", selector={"x": "y"}), BOTH, "PreferDualStack")
    check(single.update("b", ipFamilyPolicy="SingleStack"), ["IPv4"], "SingleStack")
