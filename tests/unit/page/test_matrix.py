"""The matrix of a cluster's own Services."""

from __future__ import annotations

from tests.unit.page import objects
from tests.unit.page.test_scene import entry
from wellhead.page.asking import answer
from wellhead.page.matrix import COLUMNS, MOST_SERVICES, matrix
from wellhead.page.values import Matrix
from wellhead.paths.world import World

CLIENT = "198.51.100.79"


def world() -> World:
    web = objects.pod("web-0", 1, 2, app="web")
    found = [
        *(objects.node(number) for number in (1, 2)),
        web,
        objects.pod("here", 1, 3),
        objects.pod("there", 2, 2),
        objects.service("web", 1, kind="LoadBalancer", policy="Local", vip="203.0.113.1"),
        objects.endpoint_slice("web", [web]),
        objects.service("dns", 2, namespace="kube-system"),
    ]
    return World([entry(each) for each in found], is_cluster=True)


def words(found: Matrix) -> dict[str, list[str | None]]:
    return {
        f"{row.frontend} {row.where}".strip(): [cell.seen if cell is not None else None for cell in row.cells]
        for row in found.rows
    }


def test_every_client_dials_every_address() -> None:
    found = matrix(world(), CLIENT)
    assert found.columns == COLUMNS
    assert words(found) == {
        "LoadBalancerIP": ["client", "client", "client", "node-1", "node-1", "node-2"],
        "NodePort server's node": ["client", "client", "client", "node-1", "node-1", "client"],
        "NodePort other node": ["dropped", "dropped", "client", "dropped", "dropped", "node-2"],
        "ClusterIP": [None, "client", "client", "node-1", "node-1", "node-2"],
    }
    assert {row.policy for row in found.rows} == {"Local", "Cluster"}


def test_a_cell_has_the_question_that_opens_its_way() -> None:
    of = world()
    for row in matrix(of, CLIENT).rows:
        for cell in row.cells:
            if cell is not None:
                [way, *_] = answer(of, cell.ask).report.ways
                assert way.client.rpartition("/")[2] == cell.client.rpartition("/")[2]
                assert tuple(dict.fromkeys(str(each.disposition) for each in way.outcomes)) == (
                    cell.dispositions
                )


def test_clients_outside_dial_external_addresses_of_nodes() -> None:
    rows = {f"{row.frontend} {row.where}": row for row in matrix(world(), CLIENT).rows}
    cell = rows["NodePort server's node"].cells[0]
    assert cell is not None
    assert cell.ask.target == "192.0.2.11:30001"


def test_a_large_cluster_shows_its_first_services_and_names_the_others() -> None:
    found = matrix(
        World(
            [entry(each) for each in objects.large(nodes=3, services=MOST_SERVICES + 5, each=1)],
            is_cluster=True,
        )
    )
    assert len({row.service for row in found.rows}) == MOST_SERVICES
    assert len(found.left_out) == 5


def test_a_cluster_without_services_has_an_empty_one() -> None:
    assert matrix(World([])).rows == ()
