"""Plugins are asked in order, each phase by itself, only for what they are about."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from wellhead.api.errors import Forbidden
from wellhead.api.resources import CONFIGMAPS, PODS
from wellhead.apiserver.admission.chain import Admission
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Request
from wellhead.apiserver.authn import User
from wellhead.apiserver.call import Call
from wellhead.apiserver.info import RequestInfo
from wellhead.apiserver.registry.gate import OPEN

ANY: Any = None


def call(resource: Any = CONFIGMAPS, verb: str = "create", subresource: str = "") -> Call:
    info = RequestInfo(verb, "", resource, "default", "", subresource)
    return Call(ANY, info, User("somebody"), {}, ANY, ANY)


class Recorder(Plugin):
    """Writes down what it is asked, and adds its name to the object."""

    name = "Recorder"
    asked: ClassVar[list[str]] = []
    resources = (CONFIGMAPS,)

    def __init__(self, mark: str) -> None:
        self._mark = mark

    async def mutate(self, request: Request) -> None:
        self.asked.append(f"mutate {self._mark}")
        request.obj = {**request.obj, "marks": [*request.obj.get("marks", ()), self._mark]}

    async def validate(self, request: Request) -> None:
        self.asked.append(f"validate {self._mark}")


class Refuser(Plugin):
    name = "Refuser"

    async def validate(self, request: Request) -> None:
        raise Forbidden.of(request.resource, request.name, "no")


class Reserver(Plugin):
    name = "Reserver"
    held: ClassVar[list[str]] = []

    async def validate(self, request: Request) -> None:
        async def release() -> None:
            self.held.remove(request.name)

        self.held.append(request.name)
        request.undo.append(release)


@pytest.fixture(autouse=True)
def _forget() -> None:
    Recorder.asked.clear()
    Reserver.held.clear()


async def test_each_phase_asks_in_order() -> None:
    gate = Admission([Recorder("a"), Recorder("b")]).gate(call(), "CREATE")
    made = await gate.mutate({}, None)
    assert made == {"marks": ["a", "b"]}
    await gate.validate(made, None)
    assert Recorder.asked == ["mutate a", "mutate b", "validate a", "validate b"]


async def test_what_concerns_no_plugin_passes_an_open_gate() -> None:
    admission = Admission([Recorder("a")])
    assert admission.gate(call(PODS), "CREATE") is OPEN
    assert admission.gate(call(), "DELETE") is OPEN
    assert admission.gate(call(subresource="status"), "UPDATE") is OPEN


async def test_what_is_refused_later_is_given_back() -> None:
    gate = Admission([Reserver(ANY), Refuser(ANY)]).gate(call(), "CREATE")
    with pytest.raises(Forbidden):
        await gate.validate({"metadata": {"name": "a"}}, None)
    assert Reserver.held == []


async def test_what_is_not_stored_is_given_back_once() -> None:
    gate = Admission([Reserver(ANY)]).gate(call(), "CREATE")
    await gate.validate({"metadata": {"name": "a"}}, None)
    assert Reserver.held == ["a"]
    await gate.abandon()
    await gate.abandon()
    assert Reserver.held == []
