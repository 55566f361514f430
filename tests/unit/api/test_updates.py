"""What may change of an object that is there, and how it is refused: as upstream's server answered."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.unit.api.objects import create, named, problems, update
from wellhead.api.errors import Invalid, Undecodable
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import (
    DAEMONSETS,
    FLOWSCHEMAS,
    PERSISTENTVOLUMES,
    PODDISRUPTIONBUDGETS,
    PODS,
    RUNTIMECLASSES,
    SERVICEACCOUNTS,
    SERVICECIDRS,
    STATEFULSETS,
)

MIRROR = "kubernetes.io/config.mirror"
APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/c"
TOLERATED = {"key": "a", "operator": "Exists", "effect": "NoExecute"}
ON_LINUX = {"key": "os", "operator": "In", "values": ["linux"]}
ON_FAST = {"key": "disk", "operator": "In", "values": ["ssd"]}
TEMPLATE: Obj = {
    "metadata": {"labels": {"a": "b"}},
    "spec": {"containers": [{"name": "c", "image": "i"}], "terminationGracePeriodSeconds": -1},
}


def pod(**spec: Any) -> Obj:
    return create(PODS, named("p", spec={"containers": [{"name": "c", "image": "i"}], **spec}))


def changed(obj: Obj, **spec: Any) -> Obj:
    new = copy.deepcopy(obj)
    new["spec"] |= spec
    return new


def refusals(resource: Resource, new: Obj, old: Obj, subresource: str = "") -> list[str]:
    with pytest.raises(Invalid) as refused:
        update(resource, new, old, subresource)
    return problems(refused.value)


def annotated(obj: Obj, annotations: Obj) -> Obj:
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}


def affinity(*expressions: Obj, terms: int = 1) -> Obj:
    required = {"nodeSelectorTerms": [{"matchExpressions": list(expressions)}] * terms}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


@pytest.mark.parametrize(
    ("new", "old", "problem"),
    [
        (60, 50, "must be less than or equal to previous value"),
        (-1, 50, "must be between 0 and 2147483647, inclusive"),
        (None, 50, "must not update from a positive integer to nil value"),
    ],
)
def test_a_deadline_only_comes_nearer(new: int | None, old: int, problem: str) -> None:
    said = refusals(PODS, changed(pod(), activeDeadlineSeconds=new), pod(activeDeadlineSeconds=old))
    assert any(each.startswith("spec.activeDeadlineSeconds") and each.endswith(problem) for each in said)


def test_what_a_pod_tolerates_may_grow_and_last_otherwise() -> None:
    old = pod(tolerations=[{**TOLERATED, "tolerationSeconds": 5}])
    update(PODS, changed(old, tolerations=[{**TOLERATED, "tolerationSeconds": 9}]), old)
    update(PODS, changed(old, tolerations=[*old["spec"]["tolerations"], {**TOLERATED, "key": "b"}]), old)
    problem = "existing toleration can not be modified except its tolerationSeconds"
    assert refusals(PODS, changed(old, tolerations=[{**TOLERATED, "key": "b"}]), old) == [
        f"spec.tolerations: Forbidden: {problem}"
    ]


def test_a_gated_pod_may_be_confined_more() -> None:
    gates = [{"name": "g"}]
    old = pod(schedulingGates=gates, nodeSelector={"a": "b"}, affinity=affinity(ON_LINUX))
    update(PODS, changed(old, nodeSelector={"a": "b", "c": "d"}), old)
    update(PODS, changed(old, affinity=affinity(ON_LINUX, ON_FAST)), old)
    free = pod(schedulingGates=gates)
    update(PODS, changed(free, affinity=affinity(ON_FAST)), free)
    (selector,) = refusals(PODS, changed(old, nodeSelector={"a": "x"}), old)
    assert selector.endswith("only additions to spec.nodeSelector are allowed (no mutations or deletions)")
    (mutated,) = refusals(PODS, changed(old, affinity=affinity(ON_FAST)), old)
    assert mutated.endswith("only additions are allowed (no mutations or deletions)")
    (more,) = refusals(PODS, changed(old, affinity=affinity(ON_LINUX, terms=2)), old)
    assert more.endswith("no additions/deletions to non-empty NodeSelectorTerms list are allowed")


def test_a_pod_without_gates_stays_where_it_may_be() -> None:
    old = pod(nodeSelector={"a": "b"})
    (refused,) = refusals(PODS, changed(old, nodeSelector={"a": "b", "c": "d"}), old)
    assert "pod updates may not change fields other than" in refused


@pytest.mark.parametrize(
    ("name", "about"), [(MIRROR, "mirror pod annotation"), (APP_ARMOR, "AppArmor annotations")]
)
@pytest.mark.parametrize("subresource", ["", "status"])
def test_annotations_that_speak_of_the_spec_stay(name: str, about: str, subresource: str) -> None:
    plain = pod(nodeName="n")
    with_it = annotated(plain, {name: "runtime/default"})
    at = f"metadata.annotations[{name}]: Forbidden: may not"
    assert refusals(PODS, with_it, plain, subresource) == [f"{at} add {about}"]
    other = annotated(plain, {name: "unconfined"})
    assert refusals(PODS, other, with_it, subresource) == [f"{at} remove or update {about}"]


def test_all_that_is_wrong_is_said_at_once() -> None:
    old = pod()
    new = changed(old, containers=[{**old["spec"]["containers"][0], "image": " i"}], hostname="-")
    said = refusals(PODS, new, old)
    assert [each.partition(":")[0] for each in said] == [
        "spec.containers[0].image",
        "spec.hostname",
        "spec",
    ]


def test_a_pods_grace_period_is_never_negative_and_a_templates_may_be() -> None:
    assert pod(terminationGracePeriodSeconds=-1)["spec"]["terminationGracePeriodSeconds"] == 1
    selector = {"matchLabels": {"a": "b"}}
    made = create(DAEMONSETS, named(spec={"selector": selector, "template": TEMPLATE}))
    assert made["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == -1


def with_containers(old: Obj, name: str, state: Obj) -> Obj:
    return {**old, "status": {**old["status"], name: [{"name": "c", "state": state}]}}


@pytest.mark.parametrize(
    ("spec", "code", "may"),
    [
        ({"restartPolicy": "Always"}, 0, True),
        ({"restartPolicy": "OnFailure"}, 1, True),
        ({"restartPolicy": "OnFailure"}, 0, False),
        ({"restartPolicy": "Never"}, 1, False),
    ],
)
def test_a_container_that_ended_runs_again_only_if_it_is_to_be_restarted(
    spec: Obj, code: int, may: bool
) -> None:
    ended = with_containers(pod(**spec), "containerStatuses", {"terminated": {"exitCode": code}})
    again = with_containers(ended, "containerStatuses", {"running": {}})
    if may:
        update(PODS, again, ended, "status")
        return
    problem = "may not be transitioned to non-terminated state"
    assert refusals(PODS, again, ended, "status") == [
        f"status.containerStatuses[0].state: Forbidden: {problem}"
    ]


def test_rules_of_a_container_come_before_its_pods() -> None:
    rule = {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}
    container = {"name": "c", "image": "i", "restartPolicy": "Never", "restartPolicyRules": [rule]}
    old = pod(containers=[container], restartPolicy="Always")
    for code in (42, 43):
        ended = with_containers(old, "containerStatuses", {"terminated": {"exitCode": code}})
        again = with_containers(ended, "containerStatuses", {"waiting": {}})
        if code == 42:
            update(PODS, again, ended, "status")
        else:
            assert len(refusals(PODS, again, ended, "status")) == 1


def test_an_agent_that_leaves_things_out_unsets_nothing() -> None:
    old = pod()
    old["status"] |= {"observedGeneration": 3, "conditions": [{"type": "Ready", "observedGeneration": 2}]}
    new = {**old, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
    status = update(PODS, new, old, "status")["status"]
    assert (status["qosClass"], status["observedGeneration"]) == ("BestEffort", 3)
    assert status["conditions"][0]["observedGeneration"] == 2
    forged = {**old, "status": {**old["status"], "qosClass": "Guaranteed"}}
    assert refusals(PODS, forged, old, "status") == [
        'status.qosClass: Invalid value: "Guaranteed": field is immutable'
    ]


def test_a_bound_pod_is_nominated_for_no_node() -> None:
    for node, fine in (("n", False), (None, True)):
        old = pod(nodeName=node)
        new = {**old, "status": {**old["status"], "nominatedNodeName": "other"}}
        if fine:
            update(PODS, new, old, "status")
        else:
            (refused,) = refusals(PODS, new, old, "status")
            assert refused.endswith("may not be set on pods that are already bound to a node")


def test_a_volume_that_is_invalid_cannot_be_mounted() -> None:
    container = {"name": "c", "image": "i", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    with pytest.raises(Invalid) as refused:
        pod(containers=[container], volumes=[{"name": "v", "nfs": {"server": "s", "path": "relative"}}])
    assert [each.partition(":")[0] for each in problems(refused.value)] == [
        "spec.volumes[0].nfs.path",
        "spec.containers[0].volumeMounts[0].name",
    ]


def test_of_two_handlers_the_first_is_looked_at() -> None:
    probe = {"tcpSocket": {"port": 80}, "grpc": {"port": -1}}
    with pytest.raises(Invalid) as refused:
        pod(containers=[{"name": "c", "image": "i", "livenessProbe": probe}])
    assert problems(refused.value) == [
        "spec.containers[0].livenessProbe.grpc: Forbidden: may not specify more than 1 handler type"
    ]


def test_conditions_of_the_common_type_are_checked() -> None:
    old = create(PODDISRUPTIONBUDGETS, named(spec={"minAvailable": 1}))
    condition = {"type": "a b", "status": "Yes", "reason": "0"}
    new = {**old, "status": {**old["status"], "conditions": [condition, condition]}}
    said = refusals(PODDISRUPTIONBUDGETS, new, old, "status")
    fields = {each.partition(":")[0].rpartition(".")[2] for each in said}
    assert fields == {"type", "status", "reason", "lastTransitionTime"}
    assert 'status.conditions[1].type: Duplicate value: "a b"' in said


def test_a_condition_of_a_flow_schema_has_a_type() -> None:
    spec = {"priorityLevelConfiguration": {"name": "a"}, "matchingPrecedence": 2}
    old = create(FLOWSCHEMAS, named(spec=spec))
    said = refusals(FLOWSCHEMAS, {**old, "status": {"conditions": [{}, {}]}}, old, "status")
    assert said == [
        'status.conditions[1].type: Duplicate value: ""',
        "status.conditions[0].type: Required value",
        "status.conditions[1].type: Required value",
    ]


def test_a_volume_is_pending_until_somebody_says_otherwise() -> None:
    source = {"hostPath": {"path": "/a"}, "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}
    old = create(PERSISTENTVOLUMES, named(spec=source))
    assert update(PERSISTENTVOLUMES, {**old, "status": {}}, old, "status")["status"]["phase"] == "Pending"


def test_networks_of_services_are_not_judged_again() -> None:
    old = create(SERVICECIDRS, named(spec={"cidrs": ["10.0.0.0/24"]}))
    at = "spec.cidrs[0]: Invalid value: "
    assert refusals(SERVICECIDRS, changed(old, cidrs=["x"]), old) == [f'{at}"x": field is immutable']
    assert update(SERVICECIDRS, changed(old, cidrs=["10.0.0.0/24", "fd00::/112"]), old)
    (refused,) = refusals(SERVICECIDRS, changed(old, cidrs=["10.0.0.0/24", "10.1.0.0/24"]), old)
    assert "may specify no more than one IP for each IP family" in refused


def test_a_runtime_class_is_checked_when_it_changes() -> None:
    old = create(RUNTIMECLASSES, named(handler="h"))
    new = {**old, "handler": "", "scheduling": {"tolerations": [{**TOLERATED, "operator": "X"}]}}
    fields = [each.partition(":")[0] for each in refusals(RUNTIMECLASSES, new, old)]
    assert fields == ["handler", "scheduling.tolerations[0].operator", "handler"]


def test_of_a_service_accounts_secrets_the_names_are_kept() -> None:
    secret = {"name": "s", "namespace": "elsewhere", "kind": "Secret"}
    assert create(SERVICEACCOUNTS, named(secrets=[secret]))["secrets"] == [{"name": "s"}]


def test_a_daemon_set_says_its_generation_in_digits() -> None:
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
    wrong = {"metadata": {"name": "d", "annotations": {"deprecated.daemonset.template.generation": "x"}}}
    with pytest.raises(Undecodable) as refused:
        create(DAEMONSETS, {**wrong, "spec": spec})
    assert refused.value.message.endswith('strconv.ParseInt: parsing "x": invalid syntax')


def test_a_claims_template_is_a_claim_whatever_it_says() -> None:
    claim = {
        "kind": "Other",
        "metadata": {"name": "d"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE, "volumeClaimTemplates": [claim]}
    made = create(STATEFULSETS, named(spec=spec))
    assert made["spec"]["volumeClaimTemplates"][0]["kind"] == "PersistentVolumeClaim"


@pytest.mark.parametrize("version", ["", "a/b/c", "a/"])
def test_an_owner_has_a_version(version: str) -> None:
    owner = {"apiVersion": version, "kind": "K", "name": "n", "uid": "u"}
    with pytest.raises(Invalid) as refused:
        create(SERVICEACCOUNTS, {"metadata": {"name": "a", "ownerReferences": [owner]}})
    (said,) = problems(refused.value)
    assert said.endswith("version must not be empty")
