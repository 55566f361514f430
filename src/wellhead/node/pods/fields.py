"""Every field of a pod's spec that this agent knows, and what becomes of it.

A test holds this against the API's schema, so that a field that is new there is served or refused here, and
never passed over without a word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wellhead.api.meta import Obj


def _fields(text: str) -> Mapping[str, str]:
    """FIELD, or FIELD:TYPE for what has fields itself."""
    return {name: child for name, _, child in (each.partition(":") for each in text.split())}


SERVED: Mapping[str, Mapping[str, str]] = {
    name: _fields(text)
    for name, text in {
        # Some of these are served by others: the API server, the scheduler, controllers. Containers are
        # looked at one by one, and their limits have words of their own: see unsupported.py.
        "PodSpec": """
            activeDeadlineSeconds affinity automountServiceAccountToken containers dnsConfig:PodDNSConfig
            dnsPolicy enableServiceLinks ephemeralContainers hostAliases:HostAlias hostIPC hostNetwork hostPID
            hostUsers hostname hostnameOverride imagePullSecrets:LocalObjectReference initContainers nodeName
            nodeSelector os:PodOS overhead preemptionPolicy priority priorityClassName
            readinessGates:PodReadinessGate restartPolicy schedulerName schedulingGates:PodSchedulingGate
            resources:ResourceRequirements runtimeClassName setHostnameAsFQDN shareProcessNamespace
            securityContext:PodSecurityContext serviceAccount serviceAccountName subdomain
            terminationGracePeriodSeconds tolerations topologySpreadConstraints volumes:Volume
        """,
        "Container": """
            args command env:EnvVar envFrom:EnvFromSource image imagePullPolicy lifecycle:Lifecycle
            livenessProbe:Probe name ports:ContainerPort readinessProbe:Probe
            resizePolicy:ContainerResizePolicy
            resources:ResourceRequirements restartPolicy restartPolicyRules:ContainerRestartRule
            securityContext:SecurityContext startupProbe:Probe stdin stdinOnce terminationMessagePath
            terminationMessagePolicy tty volumeMounts:VolumeMount workingDir
        """,
        "ContainerPort": "containerPort hostIP hostPort name protocol",
        "ContainerResizePolicy": "resourceName restartPolicy",
        "ContainerRestartRule": "action exitCodes:ContainerRestartRuleOnExitCodes",
        "ContainerRestartRuleOnExitCodes": "operator values",
        "EnvFromSource": "configMapRef:ConfigMapEnvSource prefix secretRef:SecretEnvSource",
        "ConfigMapEnvSource": "name optional",
        "SecretEnvSource": "name optional",
        "EnvVar": "name value valueFrom:EnvVarSource",
        "EnvVarSource": """
            configMapKeyRef:ConfigMapKeySelector fieldRef:ObjectFieldSelector fileKeyRef:FileKeySelector
            resourceFieldRef:ResourceFieldSelector secretKeyRef:SecretKeySelector
        """,
        "ConfigMapKeySelector": "key name optional",
        "FileKeySelector": "key optional path volumeName",
        "ObjectFieldSelector": "apiVersion fieldPath",
        "ResourceFieldSelector": "containerName divisor resource",
        "SecretKeySelector": "key name optional",
        "PodDNSConfig": "nameservers options:PodDNSConfigOption searches",
        "PodDNSConfigOption": "name value",
        "HostAlias": "hostnames ip",
        "LocalObjectReference": "name",
        "PodOS": "name",
        "PodReadinessGate": "conditionType",
        "PodSchedulingGate": "name",
        "Lifecycle": "postStart:LifecycleHandler preStop:LifecycleHandler stopSignal",
        "LifecycleHandler": "exec:ExecAction httpGet:HTTPGetAction sleep:SleepAction",
        "Probe": """
            exec:ExecAction failureThreshold grpc:GRPCAction httpGet:HTTPGetAction initialDelaySeconds
            periodSeconds successThreshold tcpSocket:TCPSocketAction terminationGracePeriodSeconds
            timeoutSeconds
        """,
        "ExecAction": "command",
        "GRPCAction": "mode port service",
        "HTTPGetAction": "host httpHeaders:HTTPHeader path port scheme",
        "HTTPHeader": "name value",
        "SleepAction": "seconds",
        "TCPSocketAction": "host port",
        "ResourceRequirements": "limits requests",
        "PodSecurityContext": """
            appArmorProfile:AppArmorProfile fsGroup fsGroupChangePolicy runAsGroup runAsNonRoot runAsUser
            seccompProfile:SeccompProfile supplementalGroups
            supplementalGroupsPolicy sysctls:Sysctl
        """,
        "SeccompProfile": "localhostProfile type",
        "AppArmorProfile": "localhostProfile type",
        "Capabilities": "add drop",
        "Sysctl": "name value",
        "SecurityContext": """
            allowPrivilegeEscalation appArmorProfile:AppArmorProfile capabilities:Capabilities privileged
            procMount readOnlyRootFilesystem runAsGroup runAsNonRoot runAsUser seccompProfile:SeccompProfile
        """,
        "Volume": """
            configMap:ConfigMapVolumeSource downwardAPI:DownwardAPIVolumeSource emptyDir:EmptyDirVolumeSource
            ephemeral hostPath:HostPathVolumeSource image:ImageVolumeSource name
            persistentVolumeClaim:PersistentVolumeClaimVolumeSource
            projected:ProjectedVolumeSource secret:SecretVolumeSource
        """,
        "VolumeMount": "bindMountOptions mountPath mountPropagation name readOnly recursiveReadOnly subPath "
        "subPathExpr",
        "ConfigMapVolumeSource": "defaultMode defaultUser items:KeyToPath name optional",
        "DownwardAPIVolumeSource": "defaultMode defaultUser items:DownwardAPIVolumeFile",
        "EmptyDirVolumeSource": "medium mode sizeLimit",
        "HostPathVolumeSource": "path type",
        "ImageVolumeSource": "pullPolicy reference",
        "ProjectedVolumeSource": "defaultMode defaultUser sources:VolumeProjection",
        "SecretVolumeSource": "defaultMode defaultUser items:KeyToPath optional secretName",
        "KeyToPath": "key mode path user",
        "PersistentVolumeClaimVolumeSource": "claimName readOnly",
        "DownwardAPIVolumeFile": """
            fieldRef:ObjectFieldSelector mode path resourceFieldRef:ResourceFieldSelector user
        """,
        "VolumeProjection": """
            configMap:ConfigMapProjection downwardAPI:DownwardAPIProjection secret:SecretProjection
            serviceAccountToken:ServiceAccountTokenProjection
        """,
        "ConfigMapProjection": "items:KeyToPath name optional",
        "DownwardAPIProjection": "items:DownwardAPIVolumeFile",
        "SecretProjection": "items:KeyToPath name optional",
        "ServiceAccountTokenProjection": "audience expirationSeconds path user",
    }.items()
}

SERVED = {**SERVED, "EphemeralContainer": {**SERVED["Container"], "targetContainerName": ""}}

NO_EFFECT: Mapping[str, Mapping[str, str]] = {
    "PodSpec": {
        "evictionResponders": "there are no eviction requests",
        "resourceClaims": "there are no devices to claim: the scheduler refuses such a pod",
        "schedulingGroup": "pods are scheduled one by one",
    },
    "Container": {
        "volumeDevices": "there are no block devices",
    },
    "EphemeralContainer": {
        "volumeDevices": "there are no block devices",
    },
    "HTTPGetAction": {"protocol": "probes speak HTTP/1.1"},
    "ResourceRequirements": {
        "claims": "there are no devices to claim",
    },
    "PodSecurityContext": {
        "seLinuxChangePolicy": "there are no SELinux labels",
        "seLinuxOptions": "there are no SELinux labels",
        "windowsOptions": "this is Linux",
    },
    "SecurityContext": {
        "seLinuxOptions": "there are no SELinux labels",
        "windowsOptions": "this is Linux",
    },
}
"""What is said of them, once for each pod that asks for it."""

REFUSED: Mapping[str, frozenset[str]] = {
    "LifecycleHandler": frozenset({"tcpSocket"}),
    "VolumeProjection": frozenset({"clusterTrustBundle", "podCertificate"}),
    # Volumes have what nobody lists: what is not served is refused, by its name.
    "Volume": frozenset({"*"}),
}
"""What keeps a container from running, or a hook from succeeding, and has an event of its own there."""

_EMPTY: tuple[object, ...] = (None, "", False, [], {})


def without_effect(obj: Obj, type: str, at: str) -> Iterator[str]:
    """A sentence for each field of `obj`, and of what it holds, that asks for something and has no effect.

    `at` is what comes before the field's name: where `obj` is.
    """
    for field, value in obj.items():
        if field in SERVED[type]:
            yield from _inside(value, SERVED[type][field], f"{at}{field}")
        elif _asks(field, value) and not REFUSED.get(type, frozenset()) & {field, "*"}:
            consequence = NO_EFFECT.get(type, {}).get(field, "this agent doesn't know it")
            yield f"{at}{field} has no effect: {consequence}"


def _inside(value: Any, type: str, at: str) -> Iterator[str]:
    if not type:
        return
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from without_effect(each, type, f"{at}[{index}].")
    elif value:
        yield from without_effect(value, type, f"{at}.")


def _asks(field: str, value: object) -> bool:
    return value not in _EMPTY
