"""`wellhead up --pull`: pods' images come from a real registry, with the pods' credentials."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import registry
from tests.cluster.conftest import running
from tests.cluster.lab import BIN, Lab, Obj
from tests.patience import until
from tests.registry import Registry

PASSWORD = {"me": "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"}  # of "secret"


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry.running(tmp_path_factory.mktemp("private"), PASSWORD) as found:
        yield found


@pytest.fixture(scope="module")
def own(private: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A cluster that pulls, and the private registry in its configuration."""
    file = tmp_path_factory.mktemp("configuration") / "registries.conf"
    file.write_text(f'[[registry]]\nlocation = "{private.host}"\ninsecure = true\n')
    with running(Lab(f"test-{os.getpid()}-pull"), "--nodes", "1", "--pull", "--registries", str(file)) as lab:
        lab.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=60s")
        try:
            yield lab
        finally:  # the store is everybody's on this machine
            subprocess.run([str(BIN / "wellhead"), "image", "remove", "--force", _name(private)], check=False)


def _name(private: Registry) -> str:
    return f"{private.host}/team/box:1"


def pod(name: str, image: str, **spec: object) -> Obj:
    container = {"name": "c", "image": image, "command": ["sleep", "1000"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1, **spec},
    }


def waiting(lab: Lab, name: str) -> Obj:
    statuses = (lab.get("pod", name)["status"].get("containerStatuses")) or [{}]
    found: Obj = (statuses[0].get("state") or {}).get("waiting") or {}
    return found


def test_pods_are_pulled_with_their_secrets_and_say_what_is_wrong_without(
    own: Lab, private: Registry
) -> None:
    name = _name(private)
    _push_busybox(private, "team/box", "1")
    own.apply(pod("without", name))
    why = until(lambda: waiting(own, "without"), lambda found: found.get("reason") == "ImagePullBackOff")
    assert "no credentials were given" in why["message"]
    own.kubectl(
        *("create", "secret", "docker-registry", "key", f"--docker-server={private.host}"),
        *("--docker-username=me", "--docker-password=secret"),
    )
    own.apply(pod("with", name, imagePullSecrets=[{"name": "key"}]))
    own.kubectl("wait", "--for=condition=Ready", "pod/with", "--timeout=60s")
    types = {each["type"] for each in own.get("pod", "with")["status"]["conditions"]}
    assert not [each for each in types if each.startswith("pull.")]
    # What is there now is for who has its credentials, or an account that has them.
    own.apply(pod("stranger", name))
    why = until(lambda: waiting(own, "stranger"), lambda found: found.get("reason") == "ImagePullBackOff")
    assert "no credentials were given" in why["message"]
    assert waiting(own, "without")
    account = {"imagePullSecrets": [{"name": "key"}]}
    own.kubectl("patch", "serviceaccount", "default", "-p", json.dumps(account))
    own.apply(pod("accounted", name))
    own.kubectl("wait", "--for=condition=Ready", "pod/accounted", "--timeout=60s")
    own.kubectl("patch", "serviceaccount", "default", "-p", '{"imagePullSecrets":null}')
    own.kubectl("delete", "pod", "with", "without", "stranger", "accounted", "--now")


def test_a_killed_puller_is_started_again_and_goes_on(own: Lab, private: Registry) -> None:
    for component in json.loads(own.wellhead("status", "-o", "json"))["components"]:
        if component["name"] == "image-puller":
            os.kill(component["pid"], signal.SIGKILL)
    own.apply(pod("later", f"{private.host}/team/none:1"))
    until(lambda: waiting(own, "later").get("reason") == "ImagePullBackOff")
    own.kubectl("delete", "pod", "later", "--now")


def _push_busybox(private: Registry, repository: str, tag: str) -> None:
    """The built-in image under another name: by skopeo, since the registry asks who pushes."""
    archive = f"/tmp/test-{os.getpid()}-busybox.tar"
    try:
        subprocess.run([str(BIN / "wellhead"), "image", "export", "busybox", archive], check=True)
        target = f"docker://{private.host}/{repository}:{tag}"
        skopeo = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]
        subprocess.run([*skopeo, "--dest-creds=me:secret", f"oci-archive:{archive}", target], check=True)
    finally:
        Path(archive).unlink(missing_ok=True)
