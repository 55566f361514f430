"""The tutorial's drawings, made of a packet: one request is sent and followed, and its way drawn."""

from __future__ import annotations

from wellhead.lab.cluster import Cluster, LabError
from wellhead.paths.rendering.drawing import draw
from wellhead.paths.way import Report, Way
from wellhead.trace.here import watch_cluster
from wellhead.trace.observer import CannotWatch
from wellhead.trace.session import Session
from wellhead.trace.target import Unclear, Wanted
from wellhead.tutorial.steps import Drawn


def drawing(cluster: str, drawn: Drawn) -> str:
    """The way of one packet as it was, in lines of text. Blocks for about a second.

    Where it can't be followed, the text says why: a drawing is no step that could go wrong.
    """
    try:
        with watch_cluster(Cluster(cluster)) as session:
            way = session.send("client", Wanted(f"svc/{drawn.service}", via=_node(session, drawn))).way
    except (LabError, CannotWatch, Unclear) as error:
        return f"(no drawing: {error})"
    return draw(Report(target=drawn.service, ways=(way,))) + _legend(way)


def _node(session: Session, drawn: Drawn) -> str:
    if not drawn.at:
        return ""
    labelled = (pod for pod in session.objects.pods if "source-ip-app" in pod["metadata"]["name"])
    holding = {pod["spec"]["nodeName"] for pod in labelled if pod["spec"].get("nodeName")}
    names = [str(node["metadata"]["name"]) for node in session.objects.nodes]
    wanted = [name for name in names if (name in holding) == (drawn.at == "with")]
    return (wanted or names)[0]


def _legend(way: Way) -> str:
    source = way.outcomes[0].source
    return f"\n\nThe server saw {source}." if source else "\n\nNobody saw it."
