"""What containers use: read from /proc and cgroups, made rates of, and told as the kubelet does."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tests.patience import pass_time
from wellhead.node.usage.documents import Container, Disk, Node, Pod, metrics, summary
from wellhead.node.usage.meter import Measured, Measurement, Meter, Sample, compare
from wellhead.node.usage.reading import Reading, Used, read

TICKS = os.sysconf("SC_CLK_TCK")
DISK = Disk(1000, 400, 100, 60)


def process(proc: Path, pid: int, namespace: str, ticks: int, kilobytes: int, cgroup: str = "/") -> None:
    """A process in a /proc of our own."""
    directory = proc / str(pid)
    (directory / "ns").mkdir(parents=True)
    (directory / "ns/mnt").symlink_to(f"mnt:[{namespace}]")
    numbers = ["0"] * 50
    numbers[11:15] = [str(ticks), "1", "2", "3"]
    (directory / "stat").write_text(f"{pid} (a (b) c) {' '.join(numbers)}")
    (directory / "smaps_rollup").write_text(f"Rss: 9 kB\nPss:    {kilobytes} kB\n")
    (directory / "cgroup").write_text(f"4:memory:/x\n0::{cgroup}\n")


def test_processes_count_for_the_container_whose_files_they_see(tmp_path: Path) -> None:
    process(tmp_path, os.getpid(), "1", 1000, 10)
    process(tmp_path, 100, "2", 10, 100)
    process(tmp_path, 101, "2", 20, 50)
    process(tmp_path, 200, "3", 5, 7)
    found = read({"a": 100, "b": 200, "gone": 300}, tmp_path)
    a, b = found.containers["a"], found.containers["b"]
    assert set(found.containers) == {"a", "b"}
    assert (a.memory, a.processes) == (150 * 1024, 2)
    assert (b.memory, b.processes) == (7 * 1024, 1)
    assert [each.cpu * TICKS for each in (a, b, found.node)] == pytest.approx([42, 11, 1006 + 42 + 11])


def test_a_container_with_the_nodes_own_files_is_not_measured_by_them(tmp_path: Path) -> None:
    process(tmp_path, os.getpid(), "1", 1000, 10)
    process(tmp_path, 100, "1", 10, 100)
    assert read({"a": 100}, tmp_path).containers == {}


def test_a_cgroup_of_its_own_knows_better(tmp_path: Path) -> None:
    proc, cgroups = tmp_path / "proc", tmp_path / "cgroups"
    process(proc, os.getpid(), "1", 1000, 10)
    process(proc, 100, "2", 10, 100, "/pods/a")
    (cgroups / "pods/a").mkdir(parents=True)
    (cgroups / "pods/a/memory.current").write_text("5000\n")
    (cgroups / "pods/a/memory.stat").write_text("anon 1\ninactive_file 1000\n")
    (cgroups / "pods/a/cpu.stat").write_text("usage_usec 2500000\n")
    assert read({"a": 100}, proc, cgroups).containers == {"a": Used(2.5, 4000, 1)}


def test_our_own_process_is_found() -> None:
    assert read({}).node.processes >= 1


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(1, 60))
def test_a_rate_is_what_was_used_in_the_window(before: float, after: float, window: float) -> None:
    def sample(at: float, cpu: float) -> Sample:
        return Sample(at, at, Reading({"a": Used(cpu)}, Used(cpu)))

    found = compare(sample(0, before), sample(window, after))
    assert found.containers["a"].cores == pytest.approx(max(0, after - before) / window)


def test_of_a_container_that_has_just_begun_no_rate_is_known() -> None:
    before = Sample(0, 0, Reading({}, Used(1)))
    found = compare(before, Sample(2, 2, Reading({"a": Used(1)}, Used(2))))
    assert found.containers["a"].cores is None
    assert found.node.cores == 0.5


async def test_whoever_asks_within_a_second_gets_the_same() -> None:
    loop = asyncio.get_running_loop()
    readings = []

    def reading() -> Reading:
        readings.append(loop.time())
        return Reading({}, Used(loop.time()))

    meter = Meter(reading, loop.time)
    first = await meter.measure()
    assert first.node.cores == pytest.approx(1)
    assert await meter.measure() == first
    assert len(readings) == 2
    await pass_time(15)
    later = await meter.measure()
    assert later.node.window == pytest.approx(15)
    await pass_time(3600)
    assert (await meter.measure()).node.window == pytest.approx(1)
    assert len(readings) == 5


POD = Pod("default", "p", "u", "2026-01-01T00:00:00Z", (Container("c", "id", "2026-01-01T00:00:01Z"),))


def test_the_summary() -> None:
    used = Used(2.0, 4096, 3)
    measured = Measurement(0, Measured(Used(8.0, 8192, 9), 0.5, 10), {"id": Measured(used, 0.25, 10)})
    node = Node("node-1", "2026-01-01T00:00:00Z", 1 << 20, DISK)
    document = summary(node, [POD], measured)
    assert document["node"]["cpu"]["usageNanoCores"] == 500_000_000
    assert document["node"]["fs"]["usedBytes"] == 600
    [pod] = document["pods"]
    assert pod["podRef"] == {"name": "p", "namespace": "default", "uid": "u"}
    assert pod["cpu"]["usageNanoCores"] == pod["containers"][0]["cpu"]["usageNanoCores"] == 250_000_000
    assert pod["memory"]["workingSetBytes"] == 4096


def test_the_metrics_are_read_by_prometheus() -> None:
    text = metrics([POD], Reading({"id": Used(2.5, 4096, 1)}, Used(8.0, 8192, 9)), 1000.0)
    found = {
        sample.name: (sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    labels = {"container": "c", "namespace": "default", "pod": "p"}
    assert found["container_cpu_usage_seconds_total"] == (labels, 2.5)
    assert found["container_memory_working_set_bytes"] == (labels, 4096)
    assert found["node_cpu_usage_seconds_total"] == ({}, 8.0)
    assert found["pod_memory_working_set_bytes"] == ({"namespace": "default", "pod": "p"}, 4096)
    assert found["resource_scrape_error"] == ({}, 0)
