"""What is valid and yet worth a word, in the words of upstream's server."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.unit.api.objects import create, named, problems
from wellhead.api.errors import Invalid
from wellhead.api.formats import canonical_cidr, canonical_ip, ip_address, strict_cidr
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import (
    CRONJOBS,
    DEPLOYMENTS,
    ENDPOINTS,
    ENDPOINTSLICES,
    NETWORKPOLICIES,
    NODES,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    PODS,
    RUNTIMECLASSES,
    SECRETS,
    SERVICEACCOUNTS,
    SERVICES,
    STATEFULSETS,
    STORAGECLASSES,
    kind_of,
)
from wellhead.api.warnings.addresses import of_address, of_network
from wellhead.api.warnings.certificates import of_pair

ARCH = "beta.kubernetes.io/arch"
USE_ARCH = 'deprecated since v1.14; use "kubernetes.io/arch" instead'
NO_POD = "a null labelSelector results in matching no pod"
APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/c"
SECCOMP = "seccomp.security.alpha.kubernetes.io/pod"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1500m"}}}
FRACTION = 'fractional byte value "1500m" is invalid, must be an integer'


def warned(resource: Resource, obj: Obj) -> list[str]:
    return kind_of(resource).strategy.warnings(create(resource, obj))


def of_pod(container: Obj | None = None, annotations: Obj | None = None, **spec: Any) -> list[str]:
    first = {"name": "c", "image": "i", **(container or {})}
    metadata = {"name": "p", "annotations": annotations or {}}
    return warned(PODS, {"metadata": metadata, "spec": {"containers": [first], **spec}})


def template(**spec: Any) -> Obj:
    return {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"nodeSelector": {ARCH: "x"}}, f"spec.nodeSelector[{ARCH}]: {USE_ARCH}"),
        (
            {"affinity": {"podAntiAffinity": {REQUIRED: [{"topologyKey": "a"}]}}},
            f"spec.affinity.podAntiAffinity.{REQUIRED}[0].labelSelector: {NO_POD}",
        ),
        (
            {"topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule"}]},
            f"spec.topologySpreadConstraints[0].labelSelector: {NO_POD}",
        ),
        (
            {"volumes": [{"name": "v", "gitRepo": {"repository": "r"}}]},
            "spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+",
        ),
        (
            {"volumes": [{"name": "v", "secret": {"secretName": "s", "items": [
                {"key": "a", "path": "p"}, {"key": "b", "path": "p/q"}]}}]},
            'volume "v" (Secret "s"): overlapping paths: "p/q" with "p"',
        ),
        (
            {"hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a"]}, {"ip": "1.2.3.4", "hostnames": ["b"]}]},
            'spec.hostAliases[1].ip: duplicate ip "1.2.3.4"',
        ),
        (
            {"imagePullSecrets": [{"name": "a"}, {"name": "a"}]},
            'spec.imagePullSecrets[1].name: duplicate name "a"',
        ),
        ({"imagePullSecrets": [{}]}, 'spec.imagePullSecrets[0].name: invalid empty name ""'),
        (
            {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["FD00::1"]}},
            'spec.dnsConfig.nameservers[0]: IPv6 address "FD00::1" should be in RFC 5952 canonical format'
            ' ("fd00::1")',
        ),
    ],
)  # fmt: skip
def test_a_pods_spec(spec: Obj, text: str) -> None:
    assert of_pod(**spec) == [text]


@pytest.mark.parametrize(
    ("container", "text"),
    [
        (
            {"resources": {"limits": {"memory": "1500m"}, "requests": {"memory": "1"}}},
            f"spec.containers[0].resources.limits[memory]: {FRACTION}",
        ),
        (
            {"env": [{"name": "A", "value": "x"}, {"name": "A", "value": "y"}]},
            'spec.containers[0].env[1]: hides previous definition of "A",'
            " which may be dropped when using apply",
        ),
        (
            {"ports": [{"containerPort": 80, "hostIP": "1.2.3.4"}]},
            "spec.containers[0].ports[0]: hostIP set without hostPort:"
            " {Name: HostPort:0 ContainerPort:80 Protocol:TCP HostIP:1.2.3.4}",
        ),
        (
            {"ports": [{"containerPort": 80}, {"containerPort": 80, "hostPort": 90}]},
            "spec.containers[0].ports[1]: overlapping port definition with spec.containers[0].ports[0]",
        ),
    ],
)
def test_a_container(container: Obj, text: str) -> None:
    assert of_pod(container) == [text]


def test_a_variable_that_uses_its_former_value_hides_nothing() -> None:
    assert of_pod({"env": [{"name": "A", "value": "x"}, {"name": "A", "value": "$(A)y"}]}) == []


def test_a_container_of_another_with_the_same_port() -> None:
    other = {"name": "d", "image": "i", "ports": [{"containerPort": 80, "name": "h"}]}
    said = warned(
        PODS,
        named(spec={"containers": [{**other, "name": "c"}, other]}),
    )
    first = "spec.containers[0].ports[0]"
    assert said == [
        f"spec.containers[1].ports[0]: duplicate port definition with {first}",
        f'spec.containers[1].ports[0]: duplicate port name "h" with {first}, services and probes'
        f" that select ports by name will use {first}",
    ]


def test_annotations_that_became_fields() -> None:
    old = "scheduler.alpha.kubernetes.io/critical-pod"
    assert of_pod(annotations={old: ""}) == [
        f'metadata.annotations[{old}]: non-functional in v1.16+; use the "priorityClassName" field instead'
    ]
    use_field = 'non-functional in v1.27+; use the "seccompProfile" field instead'
    assert of_pod(annotations={SECCOMP: "unconfined"}) == [f"metadata.annotations[{SECCOMP}]: {use_field}"]
    made = create(
        PODS,
        {
            "metadata": {"name": "p", "annotations": {APP_ARMOR: "localhost/x"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        },
    )
    context = made["spec"]["containers"][0]["securityContext"]
    assert context["appArmorProfile"] == {"type": "Localhost", "localhostProfile": "x"}


@pytest.mark.parametrize(
    ("annotations", "problem"),
    [
        (
            {SECCOMP: "x"},
            f'metadata.annotations.{SECCOMP}: Invalid value: "x": must be a valid seccomp profile',
        ),
        (
            {APP_ARMOR: "x"},
            f'metadata.annotations[{APP_ARMOR}]: Invalid value: "x": invalid AppArmor profile name: "x"',
        ),
        (
            {APP_ARMOR + "2": ""},
            f'metadata.annotations[{APP_ARMOR}2]: Invalid value: "c2": container not found',
        ),
        (
            {"controller.kubernetes.io/pod-deletion-cost": "+1"},
            "metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: "
            'Invalid value: "+1": must be a 32bit integer',
        ),
    ],
)  # fmt: skip
def test_annotations_that_say_nothing_are_refused(annotations: Obj, problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        of_pod(annotations=annotations)
    assert problems(refused.value) == [problem]


def test_an_annotation_and_its_field_agree() -> None:
    profile = {"securityContext": {"appArmorProfile": {"type": "RuntimeDefault"}}}
    with pytest.raises(Invalid) as refused:
        of_pod(profile, {APP_ARMOR: "unconfined"})
    assert problems(refused.value) == [
        "spec.containers[0].securityContext.appArmorProfile.type: Forbidden: "
        "apparmor type in annotation and field must match"
    ]


def test_names_that_hosts_cannot_have() -> None:
    (said,) = warned(PODS, named("a.b", spec={"containers": [{"name": "c", "image": "i"}]}))
    assert said.startswith("metadata.name: this is used in the Pod's hostname, which can result in")
    assert said.endswith("a DNS label is recommended: [must not contain dots]")


SELECTED: Obj = {"selector": {"matchLabels": {"a": "b"}}}


def test_a_template_is_looked_at_where_it_is() -> None:
    text = "must be >= 0; negative values are invalid and will be treated as 1"
    late = template(terminationGracePeriodSeconds=-1)
    deployment = create(DEPLOYMENTS, named(spec={**SELECTED, "template": late}))
    strategy = kind_of(DEPLOYMENTS).strategy
    at = "spec.template.spec.terminationGracePeriodSeconds"
    assert strategy.warnings(deployment) == [f"{at}: {text}"]
    # An update is warned of if it changes what pods will be.
    labelled = {**deployment, "metadata": {**deployment["metadata"], "labels": {"x": "y"}}}
    assert strategy.update_warnings(labelled, deployment) == []
    scaled = {**deployment, "spec": {**deployment["spec"], "replicas": 2}}
    assert strategy.update_warnings(scaled, deployment) == [f"{at}: {text}"]
    job = {"template": {**late, "spec": {**late["spec"], "restartPolicy": "Never"}}}
    cron = named(spec={"schedule": "* * * * *", "jobTemplate": {"spec": job}})
    assert warned(CRONJOBS, cron) == [
        f"spec.jobTemplate.spec.template.spec.terminationGracePeriodSeconds: {text}"
    ]


def test_a_stateful_sets_claims_and_history() -> None:
    claims = [{"metadata": {"name": "d"}, "spec": CLAIM}]
    spec = {**SELECTED, "template": template(), "revisionHistoryLimit": -1, "volumeClaimTemplates": claims}
    assert warned(STATEFULSETS, named(spec=spec)) == [
        f"spec.volumeClaimTemplates[0].resources.requests[storage]: {FRACTION}",
        "spec.revisionHistoryLimit: a negative value retains all historical revisions; "
        "a value >= 0 is recommended",
    ]


@pytest.mark.parametrize(
    ("spec", "texts"),
    [
        (
            {"trafficDistribution": "PreferClose"},
            ['spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'],
        ),
        (
            {"externalIPs": ["1.2.3.4"]},
            ["spec.externalIPs is deprecated and may no longer be implemented in some clusters"],
        ),
        (
            {"clusterIP": "None", "sessionAffinity": "ClientIP", "externalIPs": ["1.2.3.4"]},
            [
                "spec.externalIPs is ignored for headless services",
                "spec.SessionAffinity is ignored for headless services",
            ],
        ),
        (
            {"externalName": "x"},
            ['spec.externalName is ignored when spec.type is not "ExternalName"'],
        ),
    ],
)
def test_services(spec: Obj, texts: list[str]) -> None:
    assert warned(SERVICES, named("a", spec={"ports": [{"port": 80}], **spec})) == texts


@pytest.mark.parametrize(
    ("resource", "obj", "text"),
    [
        (PERSISTENTVOLUMECLAIMS, {"spec": CLAIM}, f"spec.resources.requests[storage]: {FRACTION}"),
        (
            PERSISTENTVOLUMES,
            {
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "capacity": {"storage": "1Gi"},
                    "glusterfs": {"endpoints": "e", "path": "p"},
                }
            },
            "spec.glusterfs: deprecated in v1.25, non-functional in v1.26+",
        ),
        (
            ENDPOINTS,
            {"subsets": [{"addresses": [{"ip": "FD00::1"}], "ports": [{"port": 1}]}]},
            'subsets[0].addresses[0].ip: IPv6 address "FD00::1" should be in RFC 5952 canonical format'
            ' ("fd00::1")',
        ),
        (
            ENDPOINTSLICES,
            {"addressType": "FQDN", "endpoints": [{"addresses": ["a.b"]}]},
            "spec.addressType: FQDN endpoints are deprecated",
        ),
        (
            NETWORKPOLICIES,
            {"spec": {"podSelector": {}, "egress": [{"to": [{"ipBlock": {"cidr": "FD00::/64"}}]}]}},
            'spec.egress[0].to[0].ipBlock.cidr: IPv6 CIDR value "FD00::/64" should be in RFC 5952 canonical'
            ' format ("fd00::/64")',
        ),
        (
            RUNTIMECLASSES,
            {"handler": "h", "scheduling": {"nodeSelector": {ARCH: "x"}}},
            f"scheduling.nodeSelector: {USE_ARCH}",
        ),
        (
            STORAGECLASSES,
            {
                "provisioner": "a.b",
                "allowedTopologies": [{"matchLabelExpressions": [{"key": ARCH, "values": ["x"]}]}],
            },
            f"allowedTopologies[0].matchLabelExpressions[0].key: {USE_ARCH}",
        ),
        (
            NODES,
            {"spec": {"externalID": "x"}},
            "spec.externalID: this field is deprecated, and is unused by Kubernetes",
        ),
    ],
)  # fmt: skip
def test_other_kinds(resource: Resource, obj: Obj, text: str) -> None:
    assert warned(resource, {"metadata": {"name": "a"}, **obj}) == [text]


def test_a_service_account_is_warned_of_once() -> None:
    annotated = {
        "metadata": {"name": "a", "annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}}
    }
    made, strategy = create(SERVICEACCOUNTS, annotated), kind_of(SERVICEACCOUNTS).strategy
    assert len(strategy.warnings(made)) == 1
    assert strategy.update_warnings(made, made) == []


def test_a_pair_that_no_server_can_use() -> None:
    empty = {"tls.crt": "", "tls.key": ""}
    assert warned(SECRETS, named(type="kubernetes.io/tls", data=empty)) == [
        "tls: failed to find any PEM data in certificate input"
    ]
    block = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n").decode()
    assert of_pair({"tls.crt": block}) == ["tls: failed to find any PEM data in key input"]
    assert of_pair({"tls.crt": block, "tls.key": block}) == [
        "tls: found a certificate rather than a key in the PEM for the private key"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("10.0.0.1", []),
        ("fd00::1", []),
        ("010.0.0.1", ['x: non-standard IP address "010.0.0.1" is invalid: use "10.0.0.1"']),
        ("::ffff:1.2.3.4", ['x: non-standard IP address "::ffff:1.2.3.4" is invalid: use "1.2.3.4"']),
        ("fd00:0::1", ['x: IPv6 address "fd00:0::1" should be in RFC 5952 canonical format ("fd00::1")']),
    ],
)
def test_addresses(text: str, said: list[str]) -> None:
    assert list(of_address("x", text)) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("10.0.0.0/8", []),
        (
            "10.0.0.1/8",
            [
                'x: CIDR value "10.0.0.1/8" is ambiguous in this context '
                '(should be "10.0.0.0/8" or "10.0.0.1/32"?)'
            ],
        ),
        ("10.0.0.0/08", ['x: non-standard CIDR value "10.0.0.0/08" is invalid: use "10.0.0.0/8"']),
    ],
)  # fmt: skip
def test_networks(text: str, said: list[str]) -> None:
    assert list(of_network("x", text)) == said


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("010.0.0.1", "must not have leading 0s"),
        ("::ffff:1.2.3.4", "must not be an IPv4-mapped IPv6 address"),
        ("x", "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
    ],
)
def test_addresses_that_are_read_in_several_ways_are_refused(text: str, problem: str) -> None:
    assert ip_address(text) == canonical_ip(text) == [problem]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("10.0.0.1/8", "must not have bits set beyond the prefix length"),
        ("010.0.0.0/8", "must not have leading 0s in IP or prefix length"),
        ("10.0.0.0/08", "must not have leading 0s in IP or prefix length"),
        ("::ffff:10.0.0.0/104", "must not have an IPv4-mapped IPv6 address"),
        ("10.0.0.0", "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"),
    ],
)
def test_networks_that_are_read_in_several_ways_are_refused(text: str, problem: str) -> None:
    assert strict_cidr(text) == canonical_cidr(text) == [problem]
