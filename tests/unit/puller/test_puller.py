"""The puller on a made up API: one pull for all who want it, an answer each, an end when nobody wants it."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Callable
from typing import Any

from tests.patience import PATIENCE
from wellhead.api.errors import NotFound
from wellhead.api.kinds.pod import pulls
from wellhead.api.meta import Obj
from wellhead.api.resources import SECRETS
from wellhead.images.bounds import ImageError
from wellhead.images.programs import Stop
from wellhead.images.registry.credentials import Login
from wellhead.puller.puller import Puller
from wellhead.puller.wants import Wants, read


def pod(name: str = "p", version: int = 1, **spec: Any) -> Obj:
    return {
        "metadata": {"name": name, "namespace": "n", "uid": f"uid-{name}", "resourceVersion": str(version)},
        "spec": {"nodeName": "node-1", "containers": [{"name": "c", "image": "example.com/x:1"}], **spec},
        "status": {"conditions": [pulls.request("c", "example.com/x:1")]},
    }


class Pods:
    """An informer, as far as the puller needs one."""

    def __init__(self) -> None:
        self.held: dict[str, Wants] = {}
        self.changed: Callable[[Wants | None, Wants | None], None] = lambda old, new: None

    def on_change(self, changed: Callable[[Wants | None, Wants | None], None]) -> None:
        self.changed = changed

    def get(self, name: str, namespace: str = "") -> Wants | None:
        return self.held.get(name)

    def set(self, obj: Obj) -> None:
        old, new = self.held.get(obj["metadata"]["name"]), read(obj)
        self.held[obj["metadata"]["name"]] = new
        self.changed(old, new)

    def delete(self, name: str) -> None:
        self.changed(self.held.pop(name), None)


class World:
    """The API, and a registry that answers when told to."""

    def __init__(self) -> None:
        self.pods = Pods()
        self.secrets: dict[str, Obj] = {}
        self.answers: list[tuple[str, Obj]] = []
        self.pulls: list[tuple[str, tuple[Login, ...]]] = []
        self.stops: list[Stop] = []
        self.begun, self.go = threading.Event(), threading.Event()
        self.problem = ""
        self.news = asyncio.Event()
        pods: Any = self.pods
        client: Any = self
        self.puller = Puller(client, pods, self._pull)

    async def get(self, resource: Any, name: str, namespace: str) -> Obj:
        if name not in self.secrets:
            raise NotFound.of(SECRETS, name)
        return self.secrets[name]

    async def patch(self, resource: Any, name: str, body: Obj, namespace: str, **how: str) -> Obj:
        [condition] = body["status"]["conditions"]
        self.answers.append((name, condition))
        self.news.set()
        return {"metadata": {"resourceVersion": "10"}}

    def _pull(self, image: str, logins: tuple[Login, ...], stop: Stop) -> None:
        self.pulls.append((image, logins))
        self.stops.append(stop)
        self.begun.set()
        self.go.wait(PATIENCE)
        stop.check()
        if self.problem:
            raise ImageError(self.problem)

    async def answered(self, count: int) -> list[tuple[str, Obj]]:
        while len(self.answers) < count:
            self.news.clear()
            await self.news.wait()
        return self.answers


async def run(work: Callable[[World], Any]) -> None:
    world = World()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(world.puller.run())
        await asyncio.sleep(0)
        try:
            await work(world)
        finally:
            world.go.set()
            running.cancel()


async def test_two_pods_share_a_pull_and_each_is_answered() -> None:
    async def work(world: World) -> None:
        world.pods.set(pod("a"))
        world.pods.set(pod("b"))
        await asyncio.sleep(0)
        world.go.set()
        answers = await world.answered(2)
        assert {name for name, _ in answers} == {"a", "b"}
        assert {each["status"] for _, each in answers} == {"True"}
        assert world.pulls == [("example.com/x:1", ())]

    await run(work)


async def test_a_failure_is_said() -> None:
    async def work(world: World) -> None:
        world.problem = "no such thing"
        world.go.set()
        world.pods.set(pod())
        [(_, condition)] = await world.answered(1)
        assert (condition["status"], condition["reason"]) == ("False", "ErrImagePull")
        assert condition["message"] == "no such thing"

    await run(work)


async def test_the_pods_secrets_are_used_and_missing_ones_are_not() -> None:
    async def work(world: World) -> None:
        auths = {"example.com": {"username": "me", "password": "x"}}
        data = base64.b64encode(json.dumps({"auths": auths}).encode()).decode()
        kind = "kubernetes.io/dockerconfigjson"
        world.secrets["s"] = {"metadata": {}, "type": kind, "data": {".dockerconfigjson": data}}
        world.go.set()
        world.pods.set(pod(imagePullSecrets=[{"name": "s"}, {"name": "missing"}]))
        await world.answered(1)
        assert world.pulls == [("example.com/x:1", (Login("me", "x"),))]

    await run(work)


async def test_when_the_last_pod_is_gone_the_pull_is_stopped() -> None:
    async def work(world: World) -> None:
        world.pods.set(pod("a"))
        world.pods.set(pod("b"))
        await asyncio.to_thread(world.begun.wait, PATIENCE)
        world.pods.delete("a")
        await asyncio.sleep(0)
        world.pods.delete("b")
        await asyncio.sleep(0)
        [stop] = world.stops
        try:
            stop.check()
        except ImageError:
            return
        raise AssertionError("it goes on")

    await run(work)


async def test_an_old_version_of_a_pod_asks_for_nothing() -> None:
    async def work(world: World) -> None:
        world.go.set()
        world.pods.set(pod(version=1))
        await world.answered(1)
        await asyncio.sleep(0)
        world.pods.set(pod(version=9))
        assert len(world.pulls) == 1
        world.pods.set(pod(version=11))
        await world.answered(2)
        assert len(world.pulls) == 2

    await run(work)


def test_only_what_the_spec_names_is_pulled() -> None:
    asks = pod()
    asks["status"]["conditions"].append(pulls.request("other", "evil.example/x"))
    assert [want.image for want in read(asks).wants] == ["example.com/x:1"]
    deleted: Obj = {"metadata": {**asks["metadata"], "deletionTimestamp": "x"}}
    unbound: Obj = {"spec": {"containers": asks["spec"]["containers"]}}
    for dead in (deleted, unbound):
        assert read(asks | dead).wants == ()
    asks["status"]["phase"] = "Failed"
    assert read(asks).wants == ()


def test_the_image_of_a_volume_is_asked_for_too() -> None:
    asks = pod(volumes=[{"name": "v", "image": {"reference": "example.com/files:1"}}])
    asks["status"]["conditions"] = [pulls.request("volume.v", "example.com/files:1")]
    assert [(want.container, want.image) for want in read(asks).wants] == [
        ("volume.v", "example.com/files:1")
    ]
