"""Nodes, as decoded from JSON.

Made by `generate.py`; not to be edited.
"""

from __future__ import annotations

from typing import TypedDict

from wellhead.api.types.shared import ObjectMeta


class AttachedVolume(TypedDict, total=False):
    devicePath: str
    name: str


class ConfigMapNodeConfigSource(TypedDict, total=False):
    kubeletConfigKey: str
    name: str
    namespace: str
    resourceVersion: str
    uid: str


class ContainerImage(TypedDict, total=False):
    names: list[str]
    sizeBytes: int


class DaemonEndpoint(TypedDict, total=False):
    Port: int


class Node(TypedDict, total=False):
    apiVersion: str
    kind: str
    metadata: ObjectMeta
    spec: NodeSpec
    status: NodeStatus


class NodeAddress(TypedDict, total=False):
    address: str
    type: str


class NodeCondition(TypedDict, total=False):
    lastHeartbeatTime: str
    lastTransitionTime: str
    message: str
    reason: str
    status: str
    type: str


class NodeConfigSource(TypedDict, total=False):
    configMap: ConfigMapNodeConfigSource


class NodeConfigStatus(TypedDict, total=False):
    active: NodeConfigSource
    assigned: NodeConfigSource
    error: str
    lastKnownGood: NodeConfigSource


class NodeDaemonEndpoints(TypedDict, total=False):
    kubeletEndpoint: DaemonEndpoint


class NodeFeatures(TypedDict, total=False):
    supplementalGroupsPolicy: bool


class NodePodPreemptionPolicy(TypedDict, total=False):
    disableResizePreemption: list[str]


class NodeRuntimeHandler(TypedDict, total=False):
    features: NodeRuntimeHandlerFeatures
    name: str


class NodeRuntimeHandlerFeatures(TypedDict, total=False):
    recursiveReadOnlyMounts: bool
    userNamespaces: bool


class NodeSpec(TypedDict, total=False):
    configSource: NodeConfigSource
    externalID: str
    podCIDR: str
    podCIDRs: list[str]
    podPreemptionPolicy: NodePodPreemptionPolicy
    providerID: str
    taints: list[Taint]
    unschedulable: bool


class NodeStatus(TypedDict, total=False):
    addresses: list[NodeAddress]
    allocatable: dict[str, str]
    capacity: dict[str, str]
    conditions: list[NodeCondition]
    config: NodeConfigStatus
    daemonEndpoints: NodeDaemonEndpoints
    declaredFeatures: list[str]
    features: NodeFeatures
    images: list[ContainerImage]
    nodeInfo: NodeSystemInfo
    phase: str
    runtimeHandlers: list[NodeRuntimeHandler]
    volumesAttached: list[AttachedVolume]
    volumesInUse: list[str]


class NodeSwapStatus(TypedDict, total=False):
    capacity: int


class NodeSystemInfo(TypedDict, total=False):
    architecture: str
    bootID: str
    containerRuntimeVersion: str
    kernelVersion: str
    kubeProxyVersion: str
    kubeletVersion: str
    machineID: str
    operatingSystem: str
    osImage: str
    runningInUserNamespace: bool
    swap: NodeSwapStatus
    systemUUID: str


class Taint(TypedDict, total=False):
    effect: str
    key: str
    timeAdded: str
    value: str
