"""What `wellhead explain` says of a request that was traced."""

from __future__ import annotations

from wellhead.ip import bracketed
from wellhead.lab import topology
from wellhead.paths.client import UnknownClient
from wellhead.paths.explain import Explanation, Question
from wellhead.paths.targets import UnknownTarget
from wellhead.paths.way import Way
from wellhead.paths.world import World
from wellhead.trace.compare import matching


def predict(world: World, observed: Way) -> Way | None:
    """The way that is predicted from the cluster's objects; None where they know no such address."""
    client = observed.client
    if client == topology.CLIENT or "/" not in client:
        client = observed.client_address or client
    host = bracketed(observed.address)
    try:
        explanation = Explanation(world, Question(f"{host}:{observed.port}", from_=(client,)))
    except (UnknownTarget, UnknownClient):
        return None
    return matching(explanation.ways(), observed)
