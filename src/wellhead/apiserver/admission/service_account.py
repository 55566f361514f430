"""ServiceAccount: a pod runs as an account of its namespace, and finds that account's token in a volume.

Upstream: plugin/pkg/admission/serviceaccount.
"""

from __future__ import annotations

from collections.abc import Callable

from wellhead.api.errors import Forbidden
from wellhead.api.kinds.pod.references import configuration, is_mirror, token_audiences
from wellhead.api.kinds.pod.spec import containers_of
from wellhead.api.meta import Obj
from wellhead.api.metadata import random_suffix
from wellhead.api.well_known import PODS, SERVICEACCOUNTS
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Request

_ACCOUNT_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount"
_TOKEN_SECONDS = 3607  # an hour, and the seconds by which upstream tells these tokens from others

Find = Callable[[str, str], Obj | None]
"""An account by namespace and name."""


class ServiceAccount(Plugin):
    name = "ServiceAccount"
    operations = ("CREATE",)
    resources = (PODS,)

    def __init__(self, environment: Environment) -> None:
        lookup = environment.registry.lookup
        self._find: Find = lambda namespace, name: lookup(SERVICEACCOUNTS, (namespace, name))

    async def mutate(self, request: Request) -> None:
        """Raises Forbidden."""
        give_account(request.obj, request.namespace, self._find)


def give_account(pod: Obj, namespace: str, find: Find) -> None:
    """In place. Raises Forbidden if the account doesn't exist, or a mirror pod names one."""
    if is_mirror(pod):
        _check_mirror(pod)
    else:
        _use_account(pod, namespace, find)


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


def _use_account(pod: Obj, namespace: str, find: Find) -> None:
    spec = pod["spec"]
    name = spec.get("serviceAccountName") or "default"
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    account = find(namespace, name)
    if account is None:
        raise Forbidden.of(
            PODS,
            pod["metadata"].get("name", ""),
            f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found',
        )
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
