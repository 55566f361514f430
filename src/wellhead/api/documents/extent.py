"""Refusing what is nested deeply, or is very many parts, before a reader that takes it as it comes begins."""

from __future__ import annotations

import yaml

_DEEPEST = 32
_MOST = 50_000
"""Words, lists and maps. For files that people write for us: a thousand clusters' kubeconfig has 40,000."""


def check_extent(text: str) -> None:
    """See that a YAML text is nested no deeper than 32, and has no more than 50,000 parts.

    Raises:
        yaml.YAMLError: it is not so, or it is no YAML.
    """
    depth = parts = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
            continue
        parts += 1
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        if depth > _DEEPEST:
            raise yaml.YAMLError(f"nested deeper than {_DEEPEST}")
        if parts > _MOST:
            raise yaml.YAMLError(f"more than {_MOST} parts")
