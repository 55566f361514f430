"""Pods of images that were loaded: what their configuration says is what runs."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.archives import Entry, Layout, configuration, directory, docker_archive, tar
from tests.cluster.lab import BIN, Lab, eventually
from tests.packets.node.cluster_pods import container, create, status, wait, waits_for
from wellhead.images.store import ImageStore
from wellhead.lab.cluster import IMAGE_CACHE

pytestmark = pytest.mark.usefixtures("no_pods_left")

REPOSITORY = f"test-{os.getpid()}"
SAVED, SCRATCH, OCI = (f"{REPOSITORY}/{name}:1" for name in ("saved", "scratch", "oci"))
SCRIPT = (
    "trap 'exit 9' USR1; echo $GREETING $(id -u) $(id -g) $(pwd) $(cat /hello);while :; do sleep 0.05; done"
)


def image(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """`wellhead image …`, as a person types it."""
    command = [str(BIN / "wellhead"), "image", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=check)


def busybox() -> bytes:
    store = ImageStore(IMAGE_CACHE)
    return (store.rootfs(store.find("busybox")) / "bin/busybox").read_bytes()


@pytest.fixture(scope="module", autouse=True)
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The images of this module on the machine, and their archives."""
    path = tmp_path_factory.mktemp("archives")
    applets = [
        Entry(f"bin/{name}", type=tarfile.SYMTYPE, target="busybox") for name in ("sh", "id", "cat", "sleep")
    ]
    base = tar(
        [
            *(directory(name) for name in ("bin", "etc")),
            Entry("bin/busybox", busybox(), 0o755),
            *applets,
            Entry("etc/passwd", b"root:x:0:0::/:/bin/sh\napp:x:1234:1235::/:/bin/sh\n"),
        ]
    )
    top = tar([Entry("hello", b"hello")])
    config = {
        "Entrypoint": ["/bin/sh", "-c"],
        "Cmd": [SCRIPT],
        "Env": ["GREETING=welcome", "PATH=/bin"],
        "WorkingDir": "/work/here",
        "StopSignal": "SIGUSR1",
        "Volumes": {"/data": {}},
    }
    alone = tar([Entry("busybox", busybox(), 0o755)])
    saved = {
        SAVED: ([base, top], configuration([base, top], User="4321:99", **config)),
        SCRATCH: (
            [alone],
            configuration([alone], Entrypoint=["/busybox", "sleep"], Cmd=["1000"], User="65534"),
        ),
    }
    layout = Layout()
    layout.name(layout.image([base, top], configuration([base, top], User="app", **config)), OCI)
    docker_archive(path / "saved.tar", saved)
    layout.archive(path / "oci.tar")
    try:
        image("load", str(path / "saved.tar"), str(path / "oci.tar"))
        yield path
    finally:
        for each in ImageStore(IMAGE_CACHE).images():
            if any(REPOSITORY in name for name in each.names):
                image("remove", "--force", each.id)


def test_a_docker_archives_image_runs_as_a_numeric_user_in_its_working_directory(lab: Lab) -> None:
    create(lab, "saved", {"name": "main", "image": SAVED}, restartPolicy="Never")
    wait(lab, "saved")
    eventually(lambda: lab.kubectl("logs", "saved"), "welcome 4321 99 /work/here hello\n")
    assert container(lab, "saved")["imageID"]
    # Its own stop signal ends it, without the grace period's end.
    lab.kubectl("delete", "pod", "saved", "--grace-period=600", "--timeout=150s")


def test_an_oci_archives_image_runs_as_a_named_user_by_any_spelling(lab: Lab) -> None:
    (of_digest,) = [name for name in ImageStore(IMAGE_CACHE).find(OCI).names if "@" in name]
    for name, spelling in (("short", OCI), ("full", f"docker.io/{OCI}"), ("digest", of_digest)):
        create(lab, name, {"name": "main", "image": spelling, "imagePullPolicy": "Always"})
        wait(lab, name)
        eventually(lambda: lab.kubectl("logs", name), "welcome 1234 1235 /work/here hello\n")  # noqa: B023
    events = lab.kubectl("get", "events", "--field-selector=reason=Pulled", "-o", "wide")
    assert f'"{OCI}" already present on machine' in events


def test_an_image_from_scratch_runs(lab: Lab) -> None:
    create(lab, "scratch", {"name": "main", "image": SCRATCH})
    wait(lab, "scratch")
    said = lab.kubectl("exec", "scratch", "--", "/busybox", "id", "-u")
    assert said == "65534\n"


def test_a_volume_of_an_image_can_be_written_to_where_the_rest_can_not(lab: Lab) -> None:
    strict = {"readOnlyRootFilesystem": True, "runAsUser": 0}
    create(lab, "strict", {"name": "main", "image": SAVED, "securityContext": strict})
    wait(lab, "strict")
    lab.kubectl("exec", "strict", "--", "sh", "-c", "echo x > /data/x")
    failed = lab.kubectl("exec", "strict", "--", "sh", "-c", "echo x > /x || echo refused", check=False)
    assert failed == "refused\n"


@pytest.mark.parametrize(
    ("policy", "reason"), [("Never", "ErrImageNeverPull"), ("IfNotPresent", "ErrImagePull")]
)
def test_a_pod_that_waits_for_its_image_starts_once_it_is_loaded(
    lab: Lab, loaded: Path, policy: str, reason: str
) -> None:
    name = f"{REPOSITORY}/later-{policy.lower()}"
    create(lab, "later", {"name": "main", "image": name, "imagePullPolicy": policy})
    reasons = (reason,) if policy == "Never" else (reason, "ImagePullBackOff")
    assert "wellhead image load FILE" in waits_for(lab, "later", *reasons)
    image("load", str(loaded / "oci.tar"), "--name", name)
    wait(lab, "later")


def test_what_is_no_reference_is_no_image(lab: Lab) -> None:
    create(lab, "bad", {"name": "main", "image": "Upper:1"})
    assert "repository name must be lowercase" in waits_for(lab, "bad", "InvalidImageName")


def test_an_image_that_a_pod_uses_is_not_removed_without_force(lab: Lab, loaded: Path) -> None:
    name = f"{REPOSITORY}/used"
    alone = tar([Entry("busybox", busybox(), 0o755), Entry("mark", b"1")])
    config = configuration([alone], Entrypoint=["/busybox", "sleep", "1000"])
    image("load", str(docker_archive(loaded / "used.tar", {name: ([alone], config)})))
    create(lab, "used", {"name": "main", "image": name})
    wait(lab, "used")
    refused = image("remove", name, check=False)
    assert refused.returncode == 1
    assert f"cluster {lab.name}, node node-1: pod default/used" in refused.stderr
    image("remove", "--force", name)
    assert name not in image("list").stdout
    assert lab.kubectl("exec", "used", "--", "/busybox", "cat", "/mark") == "1"
    assert status(lab, "used")["phase"] == "Running"
