"""Rules and columns of what keeps pods running, beside Deployments and ReplicaSets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.api.objects import create, named, problems, update
from wellhead.api.errors import Invalid
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import (
    CONTROLLERREVISIONS,
    DAEMONSETS,
    PODDISRUPTIONBUDGETS,
    REPLICATIONCONTROLLERS,
    STATEFULSETS,
)
from wellhead.api.tables import to_table

SELECTOR = {"matchLabels": {"a": "b"}}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
GENERATION = "deprecated.daemonset.template.generation"


def template(**spec: Any) -> Obj:
    containers = [{"name": "c", "image": "x:1"}]
    return {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": containers, **spec}}


def workload(**spec: Any) -> Obj:
    return named("w", spec={"selector": SELECTOR, "template": template(), **spec})


def refusals(resource: Resource, obj: Obj) -> list[str]:
    with pytest.raises(Invalid) as refused:
        create(resource, obj)
    return problems(refused.value)


def without_template(made: Obj) -> Obj:
    return {name: value for name, value in made["spec"].items() if name != "template"}


def test_a_replication_controller_takes_labels_and_selector_from_its_template() -> None:
    made = create(REPLICATIONCONTROLLERS, named("w", spec={"template": template()}))
    assert made["spec"]["selector"] == made["metadata"]["labels"] == {"a": "b"}
    assert made["spec"]["replicas"] == 1
    assert made["status"] == {"replicas": 0}
    changed = {**made, "spec": {**made["spec"], "selector": {}}}
    assert update(REPLICATIONCONTROLLERS, changed, made)["spec"]["selector"] == {"a": "b"}


def test_daemon_set_defaults() -> None:
    made = create(DAEMONSETS, workload())
    rolling = {"maxUnavailable": 1, "maxSurge": 0}
    assert without_template(made) == {
        "selector": SELECTOR,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
        "revisionHistoryLimit": 10,
    }
    assert made["status"]["desiredNumberScheduled"] == 0


def test_a_new_template_of_a_daemon_set_is_counted() -> None:
    old = create(DAEMONSETS, workload())
    assert old["metadata"]["annotations"] == {GENERATION: "1"}
    slower = {**old, "metadata": {**old["metadata"], "annotations": {}}}
    slower["spec"] = {**old["spec"], "minReadySeconds": 3}
    same = update(DAEMONSETS, slower, old)
    assert same["metadata"]["annotations"][GENERATION] == "1"
    assert same["metadata"]["generation"] == 2
    new = update(DAEMONSETS, {**old, "spec": {**old["spec"], "template": template(hostNetwork=True)}}, old)
    assert new["metadata"]["annotations"][GENERATION] == "2"


def test_stateful_set_defaults() -> None:
    claim = {"metadata": {"name": "data"}, "spec": CLAIM}
    made = create(STATEFULSETS, workload(serviceName="w", volumeClaimTemplates=[claim]))
    assert without_template(made) == {
        "replicas": 1,
        "selector": SELECTOR,
        "serviceName": "w",
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": 1}},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "revisionHistoryLimit": 10,
        "volumeClaimTemplates": [
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": "data"},
                "spec": CLAIM | {"volumeMode": "Filesystem"},
                "status": {"phase": "Pending"},
            }
        ],
    }


def test_a_stateful_set_mounts_its_claims() -> None:
    mounts = [{"name": "data", "mountPath": "/data"}]
    pod = template()
    pod["spec"]["containers"][0]["volumeMounts"] = mounts
    claim = {"metadata": {"name": "data"}, "spec": CLAIM}
    create(STATEFULSETS, workload(template=pod, volumeClaimTemplates=[claim]))
    [said] = refusals(STATEFULSETS, workload(template=pod))
    assert said.startswith("spec.template.spec.containers[0].volumeMounts[0].name: Not found")


def test_what_may_change_of_a_stateful_set() -> None:
    old = create(STATEFULSETS, workload(serviceName="w"))
    changeable = {"replicas": 3, "ordinals": {"start": 2}, "minReadySeconds": 1, "revisionHistoryLimit": 1}
    update(STATEFULSETS, {**old, "spec": {**old["spec"], **changeable}}, old)
    for field, value in (("serviceName", "x"), ("podManagementPolicy", "Parallel")):
        with pytest.raises(Invalid, match="fields other than 'replicas', 'ordinals', 'template'"):
            update(STATEFULSETS, {**old, "spec": {**old["spec"], field: value}}, old)


INVALID: list[tuple[Resource, Obj, str]] = [
    (REPLICATIONCONTROLLERS, named(spec={}), "spec.selector: Required value"),
    (REPLICATIONCONTROLLERS, named(spec={"selector": {"a": "b"}}), "spec.template: Required value"),
    (
        REPLICATIONCONTROLLERS,
        named(spec={"selector": {"a": "c"}, "template": template()}),
        'spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match',
    ),
    (
        REPLICATIONCONTROLLERS,
        named(spec={"template": template(restartPolicy="Never")}),
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
    ),
    (
        STATEFULSETS,
        named("w", spec={"template": {"spec": template()["spec"]}}),
        "spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`",
    ),
    (
        DAEMONSETS,
        named("w", spec={"template": template()}),
        'spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template',
    ),
    (DAEMONSETS, workload(updateStrategy={"type": "X"}), "spec.updateStrategy: Unsupported value"),
    (
        DAEMONSETS,
        workload(selector={}),
        "spec.selector: Invalid value: {}: empty selector is invalid for daem",
    ),
    (
        DAEMONSETS,
        workload(updateStrategy={"rollingUpdate": {"maxUnavailable": "0%"}}),
        "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
    ),
    (
        DAEMONSETS,
        workload(updateStrategy={"rollingUpdate": {"maxSurge": 1}}),
        "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable",
    ),
    (
        DAEMONSETS,
        workload(updateStrategy={"rollingUpdate": {"maxUnavailable": "101%"}}),
        'spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than',
    ),
    (
        DAEMONSETS,
        workload(template=template(activeDeadlineSeconds=1)),
        "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in DaemonSet is not",
    ),
    (
        STATEFULSETS,
        workload(podManagementPolicy="X"),
        'spec.podManagementPolicy: Invalid value: "X": must be',
    ),
    (
        STATEFULSETS,
        workload(ordinals={"start": -1}),
        "spec.ordinals.start: Invalid value: -1: must be greater",
    ),
    (
        STATEFULSETS,
        workload(serviceName="a.b"),
        'spec.serviceName: Invalid value: "a.b": must not contain dots',
    ),
    (
        STATEFULSETS,
        workload(updateStrategy={"type": "OnDelete", "rollingUpdate": {}}),
        "spec.updateStrategy.rollingUpdate: Invalid value: {}: only allowed for updateStrategy",
    ),
    (
        STATEFULSETS,
        workload(updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}}),
        "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: 0: cannot be 0",
    ),
    (
        STATEFULSETS,
        workload(persistentVolumeClaimRetentionPolicy={"whenScaled": "Keep"}),
        'spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: "Keep"',
    ),
    (
        STATEFULSETS,
        workload(volumeClaimTemplates=[{"metadata": {"name": "data"}, "spec": {}}]),
        "spec.volumeClaimTemplates[0].spec.accessModes: Required value: at least 1 access mode is required",
    ),
    (STATEFULSETS, {**workload(), "metadata": {"name": "a.b"}}, 'metadata.name: Invalid value: "a.b"'),
    (CONTROLLERREVISIONS, named(revision=1), "data: Required value: data is mandatory"),
    (CONTROLLERREVISIONS, named(revision=-1, data={}), "revision: Invalid value: -1: must be greater than"),
    (
        PODDISRUPTIONBUDGETS,
        named(spec={"minAvailable": 1, "maxUnavailable": 1}),
        'spec: Invalid value: {"minAvailable":1,"maxUnavailable":1}: minAvailable and maxUnavailable cannot',
    ),
    (
        PODDISRUPTIONBUDGETS,
        named(spec={"minAvailable": -1}),
        "spec.minAvailable: Invalid value: -1: must be greater than or equal to 0",
    ),
    (
        PODDISRUPTIONBUDGETS,
        named(spec={"unhealthyPodEvictionPolicy": "X"}),
        'spec.unhealthyPodEvictionPolicy: Unsupported value: "X": supported values: "AlwaysAllow"',
    ),
]


@pytest.mark.parametrize(("resource", "obj", "problem"), INVALID)
def test_what_is_refused(resource: Resource, obj: Obj, problem: str) -> None:
    assert any(said.startswith(problem) for said in refusals(resource, obj)), refusals(resource, obj)


def test_what_a_revision_holds_is_fixed() -> None:
    old = create(CONTROLLERREVISIONS, named(revision=1, data={"a": 1}))
    assert update(CONTROLLERREVISIONS, {**old, "revision": 2}, old)["revision"] == 2
    with pytest.raises(Invalid, match="field is immutable"):
        update(CONTROLLERREVISIONS, {**old, "data": {"a": 2}}, old)


def shown(resource: Resource, obj: Obj) -> dict[str, Any]:
    table = to_table(resource, [obj])
    names = (column["name"] for column in table["columnDefinitions"])
    return dict(zip(names, table["rows"][0]["cells"], strict=True))


def test_columns() -> None:
    daemons = create(DAEMONSETS, workload(template=template(nodeSelector={"x": "y"})))
    daemons["status"] |= {"desiredNumberScheduled": 3, "numberReady": 2}
    cells = shown(DAEMONSETS, daemons)
    assert (cells["Desired"], cells["Ready"], cells["Node Selector"]) == (3, 2, "x=y")
    ordered = create(STATEFULSETS, workload(replicas=3)) | {"status": {"readyReplicas": 2}}
    assert shown(STATEFULSETS, ordered)["Ready"] == "2/3"
    controller = create(REPLICATIONCONTROLLERS, named("w", spec={"template": template()}))
    assert shown(REPLICATIONCONTROLLERS, controller)["Desired"] == 1
    budget = create(PODDISRUPTIONBUDGETS, named(spec={"minAvailable": "50%"}))
    cells = shown(PODDISRUPTIONBUDGETS, budget)
    assert (cells["Min Available"], cells["Max Unavailable"], cells["Allowed Disruptions"]) == (
        "50%",
        "N/A",
        0,
    )
    revision = create(CONTROLLERREVISIONS, named(revision=2, data={}))
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "w", "uid": "1", "controller": True}
    revision["metadata"]["ownerReferences"] = [owner]
    assert shown(CONTROLLERREVISIONS, revision)["Controller"] == "daemonset.apps/w"
