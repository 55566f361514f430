from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from wellhead.client.connection import load
from wellhead.lab import kubeconfigs
from wellhead.lab.cluster import Cluster, ClusterSpec
from wellhead.lab.design import design

SPEC = ClusterSpec(name="test", nodes=1, proxy_mode="iptables", api_port=6444)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    cluster = Cluster("test", tmp_path_factory.mktemp("state"))
    design(cluster, SPEC).write_files()
    return cluster


@pytest.mark.parametrize(
    ("identity", "server"),
    [
        ("admin", "https://127.0.0.1:6444"),
        ("admin-client", "https://192.0.2.2:6443"),
        ("admin-machine", "https://10.240.0.2:6443"),
        ("scheduler", "https://10.240.0.2:6443"),
        ("node-1", "https://10.240.0.2:6443"),
    ],
)
def test_each_place_has_the_address_that_works_there(cluster: Cluster, identity: str, server: str) -> None:
    connection = load(str(cluster.kubeconfig(identity)))
    assert connection.server == server
    assert connection.ssl_context is not None


def test_every_component_has_the_kubeconfig_that_its_command_line_names(cluster: Cluster) -> None:
    for component in design(cluster, SPEC).components:
        argv = component.argv
        for flag, value in itertools.pairwise(argv):
            if flag.endswith(("-file", "-key", "-certificate", "kubeconfig")):
                assert Path(value).is_file(), (component.name, flag)


def test_a_new_port_reaches_the_hosts_kubeconfig(cluster: Cluster) -> None:
    moved = ClusterSpec(name="test", nodes=1, proxy_mode="iptables", api_port=7000)
    kubeconfigs.write_all(cluster, moved)
    assert load(str(cluster.kubeconfig("admin"))).server == "https://127.0.0.1:7000"
    kubeconfigs.write_all(cluster, SPEC)


def test_the_client_is_outside_and_everybody_else_inside(cluster: Cluster) -> None:
    assert kubeconfigs.for_machine(cluster, "client").name == "admin-client"
    assert kubeconfigs.for_machine(cluster, "node-1").name == "admin-machine"


def test_files_of_a_removed_node_are_deleted(tmp_path: Path) -> None:
    cluster = Cluster("test", tmp_path)
    one = design(cluster, SPEC)
    one.write_files()
    one.delete_files_of("node-1")
    assert not list(tmp_path.rglob("*node-1*"))
