"""How checks speak of what they found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from wellhead.api.meta import Obj


class Finding(NamedTuple):
    """What is forbidden of a pod: in a word, and in detail."""

    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


Check = Callable[[Obj, Obj], Finding | None]
"""Looks at a pod's metadata and spec."""
Versioned = Mapping[str, Sequence[tuple[int, Check]]]
"""Checks by their names, each as it is since some minor versions."""


def containers(spec: Obj) -> Iterator[Obj]:
    """All of a pod's, in upstream's order."""
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(field) or ()


def context(holder: Obj) -> Obj:
    """The security context of a pod or a container."""
    found: Obj = holder.get("securityContext") or {}
    return found


def quoted(items: Iterable[str]) -> str:
    return ", ".join(f'"{item}"' for item in items)


def plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def those(noun: str, names: Sequence[str]) -> str:
    """`container "a"`, `containers "a", "b"`."""
    return f"{plural(noun, len(names))} {quoted(names)}"


def setters(pod_too: bool, names: Sequence[str]) -> str:
    """`pod and container "a"`: who has set something."""
    return " and ".join([*(["pod"] if pod_too else []), *([those("container", names)] if names else [])])
