"""Drawings in the manner of “Using Source IP”."""

from __future__ import annotations

from collections.abc import Sequence

from wellhead.paths.codes import Code
from wellhead.paths.rendering.words import group
from wellhead.paths.way import Disposition, Outcome, Report, SeenAs, Way, What


class Canvas:
    """Lines of text that can be written on anywhere."""

    def __init__(self) -> None:
        self._lines: list[list[str]] = []

    def put(self, x: int, y: int, text: str) -> None:
        """Write `text` at column x of line y."""
        while len(self._lines) <= y:
            self._lines.append([])
        line = self._lines[y]
        line += [" "] * (x + len(text) - len(line))
        line[x : x + len(text)] = text

    def centre(self, x: int, y: int, text: str) -> None:
        """Write `text` around column x."""
        self.put(max(x - len(text) // 2, 0), y, text)

    def __str__(self) -> str:
        return "\n".join("".join(each).rstrip() for each in self._lines)


def draw(report: Report) -> str:
    """The ways that were asked for (the first, and those to its like), as one picture; empty if there is
    none."""
    asked = group(report.ways)
    if not asked:
        return ""
    outcomes = [each for way in asked for each in way.outcomes]
    delivered = [each for each in outcomes if each.disposition is Disposition.DELIVERED]
    if not delivered:
        return _stopped(asked[0], outcomes[0]) if outcomes else ""
    best = max(delivered, key=lambda each: (_crosses(each), each.share))
    way = next(each for each in asked if best in each.outcomes)
    if any(step.code in (Code.PROXY_IN_BETWEEN, Code.SVCLB) for step in best.steps):
        return _chain(way, best)
    if any(step.code is Code.BALANCER_TO_ENDPOINT for step in best.steps):
        return _chain(way, best)
    dropping = _nodes_that_drop(report, way)
    if way.client == "outside" or "." in way.client or ":" in way.client:
        if way.frontend in ("LoadBalancerIP", "Hostname") and dropping and best.seen_as is SeenAs.CLIENT:
            return _health_checks(way, best, dropping)
        if dropping and way.frontend == "NodePort":
            return _local(way, best, dropping)
    if _crosses(best):
        return _two_nodes(way, best)
    return _one_node(way, best)


def _crosses(outcome: Outcome) -> bool:
    """Whether the node that handles it isn't the endpoint's."""
    here = _ingress(outcome)
    return bool(here and outcome.endpoint_node and here != outcome.endpoint_node)


def _ingress(outcome: Outcome) -> str:
    """The node whose service proxy chose the endpoint."""
    for each in outcome.steps:
        if each.what is What.DNAT and each.node:
            return each.node
    return outcome.enters


def _nodes_that_drop(report: Report, way: Way) -> list[str]:
    """Nodes whose node port drops what this client sends."""
    found = []
    for each in report.ways:
        same = each.client == way.client and each.frontend == "NodePort" and each.family == way.family
        if same and all(outcome.disposition is Disposition.DROPPED for outcome in each.outcomes):
            found += [outcome.enters or each.address for outcome in each.outcomes]
    return list(dict.fromkeys(found))


def _snat(outcome: Outcome) -> bool:
    return any(each.what in (What.SNAT, What.TERMINATE) for each in outcome.steps)


def _endpoint(outcome: Outcome) -> str:
    return outcome.endpoint_pod.rpartition("/")[2] or outcome.endpoint or "endpoint"


def _client(way: Way) -> str:
    if way.client == "outside":
        return "client"
    return (
        f"client {way.client}"
        if way.client_address is None or way.client_address == way.client
        else f"{way.client} {way.client_address}"
    )


def _top(canvas: Canvas, way: Way, x: int) -> int:
    """The client, and the balancer if there is one; the next free line."""
    canvas.centre(x, 0, _client(way))
    if way.frontend not in ("LoadBalancerIP", "Hostname"):
        return 1
    canvas.put(x, 1, "|")
    canvas.centre(x, 2, "lb VIP")
    return 3


def _two_nodes(way: Way, outcome: Outcome) -> str:
    """The picture of policy Cluster: in by one node, the endpoint on another."""
    here, there, canvas = _ingress(outcome), outcome.endpoint_node, Canvas()
    left = max(len(there), len(_endpoint(outcome))) // 2 + 1
    arrow = " <--- "
    right = left + len(there) // 2 + len(arrow) + len(here) // 2 + 1
    if way.client_node == here and way.client.startswith(("pod", "node")):
        y = _top(canvas, way, right)
        canvas.put(right - 1, y, "| ^")
        canvas.put(right - 1, y + 1, "v |")
        y += 2
    else:
        top = max(right - 4, 0)
        y = _top(canvas, way, top)
        canvas.put(top + 1, y, "\\ ^")
        canvas.put(top + 2, y + 1, "\\ \\")
        canvas.put(top + 3, y + 2, "v \\")
        y += 3
    start = left - len(there) // 2
    canvas.put(start, y, f"{there}{arrow}{here}")
    canvas.put(left - 1, y + 1, "| ^")
    canvas.put(left - 1, y + 2, "| |")
    canvas.put(left - 1, y + 3, "v |")
    if _snat(outcome):
        canvas.put(start + len(there) + 1, y + 1, "SNAT")
        canvas.put(start + len(there) + 1, y + 2, "--->")
    canvas.centre(left, y + 4, _endpoint(outcome))
    return str(canvas)


def _one_node(way: Way, outcome: Outcome) -> str:
    """In by the endpoint's own node, or straight to the endpoint."""
    canvas = Canvas()
    names = [_client(way), _ingress(outcome) or outcome.endpoint_node or "node", _endpoint(outcome)]
    x = max(len(each) for each in names) // 2 + 1
    y = _top(canvas, way, x)
    for name in names[1:]:
        canvas.put(x - 1, y, "| ^")
        canvas.put(x - 1, y + 1, "v |")
        canvas.centre(x, y + 2, name)
        if name == names[1] and _snat(outcome):
            canvas.put(x + len(name) // 2 + 3, y + 2, "SNAT --->")
        y += 3
    return str(canvas)


def _local(way: Way, outcome: Outcome, dropping: Sequence[str]) -> str:
    """The picture of policy Local: a node with an endpoint, and one without."""
    canvas, here = Canvas(), outcome.enters or outcome.endpoint_node
    other = dropping[0] if len(dropping) == 1 else f"{dropping[0]}, {len(dropping) - 1} more"
    left = max(len(here), len(_endpoint(outcome))) // 2 + 1
    middle, right = left + 6, left + 12
    canvas.centre(middle, 0, _client(way))
    canvas.put(middle - 3, 1, "^ / \\")
    canvas.put(middle - 4, 2, "/ /   \\")
    canvas.put(middle - 5, 3, "/ v     X")
    canvas.centre(left, 4, here)
    canvas.put(max(right - len(other) // 2, left + len(here) // 2 + 3), 4, other)
    canvas.put(left - 1, 5, "^ |")
    canvas.put(left - 1, 6, "| |")
    canvas.put(left - 1, 7, "| v")
    canvas.centre(left, 8, _endpoint(outcome))
    return str(canvas)


def _health_checks(way: Way, outcome: Outcome, dropping: Sequence[str]) -> str:
    """The picture of a load balancer under policy Local: health checks take nodes without endpoints out."""
    canvas, here, other = Canvas(), outcome.enters or outcome.endpoint_node, dropping[0]
    check = "health check ---> "
    node = len(check)
    x = node + len(here) // 2
    top = x + 2
    canvas.centre(top, 0, _client(way))
    canvas.put(top, 1, "|")
    canvas.centre(top, 2, "lb VIP")
    canvas.put(top - 2, 3, "/ ^")
    canvas.put(top - 3, 4, "v /")
    canvas.put(0, 5, f"{check}{here}   {other} <--- health check")
    canvas.put(node - 9, 6, "200 <---")
    canvas.put(x - 1, 6, "^ |")
    canvas.put(node + len(here) + 3 + len(other) // 2, 6, "---> 503")
    canvas.put(x - 1, 7, "| v")
    canvas.centre(x, 8, _endpoint(outcome))
    return str(canvas)


def _chain(way: Way, outcome: Outcome) -> str:
    """Everything one below the other, for ways with several connections."""
    from wellhead.paths.rendering.hops import hops

    places, _ = hops(way, outcome)
    lines: list[str] = []
    for index, place in enumerate(places):
        notes = f"   {'; '.join(place.rewrites)}" if place.rewrites else ""
        lines.append(f"  {_client(way) if index == 0 else place.name}{notes}")
        if index < len(places) - 1:
            lines += ["    | ^", "    v |"]
    return "\n".join(lines)


def _stopped(way: Way, outcome: Outcome) -> str:
    """Nobody receives it."""
    seen = next((step.who for step in outcome.steps if step.code is Code.LAST_SEEN), "")
    where = outcome.enters or way.client_node or (seen if seen != way.client else "") or "node"
    what = {Disposition.REFUSED: "refused", Disposition.DROPPED: "X", Disposition.UNREACHABLE: "X"}.get(
        outcome.disposition, "?"
    )
    canvas = Canvas()
    x = max(len(_client(way)), len(where)) // 2 + 1
    y = _top(canvas, way, x)
    canvas.put(x, y, "|")
    canvas.put(x, y + 1, "v")
    canvas.centre(x, y + 2, where)
    canvas.put(x + len(where) // 2 + 2, y + 2, what)
    return str(canvas)
