"""CronJobs start Jobs, against the real API server."""

from __future__ import annotations

from tests.integration.controllers.test_jobs import end, job
from tests.integration.controllers.world import World
from wellhead.api.resources import CRONJOBS, JOBS, PODS


async def test_a_cronjob_starts_jobs_and_takes_note_of_their_ends(world: World) -> None:
    template = {"spec": job("x")["spec"]}
    metadata = {"name": "tick", "namespace": "default"}
    spec = {"schedule": "@every 1s", "jobTemplate": template, "concurrencyPolicy": "Forbid"}
    cronjob = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec}
    await world.client.create(CRONJOBS, cronjob)
    [pod] = await world.count(PODS, 1)
    [started] = await world.listed(JOBS)
    active = await world.until(
        lambda: world.client.get(CRONJOBS, "tick", "default"), lambda found: found["status"].get("active")
    )
    assert [each["uid"] for each in active["status"]["active"]] == [started["metadata"]["uid"]]
    # Only one a minute can have the name; suspended, so that none starts with the next.
    await world.client.patch(CRONJOBS, "tick", {"spec": {"suspend": True}}, "default")
    await end(world, pod, "Succeeded")
    await world.until(
        lambda: world.client.get(CRONJOBS, "tick", "default"),
        lambda found: found["status"].get("lastSuccessfulTime") and not found["status"].get("active"),
    )
    assert "@every 1s" in await world.api.ok("get", "cronjob")
    await world.api.ok("create", "job", "by-hand", "--from=cronjob/tick")
    await world.until(lambda: world.events("UnexpectedJob"), bool)
    await world.api.ok("delete", "cronjob", "tick", "--wait=false")
    await world.count(JOBS, 0)
    await world.count(PODS, 0)
