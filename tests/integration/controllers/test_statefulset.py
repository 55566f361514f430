"""StatefulSets against the real API server, with kubectl."""

from __future__ import annotations

from tests.integration.controllers.world import World, pod_template
from wellhead.api.meta import Obj
from wellhead.api.resources import CONTROLLERREVISIONS, PERSISTENTVOLUMECLAIMS, PODS, STATEFULSETS


def statefulset(name: str, replicas: int = 3, **spec: object) -> Obj:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "serviceName": name,
            "selector": {"matchLabels": {"app": name}},
            "template": pod_template(name),
            **spec,
        },
    }


async def counted(world: World, **counts: int) -> Obj:
    return await world.until(
        lambda: world.client.get(STATEFULSETS, "web", "default"),
        lambda found: counts.items() <= (found.get("status") or {}).items(),
    )


async def images(world: World) -> dict[str, str]:
    pods = await world.listed(PODS, "app=web")
    return {pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"] for pod in pods}


async def test_pods_come_one_by_one_and_are_rolled_out_from_the_last(world: World) -> None:
    world.agents.ready = lambda pod: pod["metadata"]["name"] != "web-1"
    await world.client.create(STATEFULSETS, statefulset("web"))
    await counted(world, replicas=2, readyReplicas=1)
    await world.something_else()
    assert sorted(await images(world)) == ["web-0", "web-1"]
    world.agents.ready = lambda _: True
    await world.api.ok("annotate", "pod", "web-1", "look=again")
    await counted(world, availableReplicas=3)
    patch = {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 2}}}}
    await world.client.patch(STATEFULSETS, "web", patch, "default", kind="merge")
    await world.api.ok("set", "image", "statefulset/web", "web=web:2")
    assert "partitioned roll out complete" in await world.api.ok("rollout", "status", "statefulset/web")
    assert await images(world) == {"web-0": "web:1", "web-1": "web:1", "web-2": "web:2"}
    world.agents.least_ready = 3
    patch["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = 0
    await world.client.patch(STATEFULSETS, "web", patch, "default", kind="merge")
    assert "roll out complete: 3" in await world.api.ok("rollout", "status", "statefulset/web")
    assert world.agents.least_ready == 2
    await world.api.ok("rollout", "undo", "statefulset/web")
    await world.api.ok("rollout", "status", "statefulset/web")
    assert set((await images(world)).values()) == {"web:1"}
    history = await world.api.ok("rollout", "history", "statefulset/web")
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["2", "3"]
    assert len(await world.listed(CONTROLLERREVISIONS)) == 2
    await world.something_else()
    before = await world.versions()
    await world.something_else()
    assert await world.versions() == before


async def test_claims_stay_or_go_as_the_policy_says(world: World) -> None:
    templates = [
        {
            "metadata": {"name": "data"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "storageClassName": "none",
            },
        }
    ]
    policy = {"whenDeleted": "Delete", "whenScaled": "Delete"}
    made = statefulset(
        "web",
        podManagementPolicy="Parallel",
        volumeClaimTemplates=templates,
        persistentVolumeClaimRetentionPolicy=policy,
    )
    await world.client.create(STATEFULSETS, made)
    await world.count(PERSISTENTVOLUMECLAIMS, 3)
    await world.until(
        lambda: world.listed(PERSISTENTVOLUMECLAIMS),
        lambda found: all(each["metadata"].get("ownerReferences") for each in found),
    )
    assert len(await world.listed(PODS, "app=web")) == 3
    await world.api.ok("scale", "statefulset/web", "--replicas=1")
    await world.count(PODS, 1, "app=web")
    [left] = await world.count(PERSISTENTVOLUMECLAIMS, 1)
    assert left["metadata"]["name"] == "data-web-0"
    await world.client.delete(PERSISTENTVOLUMECLAIMS, "data-web-0", "default")
    await world.api.ok("delete", "statefulset", "web")
    await world.count(PODS, 0, "app=web")
    await world.count(PERSISTENTVOLUMECLAIMS, 0)
