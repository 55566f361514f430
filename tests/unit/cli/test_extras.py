"""Where only wellhead's own few dependencies are: what works, and what says what to install."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
_EXTRAS = {
    name for each in ("components", "cluster", "kubectl") for name in _PROJECT["optional-dependencies"][each]
}
_MODULES = sorted(
    module for module, names in packages_distributions().items() if {each.lower() for each in names} & _EXTRAS
)
_RUN = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {_MODULES!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from wellhead.cli.main import main
main(prog_name="wellhead")
"""


def run(*arguments: str) -> str:
    command = [sys.executable, "-c", _RUN, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_every_package_of_the_extras_is_hidden_here() -> None:
    assert {"uvloop", "pyroute2", "cryptography", "kubernetes_validate", "grpc"} <= set(_MODULES)


def test_explain_works_without_any_extra() -> None:
    objects = """{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec":
        {"type": "NodePort", "clusterIP": "10.0.0.9", "ports": [{"port": 80, "nodePort": 30080}]}}"""
    command = [sys.executable, "-c", _RUN, "explain", "svc/web", "-f", "-"]
    done = subprocess.run(command, input=objects, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_a_cluster_is_asked_without_any_extra(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text("""{"apiVersion": "v1", "kind": "Config", "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "users": [{"name": "x", "user": {}}],
        "clusters": [{"name": "x", "cluster": {"server": "http://127.0.0.1:9"}}]}""")
    assert "can't be reached" in run("explain", "svc/web", "--kubeconfig", str(kubeconfig))


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [(("proxy", "--help"), "components"), (("up",), "cluster"), (("apiserver",), "cluster")],
)
def test_what_needs_more_says_what_to_install(arguments: tuple[str, ...], extra: str) -> None:
    said = run(*arguments)
    assert said.startswith(f"Error: `wellhead {arguments[0]}` needs the extra “{extra}” (")
    # From where this one was installed: an index may have something else by that name.
    assert f"pip install '{_ROOT}[{extra}]'" in said
    assert said.count("\n") == 1


def test_the_proxy_loads_neither_the_api_servers_rules_nor_pyroute2() -> None:
    """They would be a third of its memory without a Service, and a third of its start."""
    text = (
        "import sys; import wellhead.cli.proxy, wellhead.proxy.main\n"
        "print([name for name in sys.modules if name in ('pyroute2', 'wellhead.api.kinds')])"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_commands_are_completed_without_loading_any() -> None:
    text = (
        "import sys; from wellhead.cli.main import main; from click.shell_completion import ShellComplete\n"
        "found = ShellComplete(main, {}, 'wellhead', '_X').get_completions([], 'apis')\n"
        "print([each.value for each in found], [name for name in sys.modules if 'apiserver' in name])"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['apiserver'] []"


def test_a_full_disk_is_said_in_a_line() -> None:
    command = [sys.executable, "-m", "wellhead.cli.main", "completion", "bash"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        1,
        "Error: the output can't be written: No space left on device",
    )
    assert "Traceback" not in done.stderr
