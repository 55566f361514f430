"""Every cell is tried once or says why not, and a table shows them all."""

from __future__ import annotations

import pytest

from wellhead.ip import Family
from wellhead.matrix import rendering
from wellhead.matrix.cells import Cell, Dialled, Node, Parts, Place, Policy, Where, cells, untried
from wellhead.matrix.objects import services
from wellhead.matrix.result import Matrix, Row, Verdict

NODE = Node("node-1", {Family.IPV4: "10.240.0.11"}, {Family.IPV4: "192.0.2.11"})
OTHER = Node("node-2", {Family.IPV4: "10.240.0.12"}, {Family.IPV4: "192.0.2.12"})
PLACE = Place("shop", NODE, OTHER)
V4 = (Family.IPV4,)


def test_cells_are_distinct_and_each_has_its_service() -> None:
    every = list(cells((Family.IPV4, Family.IPV6)))
    assert len(set(every)) == len(every) == 192
    made = {each["metadata"]["name"] for each in services(PLACE, V4, Parts())}
    assert {cell.service() for cell in every} - {""} == made


@pytest.mark.parametrize("parts", [Parts(), Parts(proxy=False), Parts(cloud=False), Parts(False, False)])
def test_what_is_tried_has_its_service_and_what_is_not_has_a_reason(parts: Parts) -> None:
    made = {each["metadata"]["name"] for each in services(PLACE, V4, parts)} | {""}
    for cell in cells(V4):
        assert untried(cell, PLACE, parts) or cell.service() in made


def test_on_one_node_nothing_is_asked_of_another() -> None:
    alone = Place("shop", NODE, NODE)
    tried = [cell for cell in cells(V4) if not untried(cell, alone, Parts())]
    assert tried
    assert not [cell for cell in tried if cell.where in (Where.REMOTE, Where.OTHER_NODE)]


def test_an_external_ip_is_dialled_from_outside_by_the_address_that_leads_to_it() -> None:
    outside = Cell(Where.OUTSIDE, Dialled.EXTERNAL_IP, Policy.LOCAL, Family.IPV4)
    inside = Cell(Where.REMOTE, Dialled.EXTERNAL_IP, Policy.CLUSTER, Family.IPV4)
    assert outside.wanted(PLACE).to == "192.0.2.11:80"
    assert inside.wanted(PLACE).to == "10.240.0.12:80"


def row(client: str, policy: str, verdict: Verdict, seen: str = "", said: str = "") -> Row:
    return Row(
        family="IPv4",
        dialled="ClusterIP",
        policy=policy,
        client=client,
        verdict=verdict,
        seen=seen,
        said=said,
    )


MATRIX = Matrix(
    cluster="<b>x</b>",
    proxy="wellhead's proxy",
    rows=(
        row("pod", "Cluster", Verdict.AGREED, "client"),
        row("pod", "Local", Verdict.DIFFERS, "node-1", "predicted: client; seen: <node-1>"),
        row("outside", "Cluster", Verdict.UNTRIED, said="no way there"),
        row("outside", "Local", Verdict.UNTRIED, said="no way there"),
    ),
)


def test_text_fits_a_terminal_and_says_what_differs_and_what_was_not_tried() -> None:
    lines = list(rendering.text(MATRIX))
    assert "  pod      ✓ client          ✗ node-1" in lines
    assert "· not tried, 2 cells: no way there" in lines
    assert any(line.startswith("✗ ClusterIP, IPv4, Local, from pod: predicted: client") for line in lines)
    assert lines[-1].startswith("4 cells: 1 agreed, 1 differs, 2 untried, 0 unknown.")


def test_markdown_is_a_table() -> None:
    lines = list(rendering.markdown(MATRIX))
    assert "| client | Cluster | Local |" in lines
    assert "| pod | ✓ client | ✗ node-1 |" in lines


def test_html_holds_names_as_text() -> None:
    page = "\n".join(rendering.html(MATRIX))
    assert "<b>x" not in page
    assert "<node-1>" not in page
    assert 'class="differs"' in page
