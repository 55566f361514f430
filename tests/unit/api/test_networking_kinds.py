"""Ingresses, their classes, and NetworkPolicies."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.api.objects import create, named, problems, update
from wellhead.api.errors import Invalid
from wellhead.api.meta import Obj
from wellhead.api.names import DEFAULT_INGRESS_CLASS_ANNOTATION
from wellhead.api.resource import Resource
from wellhead.api.resources import INGRESSCLASSES, INGRESSES, NETWORKPOLICIES
from wellhead.api.tables import to_table
from wellhead.apiserver.admission.default_ingress_class import classify

SERVICE: Obj = {"service": {"name": "s", "port": {"number": 80}}}


def path(**fields: Any) -> Obj:
    return {"path": "/", "pathType": "Prefix", "backend": SERVICE, **fields}


def ingress(*paths: Obj, host: str = "a.example", **spec: Any) -> Obj:
    rule = {"host": host, "http": {"paths": list(paths or [path()])}}
    return named(spec={"rules": [rule], **spec})


def refused(resource: Resource, obj: Obj) -> list[str]:
    with pytest.raises(Invalid) as error:
        create(resource, obj)
    return problems(error.value)


@pytest.mark.parametrize(
    ("obj", "problem"),
    [
        (
            named(spec={}),
            "spec: Invalid value: []: either `defaultBackend` or `rules` must be specified",
        ),
        (
            ingress(path(path="a")),
            'spec.rules[0].http.paths[0].path: Invalid value: "a": must be an absolute path',
        ),
        (
            ingress(path(path="/a/../b")),
            "spec.rules[0].http.paths[0].path: Invalid value: \"/a/../b\": must not contain '/../'",
        ),
        (
            ingress(path(pathType="Regex")),
            'spec.rules[0].http.paths[0].pathType: Unsupported value: "Regex": supported values: "Exact", '
            '"ImplementationSpecific", "Prefix"',
        ),
        (
            ingress(path(backend={"service": {"name": "s"}})),
            "spec.rules[0].http.paths[0].backend: Required value: port name or number is required",
        ),
        (
            ingress(host="192.0.2.1"),
            'spec.rules[0].host: Invalid value: "192.0.2.1": must be a DNS name, not an IP address',
        ),
        (
            ingress(host="*"),
            'spec.rules[0].host: Invalid value: "*": a wildcard DNS-1123 subdomain must start with',
        ),
        (
            ingress(tls=[{"secretName": "A"}]),
            'spec.tls[0].secretName: Invalid value: "A": a lowercase RFC 1123 subdomain must',
        ),
    ],
)
def test_an_ingress_that_leads_nowhere(obj: Obj, problem: str) -> None:
    said = refused(INGRESSES, obj)
    assert [each.startswith(problem) for each in said] == [True], said


def test_an_ingress_is_shown_with_its_hosts_and_addresses() -> None:
    made = create(INGRESSES, ingress(tls=[{"hosts": ["a.example"]}], ingressClassName="nginx"))
    assert made["metadata"]["generation"] == 1
    status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"hostname": "lb.example"}]}}
    shown = update(INGRESSES, {**made, "status": status}, made, "status")
    cells = to_table(INGRESSES, [shown])["rows"][0]["cells"]
    assert cells[:5] == ["a", "nginx", "a.example", "192.0.2.1,lb.example", "80, 443"]


def test_the_newest_default_class_is_taken() -> None:
    def kind(name: str, created: str, default: str = "true") -> Obj:
        annotations = {DEFAULT_INGRESS_CLASS_ANNOTATION: default}
        return {"metadata": {"name": name, "creationTimestamp": created, "annotations": annotations}}

    kinds = [kind("b", "2026-01-02"), kind("a", "2026-01-02"), kind("c", "2026-01-01"), kind("d", "9", "")]
    made = ingress()
    classify(made, kinds)
    assert made["spec"]["ingressClassName"] == "a"
    classify(made, [])
    own = ingress(ingressClassName="own")
    classify(own, kinds)
    assert own["spec"]["ingressClassName"] == "own"


def test_a_class_keeps_its_controller() -> None:
    made = create(
        INGRESSCLASSES, named(spec={"controller": "a.example/b", "parameters": {"kind": "K", "name": "n"}})
    )
    assert made["spec"]["parameters"]["scope"] == "Cluster"
    with pytest.raises(Invalid, match="field is immutable"):
        update(INGRESSCLASSES, {**made, "spec": {"controller": "a.example/c"}}, made)
    assert refused(INGRESSCLASSES, named(spec={"controller": "x"})) == [
        'spec.controller: Invalid value: "x": must be a domain-prefixed path (such as "acme.io/foo")'
    ]


def policy(**spec: Any) -> Obj:
    return named(spec={"podSelector": {}, **spec})


def test_a_policy_is_about_what_it_speaks_of() -> None:
    made = create(NETWORKPOLICIES, policy(egress=[{"ports": [{"port": 53}]}]))
    assert made["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert made["spec"]["egress"][0]["ports"][0]["protocol"] == "TCP"
    assert create(NETWORKPOLICIES, policy())["spec"]["policyTypes"] == ["Ingress"]


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ({"from": [{}]}, "spec.ingress[0].from[0]: Required value: must specify a peer"),
        (
            {"from": [{"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}}]},
            "spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer",
        ),
        (
            {"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}]},
            'spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict '
            "subset of `cidr`",
        ),
        (
            {"ports": [{"port": "http", "endPort": 5}]},
            "spec.ingress[0].ports[0].endPort: Invalid value: 5: may not be specified when `port` is "
            "non-numeric",
        ),
        (
            {"ports": [{"port": 9, "endPort": 5}]},
            "spec.ingress[0].ports[0].endPort: Invalid value: 9: must be greater than or equal to `port`",
        ),
        (
            {"ports": [{"protocol": "ICMP"}]},
            'spec.ingress[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "TCP", "UDP", '
            '"SCTP"',
        ),
    ],
)
def test_a_policy_that_means_nothing(rule: Obj, problem: str) -> None:
    assert refused(NETWORKPOLICIES, policy(ingress=[rule])) == [problem]
