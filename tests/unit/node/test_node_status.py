"""What a node says of itself: the images that it has, and what others add."""

from __future__ import annotations

from pathlib import Path

import msgspec

from wellhead.images.store import MANIFEST, Config, Image, ImageStore
from wellhead.node.node_status import NodeFacts, same, status


def _add(store: Path, letter: str, *names: str) -> None:
    image = Image(f"sha256:{64 * letter}", names, Config(), "", f"2026-01-01T00:00:0{letter}Z", 5)
    (store / (64 * letter)).mkdir()
    (store / (64 * letter) / MANIFEST).write_bytes(msgspec.json.encode(image))


def _facts(root: Path) -> NodeFacts:
    return NodeFacts(
        name="node-1",
        internal_ips=(),
        external_ips=(),
        pod_cidrs=(),
        kubelet_port=10250,
        images=ImageStore(root),
        root=root,
        ready=lambda: (True, ""),
        disk=lambda: "",
    )


def test_what_others_say_that_a_node_has_can_be_had(tmp_path: Path) -> None:
    facts = _facts(tmp_path)
    said = {"capacity": {"example.com/dongle": "4", "cpu": "1000"}, "allocatable": {"example.com/gone": "1"}}
    found = status(facts, {"status": said})
    assert found["capacity"]["example.com/dongle"] == found["allocatable"]["example.com/dongle"] == "4"
    assert found["allocatable"]["example.com/gone"] is None
    assert found["capacity"]["cpu"] != "1000"
    assert same({**found, "allocatable": {k: v for k, v in found["allocatable"].items() if v}}, found)
    assert not same({**found, "addresses": []}, found)


def test_images_are_told_by_digest_and_tag_and_those_without_a_name_not_at_all(tmp_path: Path) -> None:
    _add(tmp_path, "1", "r.example:5/a:1", "r.example:5/a@sha256:00")
    _add(tmp_path, "2", "docker.io/library/b:1")
    _add(tmp_path, "3")
    _add(tmp_path, "4", "docker.io/library/c@sha256:00")
    assert [each["names"] for each in status(_facts(tmp_path), {})["images"]] == [
        ["docker.io/library/c@sha256:00"],
        [f"docker.io/library/b@sha256:{64 * '2'}", "docker.io/library/b:1"],
        ["r.example:5/a@sha256:00", "r.example:5/a:1"],
    ]
