from typing import Any

import pytest

from tests.unit.api.objects import create, named, problems, update
from wellhead.api.errors import Invalid
from wellhead.api.meta import Obj
from wellhead.api.resources import SERVICES


def service(**spec: Any) -> Obj:
    ports = {} if "ports" in spec else {"ports": [{"port": 80}]}
    return named("s", spec={**ports, **spec})


def refusal(**spec: Any) -> list[str]:
    with pytest.raises(Invalid) as refused:
        create(SERVICES, service(**spec))
    return problems(refused.value)


def test_defaults() -> None:
    assert create(SERVICES, service())["spec"] == {
        "type": "ClusterIP",
        "ports": [{"port": 80, "targetPort": 80, "protocol": "TCP"}],
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
    }
    balancer = create(SERVICES, service(type="LoadBalancer", sessionAffinity="ClientIP"))["spec"]
    assert balancer["externalTrafficPolicy"] == "Cluster"
    assert balancer["allocateLoadBalancerNodePorts"] is True
    assert balancer["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}
    external = create(SERVICES, service(externalIPs=["192.0.2.1"]))["spec"]
    assert external["externalTrafficPolicy"] == "Cluster"


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"ports": []}, "spec.ports: Required value"),
        (
            {"type": "X"},
            'spec.type: Unsupported value: "X": supported values: "ClusterIP", "ExternalName", "Load',
        ),
        (
            {"ports": [{"port": 0}]},
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        ({"ports": [{"port": 1}, {"port": 2}]}, "spec.ports[0].name: Required value"),
        (
            {"ports": [{"port": 1, "name": "a"}, {"port": 2, "name": "a"}]},
            'spec.ports[1].name: Duplicate value: "a"',
        ),
        (
            {"ports": [{"port": 1, "protocol": "X"}]},
            'spec.ports[0].protocol: Unsupported value: "X": supported',
        ),
        (
            {"ports": [{"port": 1, "targetPort": "a_b"}]},
            'spec.ports[0].targetPort: Invalid value: "a_b": must contain',
        ),
        (
            {"externalTrafficPolicy": "Local"},
            'spec.externalTrafficPolicy: Invalid value: "Local": '
            "may only be set for externally-accessible services",
        ),
        ({"internalTrafficPolicy": "X"}, 'spec.internalTrafficPolicy: Unsupported value: "X"'),
        ({"sessionAffinity": "X"}, 'spec.sessionAffinity: Unsupported value: "X"'),
        (
            {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86401}}},
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: "
            "must be greater than 0 and less than 86400",
        ),
        ({"externalIPs": ["x"]}, 'spec.externalIPs[0]: Invalid value: "x": must be a valid IP address'),
        (
            {"externalIPs": ["127.0.0.1"]},
            'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loop',
        ),
        (
            {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0"]},
            'spec.LoadBalancerSourceRanges[0]: Invalid value: "10.0.0.0": must be a valid CIDR value',
        ),
        (
            {"loadBalancerSourceRanges": ["10.0.0.0/8"]},
            "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
        ),
        (
            {"loadBalancerClass": "a/b"},
            "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
        ),
        (
            {"allocateLoadBalancerNodePorts": False},
            "spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'",
        ),
        (
            {"type": "NodePort", "healthCheckNodePort": 31000},
            "spec.healthCheckNodePort: Invalid value: 31000: may only be set when `type` is 'LoadBalancer'",
        ),
        (
            {"ports": [{"port": 1, "nodePort": 31000}]},
            "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
        ),
        (
            {"type": "NodePort", "clusterIP": "None"},
            'spec.clusterIPs[0]: Invalid value: "None": may not be set',
        ),
        ({"type": "ExternalName"}, "spec.externalName: Required value"),
        ({"clusterIP": "x"}, 'spec.clusterIPs[0]: Invalid value: "x": must be a valid IP address'),
        ({"ipFamilies": ["IPv4", "IPv4"]}, 'spec.ipFamilies[1]: Duplicate value: "IPv4"'),
        ({"trafficDistribution": "X"}, 'spec.trafficDistribution: Unsupported value: "X"'),
        ({"selector": {"a": "b c"}}, 'spec.selector: Invalid value: "b c": a valid label must be'),
    ],
)
def test_what_is_wrong_is_said_with_its_field(spec: Obj, problem: str) -> None:
    assert refusal(**spec)[0].startswith(problem)


def test_load_balancer_class_is_fixed_even_when_unset() -> None:
    old = create(SERVICES, service(type="LoadBalancer"))
    with pytest.raises(
        Invalid, match=r"spec\.loadBalancerClass: Invalid value: \"a/b\": may not change once set"
    ):
        update(SERVICES, {**old, "spec": {**old["spec"], "loadBalancerClass": "a/b"}}, old)


def test_affinity_switches_on_and_off() -> None:
    old = create(SERVICES, service())
    on = update(SERVICES, {**old, "spec": {**old["spec"], "sessionAffinity": "ClientIP"}}, old)
    assert "sessionAffinityConfig" in on["spec"]
    off = update(SERVICES, {**on, "spec": {**on["spec"], "sessionAffinity": "None"}}, on)
    assert "sessionAffinityConfig" not in off["spec"]


def test_the_balancers_status() -> None:
    old = create(SERVICES, service(type="LoadBalancer"))
    status = {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}
    given = update(SERVICES, {**old, "status": status}, old, "status")
    assert given["status"]["loadBalancer"]["ingress"] == [{"ip": "203.0.113.1", "ipMode": "VIP"}]
    assert update(SERVICES, {**given, "status": {}}, given)["status"] == given["status"]
    gone = update(SERVICES, {**given, "spec": {**given["spec"], "type": "ClusterIP"}}, given)
    assert gone["status"] == {"loadBalancer": {}}
    with pytest.raises(Invalid, match=r"may only be used when `spec\.type` is 'LoadBalancer'"):
        update(SERVICES, {**gone, "status": status}, gone, "status")
    bad = {"loadBalancer": {"ingress": [{"ip": "x", "ipMode": "Y"}]}}
    with pytest.raises(Invalid, match="Unsupported value"):
        update(SERVICES, {**old, "status": bad}, old, "status")
