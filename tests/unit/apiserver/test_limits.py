"""A small request can't cause much work, and while a large one is refused, others are answered."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.apiserver.cluster import User
from tests.unit.apiserver.objects import CONFIGMAPS, configmap

_LAUGHS = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (letter, letter, b",".join([b"*%c" % (letter - 1)] * 9)) for letter in b"bcdefghij"
)
_LIST = b"a: [" + b"a," * 1_500_000 + b"]"


@pytest.mark.parametrize("text", [_LAUGHS, _LIST])
async def test_yaml_that_is_or_becomes_too_much_is_refused(admin: User, text: bytes) -> None:
    answer = await admin.call("POST", CONFIGMAPS, text, content_type="application/yaml")
    assert answer.expect(413)["reason"] == "RequestEntityTooLarge"


async def test_others_are_answered_while_yaml_is_read(admin: User) -> None:

    async def hostile() -> None:
        for _ in range(3):
            (await admin.call("POST", CONFIGMAPS, _LIST, content_type="application/yaml")).expect(413)

    hostiles = [asyncio.create_task(hostile()) for _ in range(3)]
    answered = 0
    while not all(task.done() for task in hostiles):
        async with asyncio.timeout(5):
            await admin.get(CONFIGMAPS)
        answered += 1
    await asyncio.gather(*hostiles)
    assert answered > 3


async def test_a_body_may_have_three_megabytes(admin: User) -> None:
    body = b'{"data":"' + b"x" * (3 * 1024 * 1024) + b'"}'
    answer = (await admin.call("POST", CONFIGMAPS, body)).expect(413)
    assert answer["message"] == "Request entity too large: limit is 3145728"


async def test_twenty_copies_of_a_json_patch_are_refused(admin: User) -> None:
    await admin.create(CONFIGMAPS, configmap("copied", data="x" * 100))
    copies = [{"op": "copy", "from": "/data", "path": f"/data/{number}"} for number in range(30)]
    answer = await admin.call(
        "PATCH", f"{CONFIGMAPS}/copied", copies, content_type="application/json-patch+json"
    )
    refused = answer.expect(422)
    assert refused["reason"] == "Invalid"
    assert "accumulated size increase of copy" in refused["message"]
