"""Every kubectl against one cluster: `make test-kubectl`; `make test` asks with the newest only."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.cluster.lab import Lab, eventually, kept_up
from tests.kubectl import binaries, steps
from tests.kubectl.steps import Step
from tests.patience import PATIENCE

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


@pytest.mark.cluster
@pytest.mark.parametrize(("name", "kubectl"), _kubectls().items(), ids=_kubectls())
def test_everything_that_is_typed_is_answered_as_upstream_does(
    name: str, kubectl: Path, lab: Lab, kubeconfig: Path, tmp_path: Path
) -> None:
    minor = binaries.minor_of(kubectl)
    namespace = f"kubectl-{name.replace('.', '-')}"
    environment = os.environ | {"KUBECONFIG": str(kubeconfig), "HOME": str(tmp_path)}
    if minor == 22:
        # With them, it waits for ever for a watch of its own (kubernetes/kubectl#1098). 1.21 sends them only
        # if it finds the variable at all.
        environment["KUBECTL_COMMAND_HEADERS"] = "false"

    def run(step: Step) -> tuple[int, str]:
        line = step.line.replace("{tmp}", str(tmp_path))
        line = line.replace("{overrides}", shlex.quote(steps.OVERRIDES))
        line = line.replace("{scale}", shlex.quote('{"spec":{"replicas":1}}'))
        command = [str(kubectl), "-n", namespace, *shlex.split(line)]
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

    kustomized = tmp_path / "kustomized"
    kustomized.mkdir()
    (kustomized / "kustomization.yaml").write_text("nameSuffix: -suffixed\nresources: [it.yaml]\n")
    (kustomized / "it.yaml").write_text(steps.CONFIG)
    assert run(Step(f"create namespace {namespace}"))[0] == 0
    lab.kubectl("wait", "--for=create", "serviceaccount/default", "-n", namespace, "--timeout=60s")

    def is_right(step: Step) -> bool:
        code, output = run(step)
        return code == step.code and step.says in output

    wrong = []
    for step in (*steps.WRITING, *steps.READING, *steps.PODS, *steps.NODES, *steps.ENDING):
        if step.since <= minor <= step.until:
            if step.again:
                eventually(partial(is_right, step), True)
            code, output = run(step)
            if code != step.code or step.says not in output:
                wrong.append(f"kubectl {step.line}: {code}, {output}")
    run(Step(f"delete namespace {namespace}"))
    assert not wrong, "\n".join(wrong)
