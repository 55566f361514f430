"""What the page does one after the other, whoever comes and goes; and what it doesn't do unless it may."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from tests.patience import reached
from tests.unit.page import objects
from tests.unit.page.test_scene import entry
from tests.unit.page.traces import sent, way
from wellhead.page import pulling, sending
from wellhead.page.errors import Busy, Cannot, CannotAsk
from wellhead.page.history import Kept
from wellhead.page.model import Model
from wellhead.page.source import Source
from wellhead.page.values import Can, Client, Pull, Pulled, Send

QUESTION = Send(client="client", target="svc/nodeport")
LOCAL = Pull(lever="external-traffic-policy", object="service/default/nodeport", value="Local")


def _nobody() -> NoReturn:
    raise AssertionError("nothing is asked of a cluster here")


def model(*, allow_changes: bool = False) -> Model:
    source = Source(
        title="cluster test",
        client=Client(name="client", asks="outside", sends="client"),
        send=Can(can=True),
        connect=_nobody,
        watch=_nobody,
        cluster="test",
    )
    made = Model(source, allow_changes=allow_changes)
    made.scene.put(entry(objects.service("nodeport", 1, kind="NodePort")))
    made.scene.changes()
    return made


class Network:
    """Requests that are answered when the test says so."""

    def __init__(self) -> None:
        self.may_end = threading.Semaphore(0)
        self.at_once = self.most_at_once = 0

    def send(self, watch: object, question: Send, number: str, world: Callable[[], object]) -> Kept:
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        assert self.may_end.acquire(timeout=60)
        world()  # which the loop knows
        self.at_once -= 1
        found = sent(way())
        line = sending.line(found)
        return Kept(
            line=type(line)(**{**_fields(line), "id": number}), json=b"{}", text=b"", pcapng=b"", sent=found
        )


def _fields(line: Any) -> dict[str, Any]:
    return {each: getattr(line, each) for each in line.__struct_fields__}


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    network = Network()
    monkeypatch.setattr(sending, "send", network.send)
    return network


def ids(of: Model) -> list[str]:
    return [each.id for each in of.history.lines()]


async def test_one_request_is_sent_at_a_time_and_a_few_wait(network: Network) -> None:
    of = model()
    asked = [asyncio.create_task(of.send(QUESTION)) for _ in range(8)]
    await reached(lambda: sum(each.done() for each in asked), lambda done: done == 3)
    for each in asked[5:]:
        with pytest.raises(Busy, match="ask again"):
            await each
    for _ in range(5):
        network.may_end.release()
    await asyncio.gather(*asked[:5])
    assert network.most_at_once == 1
    assert ids(of) == ["5", "4", "3", "2", "1"]
    network.may_end.release()
    await of.send(QUESTION)


async def test_whoever_asked_may_go_and_finds_it_in_the_history(network: Network) -> None:
    of = model()
    asked = asyncio.create_task(of.send(QUESTION))
    await reached(lambda: network.at_once, lambda found: found == 1)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert ids(of) == []
    network.may_end.release()
    await reached(lambda: ids(of), lambda found: found == ["1"])
    assert of.lesson.ticks().ticks["nodeport-ask"]


@pytest.mark.parametrize("error", [Cannot("no packets here", 409), CannotAsk("there is no such client")])
async def test_a_request_that_cannot_be_sent_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> NoReturn:
        raise error

    monkeypatch.setattr(sending, "send", fail)
    of = model()
    with pytest.raises(type(error), match=str(error)):
        await of.send(QUESTION)
    assert ids(of) == []


async def test_nothing_is_changed_unless_it_was_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulling, "pull", lambda *_: _nobody())
    of = model()
    for change in (of.pull(LOCAL), of.press("nodeport-local"), of.press("delete-services")):
        with pytest.raises(Cannot, match="--allow-changes"):
            await change
    shown = await of.pull(Pull(lever=LOCAL.lever, object=LOCAL.object, value="Local", only_show=True))
    assert shown.command.startswith("kubectl -n default patch service nodeport")
    assert not shown.done


async def test_one_change_is_made_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = asyncio.Event()
    made: list[Any] = []

    async def pull(commands: Any, kubeconfig: str | None) -> Pulled:
        made.append(commands)
        await goes_on.wait()
        return Pulled(command="", done=True)

    monkeypatch.setattr(pulling, "pull", pull)
    monkeypatch.setattr(pulling, "can_change", lambda: Can(can=True))
    of = model(allow_changes=True)
    first = asyncio.create_task(of.pull(LOCAL))
    await reached(lambda: made)
    with pytest.raises(Busy, match="another change"):
        await of.pull(LOCAL)
    goes_on.set()
    assert (await first).done
    assert (await of.pull(LOCAL)).done


async def test_a_step_without_anything_to_press_says_why() -> None:
    of = model()
    with pytest.raises(Cannot, match="nothing to press"):
        await of.press("health-checks")
    with pytest.raises(Cannot, match="no step"):
        await of.press("nothing")
