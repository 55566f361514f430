"""What upstream's admission plugins ServiceAccount, DefaultTolerationSeconds and Priority do to a new pod."""

from __future__ import annotations

from wellhead.api.errors import Forbidden
from wellhead.api.kinds.pod.references import configuration, is_mirror, token_audiences
from wellhead.api.kinds.pod.resource import PODS
from wellhead.api.kinds.pod.spec import containers_of
from wellhead.api.kinds.serviceaccount import SERVICEACCOUNTS
from wellhead.api.meta import Obj
from wellhead.api.metadata import random_suffix
from wellhead.api.strategy import Context

_ACCOUNT_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount"
_TOKEN_SECONDS = 3607  # an hour, and the seconds by which upstream tells these tokens from others
_TOLERATION_SECONDS = 300
_PREEMPTION = "PreemptLowerPriority"
# Those that every cluster has; others can't be made here.
_PRIORITY_CLASSES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def admit(pod: Obj, context: Context) -> None:
    """In place. Raises Forbidden if the pod's ServiceAccount or class of priority doesn't exist, or a mirror
    pod names an account.
    """
    spec = pod["spec"]
    if is_mirror(pod):
        _check_mirror(pod)
    else:
        _use_service_account(pod, context)
    for taint in _TAINTS:
        _tolerate_for_a_while(spec, taint)
    _give_priority(pod)


def _give_priority(pod: Obj) -> None:
    """The priority of the pod's class; nobody sets another."""
    spec, name = pod["spec"], pod["metadata"].get("name", "")
    kind = spec.get("priorityClassName") or ""
    if kind and kind not in _PRIORITY_CLASSES:
        raise Forbidden.of(PODS, name, f"no PriorityClass with name {kind} was found")
    priority = _PRIORITY_CLASSES.get(kind, 0)
    if spec.setdefault("priority", priority) != priority:
        raise Forbidden.of(
            PODS,
            name,
            f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; priority "
            f"admission controller computed {priority} from the given PriorityClass name",
        )
    policy = spec.setdefault("preemptionPolicy", _PREEMPTION)
    if policy != _PREEMPTION:
        raise Forbidden.of(
            PODS,
            name,
            f"the string value of PreemptionPolicy ({policy}) must not be provided in pod spec; priority "
            f"admission controller computed {_PREEMPTION} from the given PriorityClass name",
        )


def _check_mirror(pod: Obj) -> None:
    """What a node shows of its own gives it no access to what others have stored."""
    spec = pod["spec"]
    refused = "service accounts" if spec.get("serviceAccountName") or spec.get("serviceAccount") else ""
    for resource, _ in configuration(spec):
        refused = refused or resource
    if token_audiences(spec):
        refused = refused or "service account tokens"
    if refused:
        raise Forbidden.of(PODS, pod["metadata"].get("name", ""), f"a mirror pod may not reference {refused}")


def _use_service_account(pod: Obj, context: Context) -> None:
    spec = pod["spec"]
    name = spec.get("serviceAccountName") or "default"
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    account: Obj = {}
    if context.lookup is not None:
        found = context.lookup(SERVICEACCOUNTS, (context.namespace, name))
        if found is None:
            raise Forbidden.of(
                PODS,
                pod["metadata"].get("name", ""),
                f"error looking up service account {context.namespace}/{name}: "
                f'serviceaccount "{name}" not found',
            )
        account = found
    if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
        spec["imagePullSecrets"] = [dict(secret) for secret in account["imagePullSecrets"]]
    automount = spec.get("automountServiceAccountToken", account.get("automountServiceAccountToken"))
    if automount is not False:
        _mount_token(spec)


def _mount_token(spec: Obj) -> None:
    without = [
        container
        for container in containers_of(spec)
        if all(mount.get("mountPath") != _ACCOUNT_DIRECTORY for mount in container.get("volumeMounts") or ())
    ]
    if not without:
        return
    volume = f"kube-api-access-{random_suffix()}"
    spec.setdefault("volumes", []).append(
        {
            "name": volume,
            "projected": {
                "sources": [
                    {"serviceAccountToken": {"expirationSeconds": _TOKEN_SECONDS, "path": "token"}},
                    {
                        "configMap": {
                            "name": "kube-root-ca.crt",
                            "items": [{"key": "ca.crt", "path": "ca.crt"}],
                        }
                    },
                    {
                        "downwardAPI": {
                            "items": [
                                {
                                    "path": "namespace",
                                    "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                                }
                            ]
                        }
                    },
                ],
                "defaultMode": 0o644,
            },
        }
    )
    for container in without:
        container.setdefault("volumeMounts", []).append(
            {"name": volume, "readOnly": True, "mountPath": _ACCOUNT_DIRECTORY}
        )


def _tolerate_for_a_while(spec: Obj, taint: str) -> None:
    tolerations = spec.setdefault("tolerations", [])
    if any(
        toleration.get("key") in (taint, None, "") and toleration.get("effect") in ("NoExecute", None, "")
        for toleration in tolerations
    ):
        return
    tolerations.append(
        {
            "key": taint,
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": _TOLERATION_SECONDS,
        }
    )
