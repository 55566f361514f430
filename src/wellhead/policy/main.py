"""Policies as a process: how its parts are tied together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from wellhead import health_server
from wellhead.api.meta import Obj
from wellhead.api.resources import NODES
from wellhead.backoff import Backoff
from wellhead.client.collector import uncollected
from wellhead.client.connection import load
from wellhead.client.events import EventRecorder
from wellhead.client.informer import Informer
from wellhead.client.rest import Client
from wellhead.health import Attempts, Check, Health
from wellhead.ip import Family, IPNetwork
from wellhead.linux.routes import families
from wellhead.policies.cluster_policies import ClusterPolicies
from wellhead.policies.node_policies import NodePolicies
from wellhead.policy import bridges, condition
from wellhead.policy.condition import Condition, State
from wellhead.policy.enforcement import Enforcement
from wellhead.policy.metrics import Metrics
from wellhead.policy.skeleton import chains
from wellhead.policy.watches import Watches
from wellhead.services.node import parse_node

log = logging.getLogger(__name__)

_BEHIND_SECONDS = 20.0
_LAST_WORDS_SECONDS = 1.0
_LOOK_SECONDS = 5.0


@dataclass(frozen=True)
class Config:
    """How to run. `kubeconfig` is a path (None: as kubectl finds it). `pod_networks` are where this node's
    pods have their addresses; without any, the Node's pod CIDRs. `health` is where health is told; None:
    nowhere. `fails_open`: pods that aren't known pass, as everything does before policies are known."""

    kubeconfig: str | None
    node_name: str
    pod_networks: tuple[IPNetwork, ...] = ()
    health: health_server.Address | None = None
    fails_open: bool = False


def warm() -> None:
    """Find out what is the same on every node: for many, in the process that they are forked from."""
    for family in Family:
        for chain in chains(family):
            _ = chain.encoded


async def run(config: Config) -> None:
    """Enforce policies until cancelled. What is in force stays so afterwards.

    Raises:
        wellhead.client.connection.KubeconfigError: there is no way to find the API server.
        wellhead.policy.bridges.Unseen: policies can't be enforced here.
        OSError: there is no nftables here, or the health address can't be listened on.
        Stuck: only a new process helps.
    """
    seen = await _are_seen(config.pod_networks)
    with contextlib.closing(Enforcement(families())) as enforcement:
        if seen and not config.fails_open and await enforcement.guard(config.pod_networks):
            log.info("nothing passes to or from pods until policies are known")
        async with Client(load(config.kubeconfig), user_agent="wellhead-policy") as client:
            node = _Node(config, client, enforcement)
            async with health_server.serving(node.health, config.health, node.app):
                await node.run()


async def _are_seen(networks: tuple[IPNetwork, ...]) -> bool:
    """Whether nothing is known to hide these pods' packets: who refuses to run leaves no rules."""
    try:
        await bridges.check(networks)
    except bridges.Unseen as error:
        log.error("%s", error)
        return False
    return True


class _Node:
    """The parts of one node's policies, and what runs between them."""

    def __init__(self, config: Config, client: Client, enforcement: Enforcement) -> None:
        self._config = config
        self._enforcement = enforcement
        self._policies = NodePolicies(config.node_name)
        self._stirred = asyncio.Event()
        self._cluster = ClusterPolicies(config.node_name)
        self._watches = Watches(client, self._policies, self._cluster, self._stirred.set, self._warn_of)
        self._nodes = Informer(client, NODES, field_selector=f"metadata.name={config.node_name}")
        self._nodes.on_change(self._on_node)
        self._networks = config.pod_networks
        self._node: Obj = {"metadata": {"name": config.node_name}}
        self._events = EventRecorder(client, "wellhead-policy", config.node_name)
        self._syncing = Attempts("sync", "policies aren't in force", _BEHIND_SECONDS)
        checks: list[Check] = [*self._watches.checks(), *self._syncing.checks()]
        self.health = Health(lambda: checks)
        registry = CollectorRegistry()
        self._metrics = Metrics(registry, self._policies, self._cluster)
        self._condition = Condition(client, lambda: self._node)
        self._in_force = False
        self.app = health_server.application(self.health, registry)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._events.run())
            group.create_task(self._nodes.run())
            group.create_task(self._watches.run())
            group.create_task(self._restore())
            group.create_task(self._say_what_is_known())
            group.create_task(self._condition.run())
            if not self._networks:  # else the API server isn't needed for knowing that it can't be done
                await self._nodes.synced()
            await self._refuse_unseen()
            await self._nodes.synced()
            if not self._networks and not self._config.fails_open:
                self._warn(
                    "NetworkPolicyUnguarded",
                    "the Node has no pod CIDR: a new pod isn't cut off until its policies are in force",
                )
            await self._sync()

    async def _refuse_unseen(self) -> None:
        """Go no further where a bridge hides the pods' packets."""
        try:
            await bridges.check(self._networks)
        except bridges.Unseen as error:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS_SECONDS):
                    await self._nodes.synced()
            self._warn("NetworkPolicyUnenforceable", str(error))
            self._condition.say(State(True, "Unenforceable", str(error)))
            await asyncio.sleep(_LAST_WORDS_SECONDS)  # for the event to be written
            raise

    async def _sync(self) -> None:
        """Put in force what changes. The first time it is everything, once that is known."""
        now = asyncio.get_running_loop().time
        backoff = Backoff(0.05, 10.0)
        was_needed, had_pods = None, False
        while True:
            # Rules made of half the objects would be wrong: an earlier process' are better.
            await self._watches.synced()
            self._stirred.clear()
            needed = self._watches.needed
            if needed != was_needed:
                was_needed = needed
                if needed:
                    continue  # pods are to be known first
                self._enforcement.set_pod_networks(())
            if needed and not self._config.fails_open:
                self._enforcement.set_pod_networks(self._networks)
            self._syncing.start(now())
            try:
                with self._metrics.sync_seconds.time(), _collecting(self._policies):
                    changed = await self._enforcement.apply(self._policies.take(), self._cluster.take())
            except OSError as error:
                self._metrics.failures.inc()
                self._syncing.fail(now(), str(error))
                self._warn("NetworkPolicySyncFailed", f"policies aren't in force: {error}")
                await asyncio.sleep(backoff.next())
                continue
            backoff.reset()
            self._syncing.succeed()
            self._in_force = True
            self._metrics.changes.inc(changed)
            self._metrics.last_sync.set(time.time())
            log.debug("%d changes", changed)
            if self._policies.subjects and not had_pods:
                # Many a pod network makes its bridge with the node's first pod.
                await self._refuse_unseen()
            had_pods = bool(self._policies.subjects)
            await self._stirred.wait()

    async def _say_what_is_known(self) -> None:
        """By condition, metric and event, whenever that turns. A look is at three numbers of this process;
        that something has been missing for long is no news that anybody could send."""
        now = asyncio.get_running_loop().time
        since: float | None = None
        while True:
            problems = self.health.problems(now(), "readyz")
            state = condition.unknown(problems, fails_open=self._config.fails_open)
            if self._in_force or state.unavailable:
                self._condition.say(state)
                self._metrics.unknown.set(state.unavailable)
            if state.unavailable and since is None:
                since = now()
                self._warn("NetworkPolicyUnknown", state.message)
            elif not state.unavailable and since is not None:
                self._warn(
                    "NetworkPolicyWasUnknown", f"for {now() - since:.0f} s; policies are in force again"
                )
                since = None
            await asyncio.sleep(_LOOK_SECONDS)

    async def _restore(self) -> None:
        """Put back what others change as soon as the kernel tells; more slowly who never stops."""
        now = asyncio.get_running_loop().time
        backoff = Backoff(0.05, 5.0)
        while True:
            began = now()
            await self._enforcement.disturbed()
            peace = now() - began
            self._metrics.restored.inc()
            log.warning("somebody else has changed the rules: they are compared")
            self._stirred.set()
            await asyncio.sleep(backoff.next(worked=peace))

    def _on_node(self, old: Obj | None, new: Obj | None) -> None:
        if new is None:
            return
        recreated = old is None or old["metadata"]["uid"] != new["metadata"]["uid"]
        self._node = new
        if recreated:
            self._condition.say_again()
        if not self._config.pod_networks:
            self._networks = parse_node(new).pod_networks
            self._stirred.set()

    def _warn(self, reason: str, message: str) -> None:
        log.error("%s", message)
        about = {"apiVersion": "v1", "kind": "Node", **self._node}
        self._events.event(about, "Warning", reason, message)

    def _warn_of(self, about: Obj, message: str) -> None:
        log.warning("%s %s: %s", about["kind"], about["metadata"]["name"], message)
        self._events.event(about, "Warning", "NetworkPolicyUnsupported", message)


@contextlib.contextmanager
def _collecting(policies: NodePolicies) -> Iterator[None]:
    """Much is made at the first time, and stays."""
    if policies.subjects:
        yield
    else:
        with uncollected():
            yield
