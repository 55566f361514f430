"""Clusters for Python programs, without any: what they are called, what errors say, what is loaded."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import wellhead
from tests.patience import until
from wellhead.clusters import will
from wellhead.clusters.cluster import Cluster
from wellhead.clusters.namespace import Namespace


def test_clusters_without_a_name_have_different_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WELLHEAD_NAME", raising=False)
    assert Cluster().name != Cluster().name


def test_in_the_surroundings_of_a_cluster_it_is_that_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WELLHEAD_NAME", "around")
    assert (Cluster(nodes=5).name, Cluster("mine").name) == ("around", "mine")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"proxy_mode": "ipvs"}, "proxy_mode='ipvs': it can be 'iptables', 'nftables'"),
        ({"control_planes": 2}, "it can be 1, 3, 5"),
        ({"nodes": "3"}, "nodes='3'"),
        ({"ip_family": "ipv5"}, "'dual'"),
        ({"storage": "mysql"}, "'etcd'"),
        ({"existing": True}, "WELLHEAD_NAME"),
    ],
)
def test_what_there_isnt_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any], said: str
) -> None:
    monkeypatch.delenv("WELLHEAD_NAME", raising=False)
    with pytest.raises(ValueError, match=re.escape(said)):
        Cluster(**wrong)


def test_a_cluster_that_is_not_up_says_so() -> None:
    cluster = Cluster("nowhere")
    for use in (lambda: cluster.kubectl("get", "nodes"), lambda: cluster.client, lambda: cluster.nodes):
        with pytest.raises(wellhead.LabError, match="there is no cluster nowhere"):
            use()


def test_a_name_of_a_file_is_no_manifest() -> None:
    with pytest.raises(ValueError, match="Path"):
        Cluster("nowhere").apply("shop.yaml")


@pytest.mark.parametrize(
    ("prefix", "beginning"),
    [
        ("test_it[a-1]", "test-it-a-1-"),
        ("Überfall", "berfall-"),
        ("___", "test-"),
        ("x" * 90, "x" * 40 + "-"),
    ],
)
def test_a_namespaces_name_is_one_whatever_it_is_made_from(prefix: str, beginning: str) -> None:
    names = {Namespace(Cluster("a"), prefix).name for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith(beginning) and len(name) <= 63 for name in names)


def test_a_failed_command_says_what_it_printed() -> None:
    error = wellhead.CommandFailed(3, ["kubectl", "get", "a b"], "out\n", "why\n")
    assert str(error) == "kubectl get 'a b': exit code 3\nout\nwhy"


def test_no_answer_is_a_failed_assertion() -> None:
    assert issubclass(wellhead.NoAnswer, AssertionError)


def test_nothing_of_a_cluster_is_loaded_before_one_is_asked_for() -> None:
    text = "import sys, wellhead, wellhead.pytest_plugin; print([x for x in sys.modules if 'wellhead.' in x])"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['wellhead.pytest_plugin']"


def test_the_module_tells_what_it_has() -> None:
    assert {"Cluster", "Host", "Namespace", "LabError"} <= set(dir(wellhead))
    with pytest.raises(AttributeError, match="no attribute 'Clustre'"):
        getattr(wellhead, "Clustre")  # noqa: B009 - a wrong name


@pytest.mark.parametrize(("revoked", "executed"), [(True, False), (False, True)])
def test_a_will_is_executed_when_its_maker_is_gone(
    revoked: bool, executed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = will._SCRIPT.replace('exec "$@"', f'touch "{tmp_path}/executed"')
    monkeypatch.setattr(will, "_SCRIPT", script)
    made = will.Will("nobody")
    if revoked:
        made.revoke()
    else:
        assert made._process.stdin is not None
        made._process.stdin.close()
        made._process.wait()
    until((tmp_path / "executed").exists, lambda done: done == executed)
