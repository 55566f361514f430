"""What ServiceAccount, Priority and DefaultTolerationSeconds make of a new pod."""

from __future__ import annotations

from typing import Any

import pytest

from wellhead.api.errors import Forbidden
from wellhead.api.meta import Obj
from wellhead.apiserver.admission.default_toleration_seconds import tolerate_for_a_while
from wellhead.apiserver.admission.priority import give_priority, keep_priority
from wellhead.apiserver.admission.service_account import give_account

TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
TAINT = "node.kubernetes.io/not-ready"


def pod(**spec: Any) -> Obj:
    return {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "busybox"}], **spec}}


def accounted(account: Obj | None, **spec: Any) -> Obj:
    made = pod(**spec)
    give_account(made, "default", lambda namespace, name: account)
    found: Obj = made["spec"]
    return found


def test_a_pod_finds_its_accounts_token() -> None:
    spec = accounted({})
    volume = spec["volumes"][0]["name"]
    assert volume.startswith("kube-api-access-")
    mount = {"name": volume, "readOnly": True, "mountPath": TOKEN_PATH}
    assert spec["containers"][0]["volumeMounts"] == [mount]
    assert spec["serviceAccountName"] == spec["serviceAccount"] == "default"


def test_no_token_where_none_is_wanted() -> None:
    assert "volumes" not in accounted({}, automountServiceAccountToken=False)
    no_token = {"automountServiceAccountToken": False}
    assert "volumes" not in accounted(no_token)
    assert "volumes" in accounted(no_token, automountServiceAccountToken=True)


def test_pull_secrets_are_the_accounts_unless_the_pod_has_its_own() -> None:
    account = {"imagePullSecrets": [{"name": "theirs"}]}
    assert accounted(account)["imagePullSecrets"] == [{"name": "theirs"}]
    assert accounted(account, imagePullSecrets=[{"name": "own"}])["imagePullSecrets"] == [{"name": "own"}]


def test_a_pod_of_a_missing_account_is_forbidden() -> None:
    with pytest.raises(Forbidden, match='serviceaccount "default" not found'):
        accounted(None)


def prioritized(made: Obj, *classes: Obj) -> Obj:
    found = {each["metadata"]["name"]: each for each in classes}
    give_priority(made, found.get, found.values)
    spec: Obj = made["spec"]
    return spec


def priority_class(name: str, value: int, **fields: Any) -> Obj:
    return {"metadata": {"name": name}, "value": value, **fields}


def test_the_lowest_default_class_is_that_of_pods_that_name_none() -> None:
    classes = [priority_class("a", 7, globalDefault=True, preemptionPolicy="Never")]
    classes += [priority_class("b", 9, globalDefault=True), priority_class("c", 1)]
    spec = prioritized(pod(), *classes)
    assert (spec["priorityClassName"], spec["priority"], spec["preemptionPolicy"]) == ("a", 7, "Never")
    assert prioritized(pod(priorityClassName="c"), *classes)["priority"] == 1


def test_an_update_keeps_the_priority() -> None:
    old, new = pod(priority=5, preemptionPolicy="Never"), pod()
    keep_priority(new, old)
    assert (new["spec"]["priority"], new["spec"]["preemptionPolicy"]) == (5, "Never")


def test_a_class_gives_its_priority() -> None:
    made = pod(priorityClassName="system-node-critical")
    prioritized(made)
    assert made["spec"]["priority"] == 2_000_001_000
    assert made["spec"]["preemptionPolicy"] == "PreemptLowerPriority"


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"priorityClassName": "high"}, "no PriorityClass with name high was found"),
        ({"priority": 5}, "the integer value of priority (5) must not be provided in pod spec"),
        ({"preemptionPolicy": "Never"}, "the string value of PreemptionPolicy (Never) must not be provided"),
    ],
)
def test_nobody_sets_another_priority(spec: Obj, problem: str) -> None:
    with pytest.raises(Forbidden, match="is forbidden") as refused:
        prioritized(pod(**spec))
    assert problem in str(refused.value)


def test_a_taint_is_tolerated_for_five_minutes_unless_the_pod_says_otherwise() -> None:
    spec: Obj = {}
    tolerate_for_a_while(spec, TAINT)
    tolerate_for_a_while(spec, TAINT)
    given = {"key": TAINT, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    assert spec["tolerations"] == [given]
    own = {"tolerations": [{"operator": "Exists"}]}
    tolerate_for_a_while(own, TAINT)
    assert own["tolerations"] == [{"operator": "Exists"}]
