"""ControllerRevisions: the templates that a DaemonSet or StatefulSet had, by number.

Source: upstream's pkg/controller/daemon/update.go and pkg/controller/history. `kubectl rollout history` and
`undo` read them: each holds a strategic merge patch that brings its template back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from wellhead.api.meta import Obj, owner_reference
from wellhead.api.meta import annotations as annotations_of
from wellhead.controllers.template import same_template, template_hash

POD_LABEL = "controller-revision-hash"
"""The label of a pod that says of which revision it was made."""

_LONGEST_PREFIX = 223


@dataclass(frozen=True)
class Revisions:
    """The revisions of one workload: those of its template as it is (the latest first), and the others."""

    current: tuple[Obj, ...]
    old: tuple[Obj, ...]
    """By number, the oldest first."""

    @property
    def next_number(self) -> int:
        """What the current one must be numbered at least."""
        return max((number(each) for each in self.old), default=0) + 1


def split(owner: Obj, revisions: Iterable[Obj]) -> Revisions:
    template = owner["spec"]["template"]
    by_number = sorted(revisions, key=lambda each: (number(each), _age(each)))
    current = [each for each in by_number if same_template(template_of(each), template)]
    old = [each for each in by_number if not any(each is one for one in current)]
    return Revisions(tuple(reversed(current)), tuple(old))


def number(revision: Obj) -> int:
    return int(revision.get("revision") or 0)


def template_of(revision: Obj) -> Obj:
    """The template that the revision brings back."""
    held = (revision.get("data") or {}).get("spec") or {}
    return {name: value for name, value in (held.get("template") or {}).items() if name != "$patch"}


def new_revision(owner: Obj, number: int, hash_label: str) -> Obj:
    """The owner's template as a revision; `hash_label` is the label that holds the hash of its name."""
    metadata, template = owner["metadata"], owner["spec"]["template"]
    digest = template_hash(template, (owner.get("status") or {}).get("collisionCount", 0))
    labels = (template.get("metadata") or {}).get("labels") or {}
    revision: Obj = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"{metadata['name'][:_LONGEST_PREFIX]}-{digest}",
            "namespace": metadata["namespace"],
            "labels": {**labels, hash_label: digest},
            "ownerReferences": [owner_reference(owner)],
        },
        "data": _sorted({"spec": {"template": {**template, "$patch": "replace"}}}),
        "revision": number,
    }
    if annotations_of(owner):
        revision["metadata"]["annotations"] = annotations_of(owner)
    return revision


def _sorted(data: Obj) -> Obj:
    """With names in the order in which Go writes a map's: there are clients that compare the bytes."""
    made: Obj = msgspec.json.decode(msgspec.json.encode(data, order="sorted"))
    return made


def surplus(history: Sequence[Obj], live: Iterable[Obj], limit: int, excess: int) -> list[Obj]:
    """The `excess` oldest that aren't live; none with a negative limit, which keeps all."""
    if limit < 0 or excess <= 0:
        return []
    names = {each["metadata"]["name"] for each in live}
    return [each for each in history if each["metadata"]["name"] not in names][:excess]


def _age(obj: Obj) -> tuple[str, str]:
    return obj["metadata"].get("creationTimestamp") or "", obj["metadata"]["name"]
