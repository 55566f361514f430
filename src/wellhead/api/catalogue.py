"""The built-in kinds that have no file of their own: a row each is all that is needed to serve them.

From api/discovery of the Kubernetes sources; what a kind's strategy.go says of generations, of updates that
create and of deletions that return the object is in the row too. A kind that gets rules or columns moves to a
file in `kinds/`, and its row goes.
"""

from __future__ import annotations

from collections.abc import Iterator

from wellhead.api.kind import Kind
from wellhead.api.resource import Resource
from wellhead.api.strategy import Strategy

GROUPS = (
    "",
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "resource.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "storagemigration.k8s.io",
    "metrics.k8s.io",
)
"""In the order of discovery, which is that of preference: kubectl takes the first group that has a name."""

# A header names the group's version. A row: kind, plural, n(amespaced) or c(luster), then what it has:
#   short=A,B  in=CATEGORY  sub=SUBRESOURCE,…  fields=LABEL,…
#   gen(erations)  upsert (created by an update)  returned (when deleted)
_ROWS = """
"""


class PlainStrategy(Strategy):
    """Of a kind without rules of its own: what its row says."""

    def __init__(self, words: frozenset[str]) -> None:
        self.counts_generations = "gen" in words
        self.created_by_update = "upsert" in words
        self.returned_when_deleted = "returned" in words


def _kinds() -> Iterator[Kind]:
    group = version = ""
    for line in filter(None, _ROWS.splitlines()):
        kind, *rest = line.split()
        if not rest:
            group, _, version = kind.rpartition("/")
            continue
        plural, scope, *words = rest
        named = dict(word.split("=") for word in words if "=" in word)
        resource = Resource(
            group,
            version,
            kind,
            plural,
            namespaced=scope == "n",
            short_names=_list(named, "short"),
            categories=_list(named, "in"),
            subresources=frozenset(_list(named, "sub")),
            field_labels=_list(named, "fields"),
        )
        yield Kind(resource, PlainStrategy(frozenset(words)))


def _list(named: dict[str, str], name: str) -> tuple[str, ...]:
    return tuple(named[name].split(",")) if name in named else ()


KINDS = tuple(_kinds())
