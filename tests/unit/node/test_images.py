"""What the agent does about an image: policies, back-off, and what it says, as the kubelet."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.node.world import World
from wellhead.api.meta import Obj
from wellhead.images import access, placing
from wellhead.images.access import Access, Pulled
from wellhead.images.registry.credentials import Login, auth_file
from wellhead.images.store import Image
from wellhead.node.pods import pulling
from wellhead.node.pods.images import Images
from wellhead.node.references import Reference


def pod(image: str, policy: str) -> Obj:
    container = {"name": "c", "image": image, "imagePullPolicy": policy}
    return {"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": {"containers": [container]}}


class Case:
    """A pod's images, with a puller whose answers are given beforehand."""

    def __init__(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch, image: str, policy: str, *, pulls: bool = True
    ) -> None:
        self.world = World(directory, pod(image, policy))
        self.state = self.world.state
        self.state.context = replace(self.state.context, pulls=pulls)
        self.answers: list[str] = []
        self.asked = 0
        monkeypatch.setattr(pulling, "pull", self._pull)
        self.images = Images(self.state)

    async def _pull(self, state: Any, container: Obj) -> str:
        self.asked += 1
        return self.answers.pop(0)

    async def find(self) -> Image | float:
        return await self.images.find(self.state.pod["spec"]["containers"][0])

    @property
    def reason(self) -> str:
        return self.state.view.waiting["c"].reason


@pytest.mark.parametrize(("policy", "asked"), [("IfNotPresent", 0), ("Never", 0), ("Always", 1)])
async def test_an_image_that_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str, asked: int
) -> None:
    case = Case(tmp_path, monkeypatch, "busybox", policy)
    store = case.state.context.images
    placing.write_manifest(store, msgspec.structs.replace(store.find("busybox"), recipe=""))
    case.answers = [""]
    assert isinstance(await case.find(), Image)
    assert case.asked == asked
    [said] = case.world.recorder.said("Pulled")
    assert ("Successfully pulled" in said) == bool(asked)


async def test_a_built_in_image_is_never_pulled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(tmp_path, monkeypatch, "busybox", "Always")
    assert isinstance(await case.find(), Image)
    assert case.asked == 0


async def test_never_is_never(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(tmp_path, monkeypatch, "other", "Never")
    assert isinstance(await case.find(), float)
    assert case.reason == "ErrImageNeverPull"
    assert case.asked == 0


async def test_failures_are_tried_again_later_and_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(tmp_path, monkeypatch, "other", "IfNotPresent")
    case.answers = ["no way"] * 3
    for longest in (10, 20, 40):
        wait = await case.find()
        assert isinstance(wait, float)
        assert case.reason == "ErrImagePull"
        await asyncio.sleep(wait)
        wait = await case.find()
        assert isinstance(wait, float)
        assert case.reason == "ImagePullBackOff"
        assert case.state.view.waiting["c"].message == 'Back-off pulling image "other": no way'
        assert longest - 2 < wait < longest
        await asyncio.sleep(wait + 0.001)
    assert case.asked == 3


async def test_where_nobody_pulls_it_is_said_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(tmp_path, monkeypatch, "other", "IfNotPresent", pulls=False)
    assert isinstance(await case.find(), float)
    assert case.reason == "ErrImagePull"
    assert "wellhead image pull" in case.state.view.waiting["c"].message
    assert isinstance(await case.find(), float)
    assert case.reason == "ImagePullBackOff"
    assert case.asked == 0


def others(case: Case, *logins: Login) -> None:
    """The image is here for whoever has these credentials."""
    store = case.state.context.images
    image = store.find("busybox")
    known: dict[str, Access] = {}
    for login in logins:
        known = access.after(known, image.names if known else (), image.names, Pulled(login))
    placing.write_manifest(store, msgspec.structs.replace(image, recipe="", access=known))


def with_secret(case: Case, login: Login) -> None:
    text = base64.b64encode(auth_file("busybox", login)).decode()
    secret = {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": text}}
    case.world.objects[Reference("Secret", "n", "s")] = {"metadata": {"name": "s"}, **secret}
    case.state.pod["spec"]["imagePullSecrets"] = [{"name": "s"}]


@pytest.mark.parametrize("pulls", [True, False])
async def test_who_has_the_credentials_uses_what_they_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pulls: bool
) -> None:
    case = Case(tmp_path, monkeypatch, "busybox", "IfNotPresent", pulls=pulls)
    others(case, Login("them", "x"), Login("me", "secret"))
    with_secret(case, Login("me", "secret"))
    assert isinstance(await case.find(), Image)
    assert case.asked == 0


async def test_who_has_none_has_it_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(tmp_path, monkeypatch, "busybox", "IfNotPresent")
    others(case, Login("me", "secret"))
    with_secret(case, Login("me", "guessed"))
    case.answers = ["unauthorized"]
    assert isinstance(await case.find(), float)
    assert (case.asked, case.reason) == (1, "ErrImagePull")


@pytest.mark.parametrize(("policy", "reason"), [("Never", "ErrImageNeverPull"), ("Always", "ErrImagePull")])
async def test_where_it_cant_be_asked_for_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str, reason: str
) -> None:
    case = Case(tmp_path, monkeypatch, "busybox", policy, pulls=False)
    others(case, Login("me", "secret"))
    assert isinstance(await case.find(), float)
    assert case.reason == reason
    assert "by credentials that this pod has not shown" in case.state.view.waiting["c"].message
