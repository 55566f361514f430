"""What an image's configuration says of its containers, and configurations that lie."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.archives import configuration
from wellhead.images import container_config
from wellhead.images.bounds import ImageError
from wellhead.images.store import Config


def test_all_that_containers_are_given_is_read() -> None:
    data = configuration(
        [],
        Entrypoint=["/a"],
        Cmd=["b"],
        Env=["A=1", "B="],
        WorkingDir="relative/./x",
        User="app:1",
        Volumes={"/data/": {}, "logs": {}},
        StopSignal="SIGQUIT",
        ExposedPorts={"80/tcp": {}},
    )
    assert container_config.read(data) == Config(
        ("/a",), ("b",), ("A=1", "B="), "/relative/x", "app:1", "SIGQUIT", ("/data", "/logs")
    )


@pytest.mark.parametrize("data", [b"{}", b'{"config":null}', configuration([], Entrypoint=None, Env=None)])
def test_what_is_missing_or_null_says_nothing(data: bytes) -> None:
    assert container_config.read(data) == Config()


LIES: dict[str, dict[str, Any]] = {
    "Entrypoint": {"Entrypoint": "/a"},
    "Cmd": {"Cmd": [1]},
    "Env": {"Env": ["NOVALUE"]},
    "NAME=VALUE": {"Env": ["=x"]},
    "Volumes": {"Volumes": ["/a"]},
    "NUL": {"Cmd": ["a\0b"]},
    "longer than 1048576": {"Cmd": ["x" * (2 << 20)]},
    "a path longer than 4096": {"WorkingDir": "/" + "x" * 5000},
    "User": {"User": 5},
}


@pytest.mark.parametrize("which", LIES)
def test_a_configuration_that_lies_is_refused(which: str) -> None:
    with pytest.raises(ImageError, match=which):
        container_config.read(configuration([], **LIES[which]))


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b"[" * 100_000, json.dumps({"config": []}).encode()])
def test_what_is_no_configuration_is_said(data: bytes) -> None:
    with pytest.raises(ImageError, match="configuration"):
        container_config.read(data)


def test_an_image_for_another_system_is_refused() -> None:
    with pytest.raises(ImageError, match="windows"):
        container_config.read(b'{"os":"windows"}')
