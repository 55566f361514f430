"""Jobs run to their ends, against the real API server."""

from __future__ import annotations

import asyncio

from tests.integration.controllers.world import World
from wellhead.api.errors import Conflict
from wellhead.api.meta import Obj, is_condition_true
from wellhead.api.resources import JOBS, PODS

INDEX = "batch.kubernetes.io/job-completion-index"


def job(name: str, **spec: object) -> Obj:
    containers = [{"name": "c", "image": "i"}]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": containers}}, **spec},
    }


async def end(world: World, pod: Obj, phase: str) -> None:
    """The pod's containers end."""
    while True:
        try:
            live = await world.client.get(PODS, pod["metadata"]["name"], "default")
            await world.client.update(PODS, {**live, "status": {**live["status"], "phase": phase}}, "status")
        except Conflict:
            await asyncio.sleep(0)
        else:
            return


async def test_an_indexed_job_counts_its_pods_and_is_deleted_after_its_time(world: World) -> None:
    spec = {"completions": 3, "parallelism": 2, "completionMode": "Indexed", "ttlSecondsAfterFinished": 0}
    counting = job("count", **spec)
    counting["metadata"]["finalizers"] = ["example.com/look"]
    made = await world.client.create(JOBS, counting)
    ended: dict[str, str] = {}
    while len(ended) < 3:
        pods = await world.until(
            lambda: world.listed(PODS, "job-name=count"),
            lambda found: [each for each in found if each["metadata"]["name"] not in ended],
        )
        for pod in pods:
            if pod["metadata"]["name"] not in ended:
                ended[pod["metadata"]["name"]] = pod["metadata"]["labels"][INDEX]
                await end(world, pod, "Succeeded")
    done = await world.until(
        lambda: world.client.get(JOBS, "count", "default"), lambda found: is_condition_true(found, "Complete")
    )
    status = done["status"]
    assert (status["succeeded"], status["completedIndexes"]) == (3, "0-2")
    assert [each["type"] for each in status["conditions"]] == ["SuccessCriteriaMet", "Complete"]
    assert done["metadata"]["uid"] == made["metadata"]["uid"]
    assert sorted(ended.values()) == ["0", "1", "2"]
    assert "Complete" in await world.api.ok("get", "job", "count")
    await world.count(PODS, 0, "job-name=count")  # its time is over: the pods go first
    await world.client.patch(JOBS, "count", {"metadata": {"finalizers": []}}, "default")
    await world.gone(JOBS, "count")


async def test_a_deleted_job_takes_its_pods_along(world: World) -> None:
    await world.client.create(JOBS, job("short"))
    await world.count(PODS, 1, "job-name=short")
    await world.api.ok("delete", "job", "short", "--wait=false")
    await world.gone(JOBS, "short")
    await world.count(PODS, 0, "job-name=short")
