"""What the agent tells Prometheus."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.patience import pass_time
from tests.unit.node import pods
from tests.unit.node.world import world
from wellhead.node.metrics import cadvisor
from wellhead.node.metrics.cadvisor import Container, PodTraffic
from wellhead.node.metrics.kubelet import KubeletMetrics
from wellhead.node.metrics.probes import ProbeMetrics
from wellhead.node.pods.record import Attempt
from wellhead.node.runtime.operations import Operations
from wellhead.node.shutdown.manager import State
from wellhead.node.usage import documents, reading
from wellhead.node.usage.meter import Measured, Measurement
from wellhead.node.usage.reading import Traffic, Used

_DEV = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls
    lo:  10       1    0    0    0     0          0         0       10       1    0    0    0     0
  eth0: 1000     20    3    4    0     0          0         0     2000      30    5    6    0     0       0
"""


def values(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_pods_traffic_is_its_own_namespaces(tmp_path: Path) -> None:
    (tmp_path / "7/net").mkdir(parents=True)
    (tmp_path / "7/net/dev").write_text(_DEV)
    assert reading.traffic(7, tmp_path) == {"eth0": Traffic((1000, 20, 3, 4), (2000, 30, 5, 6))}
    assert reading.traffic(8, tmp_path) == {}


def test_containers_are_told_under_cadvisors_names() -> None:
    one = Container("n", "p", "c", "id", "busybox", "2026-01-01T00:00:00Z", memory=1 << 20, cpu=500)
    gone = Container("n", "p", "gone", "other", "busybox", "2026-01-01T00:00:00Z")
    traffic = PodTraffic("n", "p", {"eth0": Traffic((1, 2, 3, 4), (5, 6, 7, 8))})
    found = cadvisor.families([one, gone], {"id": Used(1.5, 4096, 2)}, [traffic], 99.0, 1 << 30)

    class Found:
        def collect(self) -> Any:
            return list(found)

    registry = CollectorRegistry()
    registry.register(Found())
    seen = values(generate_latest(registry).decode())
    own = (
        *(("container", "c"), ("id", "/id"), ("image", "busybox"), ("name", "id")),
        *(("namespace", "n"), ("pod", "p")),
    )
    assert seen["container_memory_working_set_bytes", own] == 4096
    assert seen["container_cpu_usage_seconds_total", tuple(sorted((*own, ("cpu", "total"))))] == 1.5
    assert seen["container_spec_cpu_quota", own] == 50_000
    assert seen["container_spec_memory_limit_bytes", own] == 1 << 20
    pod = (
        *(("container", ""), ("id", ""), ("image", ""), ("interface", "eth0"), ("name", "")),
        *(("namespace", "n"), ("pod", "p")),
    )
    assert seen["container_network_receive_bytes_total", pod] == 1
    assert seen["container_network_transmit_packets_dropped_total", pod] == 8
    assert not [labels for _, labels in seen if ("container", "gone") in labels]


def test_probes_are_counted_with_their_pod(tmp_path: Path) -> None:
    state = world(tmp_path).state
    state.probes["main", "Liveness", "failed"] += 2
    registry = CollectorRegistry()
    registry.register(ProbeMetrics(lambda: [state]))
    [(name, labels)] = values(generate_latest(registry).decode())
    assert name == "prober_probe_total"
    assert dict(labels)["probe_type"] == "Liveness"
    assert dict(labels)["pod_uid"] == "u-1"


async def test_the_agent_tells_of_its_pods_and_how_long_they_took_to_start(tmp_path: Path) -> None:
    state = world(tmp_path, pods.container("a"), pods.container("b")).state
    state.record.sandbox = True
    worker: Any = SimpleNamespace(state=state, counts=True)
    eviction: Any = SimpleNamespace(evictions={"memory.available": 3})
    shutdown: Any = SimpleNamespace(state=State())
    operations = Operations()
    metrics = KubeletMetrics("node-1", lambda: [worker], eviction, shutdown, operations)
    metrics.watch(worker)
    await pass_time(3)
    for name in ("a", "b"):
        state.record.of(name).current = Attempt(name, 0, "busybox", "sha256:0", launched=True)
        state.changed()
    state.changed()
    seen = values(generate_latest(metrics.registry).decode())
    assert seen["kubelet_node_name", (("node", "node-1"),)] == 1
    assert seen["kubelet_running_pods", ()] == 1
    assert seen["kubelet_running_containers", (("container_state", "running"),)] == 2
    assert seen["kubelet_desired_pods", (("static", ""),)] == 1
    assert seen["kubelet_evictions_total", (("eviction_signal", "memory.available"),)] == 3
    assert seen["kubelet_pod_start_duration_seconds_count", ()] == 1
    assert 3 <= seen["kubelet_pod_start_duration_seconds_sum", ()] < 4
    assert seen["kubelet_started_pods_total", ()] == 1


def test_what_is_done_to_containers_is_counted_and_timed() -> None:
    operations, registry = Operations(), CollectorRegistry()
    operations.register(registry)
    with operations.measured("start_container"):
        pass
    with contextlib.suppress(ValueError), operations.making_sandbox(""):
        raise ValueError
    operations.started("init_container")
    operations.ended("container", 137, "OOMKilled")
    operations.pulled(11 << 20, 4.0)
    seen = values(generate_latest(registry).decode())
    assert seen["kubelet_runtime_operations_total", (("operation_type", "start_container"),)] == 1
    assert seen["kubelet_runtime_operations_errors_total", (("operation_type", "run_podsandbox"),)] == 1
    assert seen["kubelet_run_podsandbox_errors_total", (("runtime_handler", ""),)] == 1
    assert seen["kubelet_run_podsandbox_duration_seconds_count", (("runtime_handler", ""),)] == 1
    assert seen["kubelet_started_containers_total", (("container_type", "init_container"),)] == 1
    size = (("image_size_in_bytes", "10MB-100MB"),)
    assert seen["kubelet_image_pull_duration_seconds_sum", size] == 4


def test_the_summary_has_a_pods_network() -> None:
    interfaces = {"eth0": Traffic((1000, 20, 3, 4), (2000, 30, 5, 6))}
    containers = (documents.Container("c", "id", "2026-01-01T00:00:00Z"),)
    pod = documents.Pod("n", "p", "u", "2026-01-01T00:00:00Z", containers, interfaces)
    node = documents.Node("node-1", "2026-01-01T00:00:00Z", 1, documents.Disk(4, 3, 2, 1))
    measured = Measurement(0.0, Measured(Used(), None, 1.0), {"id": Measured(Used(), None, 1.0)})
    [told] = documents.summary(node, [pod], measured)["pods"]
    assert (told["network"]["name"], told["network"]["rxBytes"], told["network"]["txErrors"]) == (
        "eth0",
        1000,
        5,
    )
    assert len(told["network"]["interfaces"]) == 1
