"""What policies, pods and namespaces there are. Pods are watched from the first policy on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from wellhead.api.meta import Obj
from wellhead.api.resources import NAMESPACES, NETWORKPOLICIES, PODS
from wellhead.api.selectors import LabelSelector
from wellhead.client.informer import TypedInformer, tolerant, watches
from wellhead.client.rest import Client
from wellhead.health import Check
from wellhead.policies.cluster_policies import ClusterPolicies
from wellhead.policies.node_policies import NodePolicies
from wellhead.policies.pods import Labels, Pod, labels_of, parse_pod
from wellhead.policies.policy import Policy, Selection, parse_policy
from wellhead.policy.cluster_watches import ClusterWatches

log = logging.getLogger(__name__)


class _Named(msgspec.Struct, frozen=True, gc=False):
    """What is kept of an object, and whose it is."""

    key: tuple[str, str]
    value: Policy | Pod | Labels | None


class Watches:
    """Tells `policies` and `cluster` of every change, and calls `changed` after it."""

    def __init__(
        self,
        client: Client,
        policies: NodePolicies,
        cluster: ClusterPolicies,
        changed: Callable[[], None],
        warn: Callable[[Obj, str], None],
    ) -> None:
        self._policies = policies
        self._cluster = cluster
        self._changed = changed
        self._wanted = asyncio.Event()
        self._of_policies = TypedInformer(client, NETWORKPOLICIES, _read_policy)
        self._of_namespaces = TypedInformer(client, NAMESPACES, _read_namespace)
        self._of_pods = TypedInformer(client, PODS, _read_pod)
        self._of_policies.on_change(self._on_policy)
        self._of_namespaces.on_change(self._on_namespace)
        self._of_pods.on_change(self._on_pod)
        self._of_cluster = ClusterWatches(client, cluster, self._begin_cluster, changed, warn)

    def checks(self) -> list[Check]:
        """That it hears of what changes."""
        seen = watches(self._of_policies, self._of_namespaces, self._of_pods)
        return [seen, self._of_cluster.check()]

    @property
    def needed(self) -> bool:
        """Whether there has been any policy, so that pods are to be known."""
        return self._wanted.is_set()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._of_policies.run())
            group.create_task(self._of_cluster.run())
            await self._wanted.wait()
            group.create_task(self._of_namespaces.run())
            group.create_task(self._of_pods.run())

    async def synced(self) -> None:
        """Wait until all is known that is needed."""
        await self._of_policies.synced()
        await self._of_cluster.synced()
        if self.needed:
            await self._of_namespaces.synced()
            await self._of_pods.synced()

    def _begin_cluster(self) -> None:
        """The first ClusterNetworkPolicy is there: pods and namespaces matter to those, too."""
        self._of_namespaces.on_change(self._on_cluster_namespace)
        self._of_pods.on_change(self._on_cluster_pod)
        self._wanted.set()

    def _on_cluster_namespace(self, old: _Named | None, new: _Named | None) -> None:
        if (either := new or old) is None:
            return
        labels = new.value if new is not None else None
        assert labels is None or isinstance(labels, frozenset)
        self._cluster.set_namespace(either.key[1], labels)
        self._changed()

    def _on_cluster_pod(self, old: _Named | None, new: _Named | None) -> None:
        if _tell_pod(self._cluster, old, new):
            self._changed()

    def _on_policy(self, old: _Named | None, new: _Named | None) -> None:
        if (either := new or old) is None:
            return
        policy = new.value if new is not None else None
        assert policy is None or isinstance(policy, Policy)
        self._policies.set_policy(either.key, policy)
        self._wanted.set()
        self._changed()

    def _on_namespace(self, old: _Named | None, new: _Named | None) -> None:
        if (either := new or old) is None:
            return
        labels = new.value if new is not None else None
        assert labels is None or isinstance(labels, frozenset)
        self._policies.set_namespace(either.key[1], labels)
        self._changed()

    def _on_pod(self, old: _Named | None, new: _Named | None) -> None:
        if _tell_pod(self._policies, old, new):
            self._changed()


def _tell_pod(known: NodePolicies | ClusterPolicies, old: _Named | None, new: _Named | None) -> bool:
    """Whether it makes a difference."""
    before = old.value if old is not None else None
    now = new.value if new is not None else None
    either = new or old
    if either is None or before == now:
        return False
    assert now is None or isinstance(now, Pod)
    known.set_pod(either.key, now)
    return True


def _read_policy(obj: Obj) -> _Named:
    """One that can't be read allows nothing to any pod of its namespace: what it means isn't known."""
    key = obj["metadata"]["namespace"], obj["metadata"]["name"]
    try:
        return _Named(key, parse_policy(obj))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        log.error("NetworkPolicy %s/%s can't be read, and so allows nothing: %r", *key, error)
        return _Named(key, Policy(*key, Selection(key[0], LabelSelector()), (), ()))


def _read_namespace(obj: Obj) -> _Named:
    return _Named(("", obj["metadata"]["name"]), labels_of(obj))


_parse_pod = tolerant(parse_pod)


def _read_pod(obj: Obj) -> _Named:
    metadata = obj["metadata"]
    return _Named((metadata["namespace"], metadata["name"]), _parse_pod(obj))
