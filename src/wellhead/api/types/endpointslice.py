"""EndpointSlices, as decoded from JSON.

Made by `generate.py`; not to be edited.
"""

from __future__ import annotations

from typing import TypedDict

from wellhead.api.types.shared import ObjectMeta


class ObjectReference(TypedDict, total=False):
    apiVersion: str
    fieldPath: str
    kind: str
    name: str
    namespace: str
    resourceVersion: str
    uid: str


class Endpoint(TypedDict, total=False):
    addresses: list[str]
    conditions: EndpointConditions
    deprecatedTopology: dict[str, str]
    hints: EndpointHints
    hostname: str
    nodeName: str
    targetRef: ObjectReference
    zone: str


class EndpointConditions(TypedDict, total=False):
    ready: bool
    serving: bool
    terminating: bool


class EndpointHints(TypedDict, total=False):
    forNodes: list[ForNode]
    forZones: list[ForZone]


class EndpointPort(TypedDict, total=False):
    appProtocol: str
    name: str
    port: int
    protocol: str


class EndpointSlice(TypedDict, total=False):
    addressType: str
    apiVersion: str
    endpoints: list[Endpoint]
    kind: str
    metadata: ObjectMeta
    ports: list[EndpointPort]


class ForNode(TypedDict, total=False):
    name: str


class ForZone(TypedDict, total=False):
    name: str
