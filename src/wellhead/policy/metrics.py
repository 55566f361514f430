"""What /metrics tells of policies."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from wellhead.policies.cluster_policies import ClusterPolicies
from wellhead.policies.node_policies import NodePolicies

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics:
    """Of one node's policies."""

    def __init__(self, registry: CollectorRegistry, policies: NodePolicies, cluster: ClusterPolicies) -> None:
        self.sync_seconds = Histogram(
            "wellhead_policy_sync_duration_seconds",
            "How long it took to put changes in force.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.failures = Counter(
            "wellhead_policy_sync_failures", "Changes that the kernel refused.", registry=registry
        )
        self.restored = Counter(
            "wellhead_policy_restored", "Times that others changed the rules.", registry=registry
        )
        self.changes = Counter("wellhead_policy_changes", "Elements and rules changed.", registry=registry)
        self.last_sync = Gauge(
            "wellhead_policy_last_sync_timestamp_seconds",
            "When all that is known was last in force.",
            registry=registry,
        )
        self._gauge(registry, "policies", "NetworkPolicies in the cluster.", lambda: len(policies.policies))
        self._gauge(
            registry,
            "cluster_policies",
            "ClusterNetworkPolicies in the cluster.",
            lambda: len(cluster.policies),
        )
        self.unknown = Gauge(
            "wellhead_policy_unknown",
            "1 while it isn't known what policies there are, or what is known isn't in force.",
            registry=registry,
        )
        self._gauge(registry, "pods", "Pods of this node that are known.", lambda: len(policies.subjects))
        self._gauge(
            registry,
            "isolated_pods",
            "Of those, the ones that a policy selects.",
            lambda: sum(
                each.ingress is not None or each.egress is not None for each in policies.subjects.values()
            ),
        )

    @staticmethod
    def _gauge(registry: CollectorRegistry, name: str, text: str, value: Callable[[], float]) -> None:
        Gauge(f"wellhead_policy_{name}", text, registry=registry).set_function(value)
