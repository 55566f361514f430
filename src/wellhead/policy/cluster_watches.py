"""What ClusterNetworkPolicies there are, where their kind is served; and nodes, once there is any."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import CUSTOMRESOURCEDEFINITIONS, NODES
from wellhead.api.selectors import LabelSelector
from wellhead.client.informer import TypedInformer, tolerant, watches
from wellhead.client.rest import Client
from wellhead.health import Check
from wellhead.policies.cluster_policies import ClusterPolicies
from wellhead.policies.cluster_policy import (
    NODES as NODES_NAMESPACE,
)
from wellhead.policies.cluster_policy import (
    Action,
    ClusterPolicy,
    ClusterRule,
    Tier,
    parse_cluster_node,
    parse_cluster_policy,
    unsupported,
)
from wellhead.policies.pods import Pod
from wellhead.policies.policy import ANY_TRAFFIC, EVERYONE, Selection
from wellhead.waiting import first_of

log = logging.getLogger(__name__)

CLUSTERNETWORKPOLICIES = Resource(
    "policy.networking.k8s.io", "v1alpha2", "ClusterNetworkPolicy", "clusternetworkpolicies", namespaced=False
)
_DEFINITION = f"{CLUSTERNETWORKPOLICIES.plural}.{CLUSTERNETWORKPOLICIES.group}"


class _Read(msgspec.Struct, frozen=True, gc=False):
    name: str
    policy: ClusterPolicy
    fields: tuple[str, ...]
    """Those that can't be done here."""
    uid: str


class _Node(msgspec.Struct, frozen=True, gc=False):
    name: str
    as_pod: Pod | None


class ClusterWatches:
    """Tells `policies` of every change, and calls `changed` after it; `begin` at the first policy, once."""

    def __init__(
        self,
        client: Client,
        policies: ClusterPolicies,
        begin: Callable[[], None],
        changed: Callable[[], None],
        warn: Callable[[Obj, str], None],
    ) -> None:
        self._client = client
        self._policies = policies
        self._begin = begin
        self._changed = changed
        self._warn = warn
        self._definitions = TypedInformer(
            client, CUSTOMRESOURCEDEFINITIONS, _is_served, field_selector=f"metadata.name={_DEFINITION}"
        )
        self._definitions.on_change(self._on_definition)
        self._of_nodes = TypedInformer(client, NODES, _read_node)
        self._of_nodes.on_change(self._on_node)
        self._of_policies: TypedInformer[_Read] | None = None
        """While the kind is served."""
        self._wanted = asyncio.Event()
        self._turned = asyncio.Event()
        self._unserved = asyncio.Event()

    def check(self) -> Check:
        """That it hears of what changes."""

        def problem(now: float) -> str:
            served = [self._of_policies] if self._of_policies is not None else []
            return watches(self._definitions, self._of_nodes, *served).problem(now)

        return Check("cluster-watches", problem)

    async def synced(self) -> None:
        """Wait until all is known that is needed."""
        await self._definitions.synced()
        while (served := self._of_policies) is not None:
            await first_of(served.synced(), self._unserved.wait())
            if served is self._of_policies:
                break
        if self._wanted.is_set():
            await self._of_nodes.synced()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._definitions.run())
            group.create_task(self._run_nodes())
            while True:
                self._turned.clear()
                served = self._of_policies
                task = group.create_task(served.run()) if served is not None else None
                await self._turned.wait()
                if task is not None:
                    task.cancel()

    async def _run_nodes(self) -> None:
        await self._wanted.wait()
        await self._of_nodes.run()

    def _on_definition(self, old: bool | None, new: bool | None) -> None:
        if bool(new) == (self._of_policies is not None):
            return
        if new:
            self._of_policies = TypedInformer(self._client, CLUSTERNETWORKPOLICIES, _read_policy)
            self._of_policies.on_change(self._on_policy)
            self._unserved.clear()
        else:
            self._of_policies = None
            self._unserved.set()
            for key in list(self._policies.policies):
                self._policies.set_policy(key, None)
            self._changed()
        self._turned.set()

    def _on_policy(self, old: _Read | None, new: _Read | None) -> None:
        either = new or old
        if either is None:
            return
        self._policies.set_policy(("", either.name), new.policy if new is not None else None)
        if not self._wanted.is_set():
            self._wanted.set()
            self._begin()
        if new is not None and new.fields and (old is None or old.fields != new.fields):
            self._say_unsupported(new)
        self._changed()

    def _say_unsupported(self, found: _Read) -> None:
        about = {
            "apiVersion": CLUSTERNETWORKPOLICIES.api_version,
            "kind": CLUSTERNETWORKPOLICIES.kind,
            "metadata": {"name": found.name, "uid": found.uid},
        }
        fields = ", ".join(found.fields)
        self._warn(about, f"{fields}: domain names aren't supported here; such a rule accepts nothing")

    def _on_node(self, old: _Node | None, new: _Node | None) -> None:
        either = new or old
        if either is None or (old is not None and old == new):
            return
        key = (NODES_NAMESPACE, either.name)
        self._policies.set_pod(key, new.as_pod if new is not None else None)
        self._changed()


def _is_served(obj: Obj) -> bool:
    """Whether the definition's version that is understood here is served."""
    versions = (obj.get("spec") or {}).get("versions") or ()
    served = any(
        each.get("name") == CLUSTERNETWORKPOLICIES.version and each.get("served") for each in versions
    )
    conditions = (obj.get("status") or {}).get("conditions") or ()
    established = any(
        each.get("type") == "Established" and each.get("status") == "True" for each in conditions
    )
    if established and not served:
        log.error("%s has no version %s: it isn't enforced", _DEFINITION, CLUSTERNETWORKPOLICIES.version)
    return established and served


def _read_policy(obj: Obj) -> _Read:
    """One that can't be read denies everything: what it means isn't known."""
    name = obj["metadata"]["name"]
    try:
        policy, fields = parse_cluster_policy(obj), tuple(unsupported(obj))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        log.error("ClusterNetworkPolicy %s can't be read, and so denies everything: %r", name, error)
        every = Selection(LabelSelector(), LabelSelector())
        deny = (ClusterRule(Action.DENY, (EVERYONE,), (ANY_TRAFFIC,)),)
        policy, fields = ClusterPolicy(name, Tier.ADMIN, 0, every, deny, deny), ()
    return _Read(name, policy, fields, obj["metadata"].get("uid", ""))


_parse_node = tolerant(parse_cluster_node)


def _read_node(obj: Obj) -> _Node:
    return _Node(obj["metadata"]["name"], _parse_node(obj))
