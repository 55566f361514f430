"""What all pods of a node share."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from wellhead.client.events import EventRecorder
from wellhead.client.informer import Informer
from wellhead.client.rest import Client
from wellhead.images.access import Policy
from wellhead.images.store import ImageStore
from wellhead.node.network.allocation import AddressPools
from wellhead.node.network.pod_links import PodLinks
from wellhead.node.network.rules import NodeRules
from wellhead.node.pods.arrivals import Arrivals
from wellhead.node.pods.files import Dns
from wellhead.node.pods.seccomp import Profiles
from wellhead.node.pods.user_ranges import UserRanges
from wellhead.node.references import References
from wellhead.node.runtime.containers import Runtime

# Containers that are made at the same moment: enough to keep the processors busy, and the agent responsive.
_STARTS_AT_ONCE = 8


@dataclass(frozen=True)
class Context:
    """The node's services to its pods.

    `pods` is the directory with one directory per pod UID, `http` a session for probes and hooks, `spoofing`
    the namespaces whose pods may send with any source address, `pulls` whether somebody pulls images,
    `image_access` for which images pods must show credentials.
    """

    node_name: str
    host_ips: tuple[str, ...]
    pods: Path
    client: Client
    http: aiohttp.ClientSession
    recorder: EventRecorder
    references: References
    services: Informer
    images: ImageStore
    arrivals: Arrivals
    runtime: Runtime
    links: PodLinks
    rules: NodeRules
    addresses: AddressPools
    spoofing: frozenset[str]
    dns: Dns
    capabilities: frozenset[str]
    allocatable: Mapping[str, str]
    pulls: bool = False
    seccomp: Profiles = field(default_factory=Profiles)
    users: UserRanges = field(default_factory=UserRanges)
    image_access: Policy = field(default_factory=Policy)
    starting: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_STARTS_AT_ONCE))
