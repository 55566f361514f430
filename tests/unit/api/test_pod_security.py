"""The Pod Security Standards, in upstream's words."""

from __future__ import annotations

from typing import Any

import pytest

from wellhead.api.meta import Obj
from wellhead.api.pod_security.evaluation import evaluate
from wellhead.api.pod_security.levels import PREFIX, Policy, policies

BASELINE, RESTRICTED = Policy("baseline"), Policy("restricted")
GOOD: Obj = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(context: Obj | None = None, *, container: Obj | None = None, **spec: Any) -> Obj:
    holder = {
        "name": "c",
        **({"securityContext": context} if context is not None else {}),
        **(container or {}),
    }
    return {"containers": [holder], **spec}


def said(policy: Policy, spec: Obj, **annotations: str) -> list[str]:
    return [str(finding) for finding in evaluate(policy, {"annotations": annotations}, spec)]


def test_a_plain_pod_is_baseline_but_not_restricted() -> None:
    assert said(BASELINE, pod()) == []
    assert said(RESTRICTED, pod()) == [
        'allowPrivilegeEscalation != false (container "c" must set '
        "securityContext.allowPrivilegeEscalation=false)",
        'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"])',
        'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)',
        'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to '
        '"RuntimeDefault" or "Localhost")',
    ]
    assert said(RESTRICTED, pod(GOOD)) == []
    assert said(Policy("privileged"), pod({"privileged": True})) == []


@pytest.mark.parametrize(
    ("spec", "finding"),
    [
        (pod(hostNetwork=True, hostPID=True), "host namespaces (hostNetwork=true, hostPID=true)"),
        (
            pod({"privileged": True}),
            'privileged (container "c" must not set securityContext.privileged=true)',
        ),
        (
            pod(volumes=[{"name": "v", "hostPath": {"path": "/"}}]),
            'hostPath volumes (volume "v")',
        ),
        (
            pod(container={"ports": [{"hostPort": 80}, {"hostPort": 81}]}),
            'hostPort (container "c" uses hostPorts 80, 81)',
        ),
        (
            pod({"capabilities": {"add": ["NET_ADMIN", "CHOWN"]}}),
            'non-default capabilities (container "c" must not include "NET_ADMIN" in '
            "securityContext.capabilities.add)",
        ),
        (
            pod({"procMount": "Unmasked"}),
            'procMount (container "c" must not set securityContext.procMount to "Unmasked")',
        ),
        (
            pod(
                {"seccompProfile": {"type": "Unconfined"}},
                securityContext={"seccompProfile": {"type": "Unconfined"}},
            ),
            'seccompProfile (pod and container "c" must not set securityContext.seccompProfile.type to '
            '"Unconfined")',
        ),
        (
            pod({"seLinuxOptions": {"type": "spc_t", "user": "u"}}),
            'seLinuxOptions (container "c" set forbidden securityContext.seLinuxOptions: type "spc_t"; user '
            "may not be set)",
        ),
        (
            pod(securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}),
            "forbidden sysctls (kernel.msgmax)",
        ),
        (
            pod({"appArmorProfile": {"type": "Unconfined"}}),
            'forbidden AppArmor profile (container "c" must not set AppArmor profile type to "Unconfined")',
        ),
        (
            pod(container={"livenessProbe": {"httpGet": {"host": "192.0.2.1"}}}),
            'probe or lifecycle host (container "c" uses probe or lifecycle host "192.0.2.1")',
        ),
        (
            pod({"windowsOptions": {"hostProcess": True}}),
            'hostProcess (container "c" must not set securityContext.windowsOptions.hostProcess=true)',
        ),
    ],
)
def test_ways_out_of_a_pod_are_closed(spec: Obj, finding: str) -> None:
    assert said(BASELINE, spec) == [finding]


@pytest.mark.parametrize(
    ("spec", "finding"),
    [
        (pod(GOOD | {"runAsUser": 0}), 'runAsUser=0 (container "c" must not set runAsUser=0)'),
        (
            pod(GOOD | {"runAsNonRoot": False}),
            'runAsNonRoot != true (container "c" must not set securityContext.runAsNonRoot=false)',
        ),
        (
            pod(GOOD, volumes=[{"name": "v", "hostPath": {}}, {"name": "w", "nfs": {}}]),
            'restricted volume types (volumes "v", "w" use restricted volume types "hostPath", "nfs")',
        ),
        (
            pod(GOOD | {"capabilities": {"drop": ["ALL"], "add": ["CHOWN", "NET_BIND_SERVICE"]}}),
            'unrestricted capabilities (container "c" must not include "CHOWN" in '
            "securityContext.capabilities.add)",
        ),
    ],
)
def test_a_restricted_pod_has_what_it_needs(spec: Obj, finding: str) -> None:
    assert said(RESTRICTED, spec) == [finding]


def test_older_versions_know_less() -> None:
    unprivileged = pod(GOOD | {"runAsUser": 0})
    assert said(Policy("restricted", 22), unprivileged) == []
    probing = pod(container={"livenessProbe": {"tcpSocket": {"host": "192.0.2.1"}}})
    assert said(Policy("baseline", 33), probing) == []
    annotation = {"seccomp.security.alpha.kubernetes.io/pod": "unconfined"}
    assert said(Policy("baseline", 18), pod(), **annotation) != []
    assert said(BASELINE, pod(), **annotation) == []


def test_with_users_of_its_own_a_pod_may_be_root() -> None:
    assert said(RESTRICTED, pod(GOOD | {"runAsUser": 0, "runAsNonRoot": None}, hostUsers=False)) == []


def test_labels_name_policies() -> None:
    found, causes = policies({f"{PREFIX}enforce": "baseline", f"{PREFIX}audit-version": "v1.30"})
    assert causes == []
    assert (str(found.enforce), str(found.audit), str(found.warn)) == (
        "baseline:latest",
        "privileged:v1.30",
        "baseline:latest",
    )
    assert policies({})[0].is_privileged


def test_labels_that_name_none() -> None:
    found, causes = policies({f"{PREFIX}enforce": "strict", f"{PREFIX}warn-version": "1.2"})
    assert found.enforce.level == "restricted"
    assert [str(cause) for cause in causes] == [
        'metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": must be one of '
        "privileged, baseline, restricted",
        'metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: "1.2": must be "latest" '
        'or "v1.x"',
    ]
