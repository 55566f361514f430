"""How long a pod may stay on a node with NoExecute taints."""

from __future__ import annotations

from collections.abc import Iterable

from wellhead.api.placement import tolerates
from wellhead.api.types.node import Taint
from wellhead.api.types.pod import Toleration


def seconds_tolerated(taints: Iterable[Taint], tolerations: Iterable[Toleration]) -> float | None:
    """The seconds that a pod may stay: 0 if a taint isn't tolerated, None if all are for good."""
    tolerations = list(tolerations)
    limits: list[float] = []
    for taint in taints:
        matching = [each for each in tolerations if tolerates(each, taint)]
        if not matching:
            return 0.0
        # As upstream: the shortest of the tolerations that are used, for good only without any limit.
        limits += [
            max(0.0, float(each["tolerationSeconds"]))
            for each in matching
            if each.get("tolerationSeconds") is not None
        ]
    return min(limits, default=None)
