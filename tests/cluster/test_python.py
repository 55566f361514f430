"""Clusters of Python programs, the pytest plugin, and the examples."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.lab import Lab, eventually
from tests.patience import PATIENCE
from wellhead.lab.cluster import STATE_ROOT

pytest_plugins = ["pytester"]

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAMS = sorted(file.name for file in EXAMPLES.glob("*.py") if not file.name.startswith("test_"))
# Where the project was set up before there was a plugin, pytest doesn't find it by itself.
FOUND = any(each.name == "wellhead" for each in importlib.metadata.entry_points(group="pytest11"))
PLUGIN = ("-p", "no:schemathesis", *(() if FOUND else ("-p", "wellhead.pytest_plugin")))  # it costs a second


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_example_does_what_it_says(program: str, lab: Lab) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / program)],
        env=os.environ | {"WELLHEAD_NAME": lab.name},
        capture_output=True,
        text=True,
        timeout=6 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout


def test_every_example_is_named_where_people_look() -> None:
    text = (EXAMPLES / "README.md").read_text()
    assert [name for name in (*PROGRAMS, "test_shop.py") if f"({name})" not in text] == []
    assert len(PROGRAMS) == 10


def test_the_tests_of_the_examples_pass(lab: Lab) -> None:
    command = [sys.executable, "-m", "pytest", *PLUGIN, "-q", "-p", "no:cacheprovider", "-c", os.devnull]
    done = subprocess.run(
        [*command, "--wellhead-cluster", lab.name, str(EXAMPLES / "test_shop.py")],
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        timeout=6 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


_FAILING = """
import wellhead

def test_alone(wellhead_namespace):
    wellhead_namespace.kubectl("create", "configmap", "mine")

def test_beside(wellhead_namespace, wellhead_cluster):
    assert "mine" not in str(wellhead_namespace.get("configmaps"))
    assert wellhead_cluster.name == {name!r}
    script = "echo I-have-said; sleep 9999"
    wellhead_namespace.kubectl("run", "talker", "--image=busybox", "--", "sh", "-c", script)
    wellhead_namespace.ready("talker")
    wellhead_cluster.client.curl("http://192.0.2.11:9/", seconds=2)
"""


def test_a_failed_tests_report_shows_what_its_namespace_says(pytester: pytest.Pytester, lab: Lab) -> None:
    pytester.makepyfile(_FAILING.format(name=lab.name))
    result = pytester.runpytest_subprocess(*PLUGIN, "--wellhead-cluster", lab.name, "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*NoAnswer: *192.0.2.11:9*",
            "*wellhead: pods*",
            "*talker*1/1*Running*",
            "*wellhead: events*",
            "*Started container talker*",
            "*wellhead: logs*",
            "*I-have-said*",
            "*wellhead: trace of the last request*",
            "*192.0.2.11:9*",
        ]
    )
    namespaces = lab.get("namespaces")["items"]
    left = [each["metadata"]["name"] for each in namespaces if each["status"]["phase"] == "Active"]
    assert not [each for each in left if each.startswith(("test-alone", "test-beside"))]


_ANYWHERE = """
import pytest

@pytest.mark.parametrize("number", [1, 2])
def test_one(number, wellhead_cluster, worker_id):
    print(f"in {worker_id}: {wellhead_cluster.name}")
    assert [each.name for each in wellhead_cluster.nodes] == ["node-1"]
"""


def test_processes_of_xdist_share_a_cluster_that_is_gone_at_the_end(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(_ANYWHERE)
    pytester.makeini("[pytest]\nwellhead_nodes = 1\nwellhead_ip_family = ipv4\n")
    result = pytester.runpytest_subprocess(*PLUGIN, "-n", "2", "-rP", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=2)
    names = {line.partition(": ")[2] for line in result.outlines if line.startswith("in gw")}
    assert len(names) == 1
    assert not (STATE_ROOT / names.pop()).exists()


def test_what_is_wrong_with_the_options_is_said(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(wellhead_cluster): pass")
    result = pytester.runpytest_subprocess(*PLUGIN, "--wellhead-cluster", "no-such-cluster")
    result.stdout.fnmatch_lines(["*there is no cluster no-such-cluster*"])


_PROGRAM = """
import sys, wellhead
with wellhead.Cluster(nodes=1, ip_family="ipv4") as cluster:
    print(cluster.name, flush=True)
    {then}
"""


def test_a_cluster_goes_with_its_program_whatever_that_dies_of() -> None:
    names = []
    for then in ("raise RuntimeError", "sys.stdin.read()"):
        program = [sys.executable, "-c", _PROGRAM.format(then=then)]
        environment = {name: value for name, value in os.environ.items() if name != "WELLHEAD_NAME"}
        with subprocess.Popen(
            program,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        ) as process:
            assert process.stdout is not None
            names.append(process.stdout.readline().strip())
            if then != "raise RuntimeError":
                process.send_signal(signal.SIGKILL)
            _, said = process.communicate()
            if then == "raise RuntimeError":
                assert "RuntimeError" in said
                assert not (STATE_ROOT / names[0]).exists()
    assert all(names)
    eventually((STATE_ROOT / names[1]).exists, False)
