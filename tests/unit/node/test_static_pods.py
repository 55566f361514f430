"""From a manifest in a node's directory to a pod, and to what the API is shown of it."""

from __future__ import annotations

import pytest

from wellhead.api import writes
from wellhead.api.resources import PODS
from wellhead.api.strategy import Context
from wellhead.node.pods import names
from wellhead.node.static import manifests
from wellhead.node.static.manifests import ManifestError

MANIFEST = b"""
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {containers: [{name: c, image: i}]}
"""


def test_a_manifest_is_a_pod_of_this_node() -> None:
    pod = manifests.read(MANIFEST, "/m/web.yaml", "node-1")
    metadata = pod["metadata"]
    assert (metadata["name"], metadata["namespace"]) == ("web-node-1", "default")
    assert pod["spec"]["nodeName"] == "node-1"
    assert {"operator": "Exists", "effect": "NoExecute"} in pod["spec"]["tolerations"]
    assert pod["spec"]["restartPolicy"] == "Always"
    assert manifests.is_static(pod)
    assert names.refusal(pod) == ""


def test_another_content_or_place_is_another_pod() -> None:
    uids = {
        manifests.read(content, path, node)["metadata"]["uid"]
        for content, path, node in (
            (MANIFEST, "/m/a.yaml", "n"),
            (MANIFEST, "/m/b.yaml", "n"),
            (MANIFEST, "/m/a.yaml", "o"),
            (MANIFEST.replace(b"image: i", b"image: j"), "/m/a.yaml", "n"),
        )
    }
    assert len(uids) == 4
    first, again = (manifests.read(MANIFEST, "/m/a.yaml", "n")["metadata"]["uid"] for _ in range(2))
    assert first == again


def test_the_mirror_says_whose_it_is_and_is_valid() -> None:
    pod = manifests.read(MANIFEST, "/m/web.yaml", "node-1")
    mirror = manifests.mirror_of(pod, "uid-of-node")
    assert manifests.is_mirror_of(mirror, pod)
    assert not manifests.is_static(mirror)
    assert "uid" not in mirror["metadata"]
    [owner] = mirror["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("Node", "uid-of-node", True)
    context = Context("default")
    writes.create(PODS, writes.received(PODS, mirror, context), context)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "no YAML"),
        (b"[]", "no v1 Pod"),
        (b"apiVersion: v1\nkind: ConfigMap", "no v1 Pod"),
        (b"apiVersion: v1\nkind: Pod", "no metadata"),
        (MANIFEST.replace(b"name: c,", b""), "spec.containers"),
        (MANIFEST.replace(b"{name: web,", b'{name: "../x",'), "metadata.name"),
        (MANIFEST.replace(b"[{name: c, image: i}]", b"[1]"), "isn't formed"),
        (b" " * (1 << 21), "larger than"),
    ],
)
def test_what_is_no_manifest_is_said(content: bytes, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        manifests.read(content, "/m/x.yaml", "node-1")


@pytest.mark.parametrize(
    "content",
    [
        b"a: &a [x,x,x,x,x,x,x,x,x]\n"
        + b"".join(
            b"%c: &%c [%b]\n" % (letter, letter, b",".join([b"*%c" % (letter - 1)] * 9))
            for letter in b"bcdefghi"
        ),
        b"a: &a {x: 1}\n"
        + b"".join(b"%c: &%c {<<: [*%c,*%c]}\n" % (c, c, c - 1, c - 1) for c in b"bcdefghijklmnopqrstuvwxyz"),
        b"a: &a [*a]",
        b"[" * 100_000,
        b"[" + b"a," * 500_000 + b"]",
        b"!!python/object/apply:os.system [true]",
        b"a: " + b"x" * manifests.LONGEST,
        b"\xff\xfe",
    ],
)
def test_what_means_harm_is_no_manifest(content: bytes) -> None:
    with pytest.raises(ManifestError):
        manifests.read(content, "/m/a.yaml", "n")
