"""Pods that are none: each with the causes that upstream gives."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.api.objects import create, named, problems
from wellhead.api.errors import Invalid
from wellhead.api.meta import Obj
from wellhead.api.resources import DEPLOYMENTS, PODS


def pod(container: Obj | None = None, **spec: Any) -> Obj:
    first = {"name": "c", "image": "busybox:1", **(container or {})}
    return named("p", spec={"containers": [first], **spec})


def refusal(container: Obj | None = None, **spec: Any) -> list[str]:
    with pytest.raises(Invalid) as refused:
        create(PODS, pod(container, **spec))
    return problems(refused.value)


def node_term(*expressions: Obj, **fields: Any) -> Obj:
    term = {"matchExpressions": list(expressions), **fields}
    selector = {"nodeSelectorTerms": [term]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": selector}}


def pod_terms(*terms: Obj) -> Obj:
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}}


def spread(**fields: Any) -> list[Obj]:
    return [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", **fields}]


def downward(**reference: Obj) -> Obj:
    return {"volumes": [{"name": "v", "downwardAPI": {"items": [{"path": "a", **reference}]}}]}


NODE_TERM = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
POD_TERM = "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]"
SPREAD = "spec.topologySpreadConstraints[0]"
TOLERATION = "spec.tolerations[0]"

SCHEDULING: list[tuple[Obj, str]] = [
    (
        {"affinity": node_term({"key": "a", "operator": "In"})},
        f"{NODE_TERM}[0].matchExpressions[0].values: Required value: "
        "must be specified when `operator` is 'In' or 'NotIn'",
    ),
    (
        {"affinity": node_term({"key": "a", "operator": "Exists", "values": ["b"]})},
        f"{NODE_TERM}[0].matchExpressions[0].values: Forbidden: "
        "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
    ),
    (
        {"affinity": node_term({"key": "a", "operator": "Gt", "values": ["1", "2"]})},
        f"{NODE_TERM}[0].matchExpressions[0].values: Required value: "
        "must be specified single value when `operator` is 'Lt' or 'Gt'",
    ),
    (
        {"affinity": node_term({"key": "a", "operator": "Is"})},
        f'{NODE_TERM}[0].matchExpressions[0].operator: Invalid value: "Is": not a valid selector operator',
    ),
    (
        {"affinity": node_term(matchFields=[{"key": "spec.x", "operator": "In", "values": ["a"]}])},
        f'{NODE_TERM}[0].matchFields[0].key: Invalid value: "spec.x": not a valid field selector key',
    ),
    (
        {
            "affinity": {
                "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}
            }
        },
        f"{NODE_TERM}: Required value: must have at least one node selector term",
    ),
    (
        {
            "affinity": {
                "nodeAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 101, "preference": {}}]
                }
            }
        },
        "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: "
        "Invalid value: 101: must be in the range 1-100",
    ),
    (
        {"affinity": pod_terms({"labelSelector": {}, "topologyKey": ""})},
        f"{POD_TERM}.topologyKey: Required value: can not be empty",
    ),
    (
        {
            "affinity": pod_terms(
                {"topologyKey": "a", "labelSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}
            )
        },
        f"{POD_TERM}.labelSelector.matchExpressions[0].values: Required value: "
        "must be specified when `operator` is 'In' or 'NotIn'",
    ),
    (
        {"affinity": pod_terms({"topologyKey": "a", "matchLabelKeys": ["x"]})},
        f"{POD_TERM}.matchLabelKeys: Forbidden: must not be specified when labelSelector is not set",
    ),
    (
        {"topologySpreadConstraints": spread(maxSkew=0)},
        f"{SPREAD}.maxSkew: Invalid value: 0: must be greater t",
    ),
    (
        {"topologySpreadConstraints": spread(topologyKey="")},
        f"{SPREAD}.topologyKey: Required value: can not be",
    ),
    (
        {"topologySpreadConstraints": spread(whenUnsatisfiable="Never")},
        f'{SPREAD}.whenUnsatisfiable: Unsupported value: "Never": supported values: "DoNotSchedule", "Schedu',
    ),
    (
        {"topologySpreadConstraints": spread() * 2},
        f'{SPREAD}.{{topologyKey, whenUnsatisfiable}}: Duplicate value: "{{zone, DoNotSchedule}}"',
    ),
    (
        {"topologySpreadConstraints": spread(minDomains=2, whenUnsatisfiable="ScheduleAnyway")},
        f"{SPREAD}.minDomains: Invalid value: 2: can only use minDomains if whenUnsatisfiable=DoNotSchedule, "
        "not ScheduleAnyway",
    ),
    (
        {"topologySpreadConstraints": spread(nodeTaintsPolicy="x")},
        f'{SPREAD}.nodeTaintsPolicy: Unsupported value: "x": supported values: "Honor", "Ignore"',
    ),
    (
        {"tolerations": [{"operator": "Equal"}]},
        f'{TOLERATION}.operator: Invalid value: "Equal": operator must be Exists when `key` is empty',
    ),
    (
        {"tolerations": [{"key": "a", "operator": "Gt", "value": "1"}]},
        f'{TOLERATION}.operator: Unsupported value: "Gt": supported values: "Equal", "Exists", "Lt", "Gt"',
    ),
    (
        {"tolerations": [{"key": "a", "value": "-"}]},
        f'{TOLERATION}.operator: Invalid value: "-": a valid label must be',
    ),
    (
        {"tolerations": [{"key": "a", "operator": "Exists", "effect": "No"}]},
        f'{TOLERATION}.effect: Unsupported value: "No": supported values: "NoSchedule", "PreferNoSchedule", ',
    ),
    (
        {"readinessGates": [{"conditionType": "a b"}]},
        'spec.readinessGates[0].conditionType: Invalid value: "a b": name part must consist of',
    ),
]

SPEC: list[tuple[Obj, str]] = [
    (
        {"restartPolicy": "Sometimes"},
        'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never',
    ),
    ({"runtimeClassName": "A"}, 'spec.runtimeClassName: Invalid value: "A": a lowercase RFC 1123 subdomain'),
    ({"os": {"name": "plan9"}}, 'spec.os: Unsupported value: "plan9": supported values: "linux", "wind'),
    (
        {"overhead": {"cups": "1"}},
        'spec.overhead.limits[cups]: Invalid value: "cups": must be a standard resource type or fully qualif',
    ),
    (
        {"ephemeralContainers": [{"name": "e", "image": "a"}]},
        "spec.ephemeralContainers: Forbidden: cannot be set on create",
    ),
    (
        {"shareProcessNamespace": True, "hostPID": True},
        "spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID ",
    ),
    (
        {"securityContext": {"sysctls": [{"name": "a", "value": "1"}, {"name": "a", "value": "1"}]}},
        'spec.securityContext.sysctls[1].name: Duplicate value: "a"',
    ),
    (
        {"securityContext": {"sysctls": [{"name": "A b", "value": "1"}]}},
        'spec.securityContext.sysctls[0].name: Invalid value: "A b": must have at most 253 characters and ma',
    ),
    (
        {"hostNetwork": True, "securityContext": {"sysctls": [{"name": "net.x", "value": "1"}]}},
        'spec.securityContext.sysctls[0].name: Invalid value: "net.x": may not be specified when \'hostNetw',
    ),
    (
        {"securityContext": {"fsGroupChangePolicy": "x"}},
        'spec.securityContext.fsGroupChangePolicy: Unsupported value: "x": supported values: "Always", "OnRo',
    ),
    (
        {"securityContext": {"seccompProfile": {"type": "Localhost"}}},
        "spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type",
    ),
    (
        {"securityContext": {"appArmorProfile": {"type": "x"}}},
        'spec.securityContext.appArmorProfile.type: Unsupported value: "x": supported values: "Localhost", "',
    ),
    ({"hostUsers": False, "hostIPC": True}, "spec.HostIPC: Forbidden: when `hostUsers` is false"),
    (
        {"hostnameOverride": "a", "setHostnameAsFQDN": True},
        "spec.hostnameOverride: Forbidden: may not be specified when setHostnameAsFQDN is true",
    ),
    (
        {"resourceClaims": [{"name": "a"}]},
        'spec.resourceClaims[0]: Invalid value: {"name":"a"}: must specify one of: `resourceClaimName`, `res',
    ),
    (
        {"hostAliases": [{"ip": "1.2.3", "hostnames": ["a"]}]},
        'spec.hostAliases[0].ip: Invalid value: "1.2.3": must be a valid IP address',
    ),
    (
        downward(fieldRef={"fieldPath": "spec.nodeName"}),
        'spec.volumes[0].downwardAPI.fieldRef.fieldPath: Unsupported value: "spec.nodeName": suppor',
    ),
    (
        downward(resourceFieldRef={"resource": "x"}),
        "spec.volumes[0].downwardAPI.resourceFieldRef.containerName: Required value",
    ),
]


def env(**source: Obj) -> Obj:
    return {"env": [{"name": "A", "valueFrom": source}]}


def field(path: str) -> Obj:
    return env(fieldRef={"fieldPath": path})


FIELD = "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath"
CONTAINER: list[tuple[Obj, str]] = [
    (
        field("metadata.foo"),
        f'{FIELD}: Invalid value: "metadata.foo": error converting fieldPath: field label not supported: met',
    ),
    (
        field("metadata.name['a']"),
        f"{FIELD}: Invalid value: \"metadata.name['a']\": error converting fieldPath: field label does not s",
    ),
    (
        field("status.phase"),
        f'{FIELD}: Unsupported value: "status.phase": supported values: "metadata.name", "',
    ),
    (
        field("metadata.labels['a b']"),
        'spec.containers[0].env[0].valueFrom.fieldRef: Invalid value: "a b": name part must consist of',
    ),
    (
        env(resourceFieldRef={"resource": "limits.x"}),
        'spec.containers[0].env[0].valueFrom.resourceFieldRef.resource: Unsupported value: "limits.x": suppo',
    ),
    (
        env(resourceFieldRef={"resource": "limits.cpu", "divisor": "1k"}),
        'spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": only div',
    ),
    (
        env(configMapKeyRef={"name": "A", "key": "k"}),
        'spec.containers[0].env[0].valueFrom.configMapKeyRef.name: Invalid value: "A": a lowercase RFC 1123 ',
    ),
    (
        env(secretKeyRef={"name": "a", "key": "k/"}),
        'spec.containers[0].env[0].valueFrom.secretKeyRef.key: Invalid value: "k/": a valid config key must',
    ),
    (
        {"envFrom": [{"prefix": "x"}]},
        'spec.containers[0].envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`',
    ),
    (
        {"securityContext": {"privileged": True, "allowPrivilegeEscalation": False}},
        "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
    ),
    (
        {"securityContext": {"capabilities": {"add": ["CAP_SYS_ADMIN"]}, "allowPrivilegeEscalation": False}},
        "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
    ),
    (
        {"securityContext": {"procMount": "Unmasked"}},
        'spec.containers[0].securityContext.procMount: Invalid value: "Unmasked": `hostUsers` must be false ',
    ),
    (
        {"resources": {"limits": {"cups": "1"}}},
        'spec.containers[0].resources.limits[cups]: Invalid value: "cups": must be a standard resource for c',
    ),
    (
        {"resources": {"limits": {"a.b/c": "0.5"}}},
        'spec.containers[0].resources.limits[a.b/c]: Invalid value: "500m": must be an integer',
    ),
    (
        {"resources": {"requests": {"a.b/c": "1"}}},
        "spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resou",
    ),
    (
        {"resources": {"limits": {"hugepages-2Mi": "3Mi"}}},
        'spec.containers[0].resources.limits[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integ',
    ),
    (
        {"resources": {"limits": {"hugepages-2Mi": "2Mi"}}},
        "spec.containers[0].resources: Forbidden: HugePages require cpu or memory",
    ),
    (
        {"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}},
        'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit ',
    ),
    (
        {"resources": {"claims": [{"name": "a"}]}},
        'spec.containers[0].resources.claims[0]: Not found: "a": must be one of the names in pod.spec.resour',
    ),
    (
        {"resizePolicy": [{"resourceName": "disk", "restartPolicy": "NotRequired"}]},
        'spec.containers[0].resizePolicy: Unsupported value: "disk": supported values: "cpu", "memory"',
    ),
    (
        {"terminationMessagePolicy": "x"},
        'spec.containers[0].terminationMessagePolicy: Unsupported value: "x": supported values: "File", "Fal',
    ),
    (
        {"lifecycle": {"stopSignal": "SIGTERM"}},
        "spec.containers[0].lifecycle.stopSignal: Forbidden: may not be set for containers with empty `spec.",
    ),
    (
        {"readinessProbe": {"tcpSocket": {"port": 1}, "terminationGracePeriodSeconds": 5}},
        "spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 5: must not be set",
    ),
    (
        {"livenessProbe": {"tcpSocket": {"port": 1}, "terminationGracePeriodSeconds": 0}},
        "spec.containers[0].livenessProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater t",
    ),
]


@pytest.mark.parametrize(("spec", "problem"), [*SCHEDULING, *SPEC])
def test_a_spec_that_is_none(spec: Obj, problem: str) -> None:
    assert any(problem in said for said in refusal(**spec)), refusal(**spec)


@pytest.mark.parametrize(("container", "problem"), CONTAINER)
def test_a_container_that_is_none(container: Obj, problem: str) -> None:
    assert any(problem in said for said in refusal(container)), refusal(container)


@pytest.mark.parametrize(
    ("mount", "problem"),
    [
        ({"mountPropagation": "x"}, "mountPropagation: Unsupported value"),
        ({"mountPropagation": "Bidirectional"}, "is available only to privileged containers"),
        (
            {"recursiveReadOnly": "Enabled"},
            "recursiveReadOnly: Forbidden: may only be specified when readOnly",
        ),
        ({"recursiveReadOnly": "x"}, "recursiveReadOnly: Unsupported value"),
    ],
)
def test_a_mount_that_is_none(mount: Obj, problem: str) -> None:
    mounts = {"volumeMounts": [{"name": "v", "mountPath": "/v", **mount}]}
    said = refusal(mounts, volumes=[{"name": "v", "emptyDir": {}}])
    assert [problem in each for each in said] == [True]


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ({"emptyDir": {"sizeLimit": "-1"}}, "emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid"),
        ({"persistentVolumeClaim": {"claimName": ""}}, "persistentVolumeClaim.claimName: Required value"),
        ({"nfs": {"server": "a", "path": "b"}}, 'nfs.path: Invalid value: "b": must be an absolute path'),
        ({"nfs": {"server": "", "path": "/b"}}, "nfs.server: Required value"),
        ({"csi": {"driver": "a b"}}, 'csi.driver: Invalid value: "a b": a lowercase RFC 1123 subdomain'),
        ({"ephemeral": {}}, "ephemeral.volumeClaimTemplate: Required value"),
        ({"image": {"reference": "a", "pullPolicy": "x"}}, 'image.pullPolicy: Unsupported value: "x"'),
    ],
)
def test_a_volume_that_is_none(source: Obj, problem: str) -> None:
    said = refusal(volumes=[{"name": "v", **source}])
    assert [each.startswith(f"spec.volumes[0].{problem}") for each in said] == [True], said


def test_devices_are_block_volumes_with_places_of_their_own() -> None:
    devices = [{"name": "v", "devicePath": "/a"}, {"name": "w", "devicePath": "/a/../b"}]
    container = {"volumeDevices": devices, "volumeMounts": [{"name": "u", "mountPath": "/a"}]}
    volumes: list[Obj] = [{"name": name, "emptyDir": {}} for name in ("u", "v")]
    assert refusal(container, volumes=volumes) == [
        'spec.containers[0].volumeDevices[0].name: Invalid value: "v": can only use volume source type of '
        "PersistentVolumeClaim or Ephemeral for block mode",
        'spec.containers[0].volumeDevices[0].devicePath: Invalid value: "/a": must not already exist as a '
        "path in volumeMounts",
        'spec.containers[0].volumeDevices[1].name: Not found: "w"',
        'spec.containers[0].volumeDevices[1].devicePath: Invalid value: "/a/../b": can not contain '
        "backsteps ('..')",
        'spec.containers[0].volumeMounts[0].mountPath: Invalid value: "/a": must not already exist as a '
        "path in volumeDevices",
    ]


def test_what_is_valid_is_taken() -> None:
    create(
        PODS,
        pod(
            {
                "env": [*field("metadata.labels['app']")["env"], *field("spec.host")["env"]],
                "resources": {"limits": {"cpu": "1", "a.b/c": "2", "hugepages-2Mi": "4Mi"}},
                "securityContext": {"privileged": True, "seccompProfile": {"type": "RuntimeDefault"}},
            },
            affinity=node_term({"key": "a", "operator": "Lt", "values": ["1"]}),
            topologySpreadConstraints=spread(labelSelector={}, matchLabelKeys=["a"], minDomains=1),
            tolerations=[{"operator": "Exists"}],
        ),
    )


def test_a_template_is_checked_in_the_same_way() -> None:
    template = {
        "metadata": {"labels": {"a": "b", "c": "-"}, "annotations": {"a b": ""}},
        "spec": pod(topologySpreadConstraints=spread(maxSkew=0))["spec"]
        | {"ephemeralContainers": [{"name": "e", "image": "a"}]},
    }
    with pytest.raises(Invalid) as refused:
        create(DEPLOYMENTS, named(spec={"selector": {"matchLabels": {"a": "b"}}, "template": template}))
    fields = {cause.field for cause in refused.value.causes}
    assert fields == {
        "spec.template.labels",
        "spec.template.annotations",
        "spec.template.spec.topologySpreadConstraints[0].maxSkew",
        "spec.template.spec.ephemeralContainers",
    }
