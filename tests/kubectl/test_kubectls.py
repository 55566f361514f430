"""Every kubectl against one cluster: `make test-kubectl`; `make test` asks with the newest only."""

from __future__ import annotations

import base64
import json
import os
import re
import select
import shlex
import subprocess
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.cluster.lab import Lab, eventually, kept_up
from tests.kubectl import binaries, steps
from tests.kubectl.steps import Step
from tests.patience import PATIENCE
from wellhead.api.meta import Obj

_ALL = os.environ.get("WELLHEAD_KUBECTLS") == "all"
_KUBECTLS = binaries.fetched() if _ALL else {}


def _kubectls() -> dict[str, Path]:
    return {f"1.{minor}": path for minor, path in _KUBECTLS.items()} | {"current": binaries.CURRENT}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A cluster of its own: nodes are drained."""
    with kept_up(Lab(f"test-{os.getpid()}-kubectl"), "--nodes", "2"):
        yield Lab(f"test-{os.getpid()}-kubectl")


@pytest.fixture(scope="module")
def kubeconfig(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kubectl") / "kubeconfig"
    path.write_text(lab.wellhead("kubeconfig"))
    return path


def lasting(command: list[str], environment: dict[str, str], step: Step, path: str) -> str:
    """What a command says that goes on until it is ended, or what is wrong with that or its port's answer."""
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
    )
    said = b""
    try:
        assert process.stdout is not None
        while step.says.encode() not in said:
            ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
            piece = os.read(process.stdout.fileno(), 65536) if ready else b""
            if not piece:
                return f"ended, or silent, after: {said.decode()}"
            said += piece
        if path:
            found = re.search(rb"127\.0\.0\.1:(\d+)", said)
            assert found, said
            with urllib.request.urlopen(
                f"http://127.0.0.1:{found[1].decode()}{path}", timeout=PATIENCE
            ) as got:
                answer = got.read().decode()
            if step.answer not in answer:
                return f"answered: {answer}"
        return said.decode()
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def signing_request(name: str) -> Obj:
    """A CertificateSigningRequest for a client."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {
            "request": base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode(),
            "signerName": "kubernetes.io/kube-apiserver-client",
            "usages": ["client auth"],
        },
    }


@pytest.mark.cluster
@pytest.mark.parametrize(("name", "kubectl"), _kubectls().items(), ids=_kubectls())
def test_everything_that_is_typed_is_answered_as_upstream_does(
    name: str, kubectl: Path, lab: Lab, kubeconfig: Path, tmp_path: Path
) -> None:
    minor = binaries.minor_of(kubectl)
    namespace = f"kubectl-{name.replace('.', '-')}"
    environment = os.environ | {
        "KUBECONFIG": str(kubeconfig),
        "HOME": str(tmp_path),
        "KUBE_EDITOR": "sed -i -e s/blue/edited/",
    }
    if minor == 22:
        # With them, it waits for ever for a watch of its own (kubernetes/kubectl#1098). 1.21 sends them only
        # if it finds the variable at all.
        environment["KUBECTL_COMMAND_HEADERS"] = "false"

    words = {
        "{tmp}": str(tmp_path),
        "{namespace}": namespace,
        "{overrides}": shlex.quote(steps.OVERRIDES),
        "{scale}": shlex.quote('{"spec":{"replicas":1}}'),
        "{heard}": f"sh -c {shlex.quote(steps.HEARD)}",
        "{served}": f"sh -c {shlex.quote(steps.SERVED)}",
    }

    def filled(text: str) -> str:
        for name, value in words.items():
            text = text.replace(name, value)
        return text

    def run(step: Step) -> tuple[int, str]:
        command = [str(kubectl), "-n", namespace, *shlex.split(filled(step.line))]
        if step.lasts:
            return 0, lasting(command, environment, step, filled(step.path))
        done = subprocess.run(
            command,
            input=step.stdin,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=4 * PATIENCE,
        )
        return done.returncode, done.stdout

    for name in ("asked", "refused"):
        (tmp_path / f"request-{name}.yaml").write_text(json.dumps(signing_request(f"{namespace}-{name}")))
    kustomized = tmp_path / "kustomized"
    kustomized.mkdir()
    (kustomized / "kustomization.yaml").write_text("nameSuffix: -suffixed\nresources: [it.yaml]\n")
    (kustomized / "it.yaml").write_text(steps.CONFIG)
    assert run(Step(f"create namespace {namespace}"))[0] == 0
    lab.kubectl("wait", "--for=create", "serviceaccount/default", "-n", namespace, "--timeout=60s")

    def is_right(step: Step) -> bool:
        code, output = run(step)
        return code == step.code and step.says in output

    everything = (
        *(*steps.WRITING, *(steps.RARE if _ALL else ()), *steps.READING, *steps.PODS),
        *(*steps.CERTIFICATES, *steps.NODES, *steps.ENDING),
    )
    wrong = []
    for step in everything:
        if step.since <= minor <= step.until:
            if step.again:
                eventually(partial(is_right, step), True)
            code, output = run(step)
            if code != step.code or step.says not in output:
                wrong.append(f"kubectl {step.line}: {code}, {output}")
    run(Step(f"delete namespace {namespace}"))
    assert not wrong, "\n".join(wrong)
