"""Objects as the tables that `kubectl get` prints: meta.k8s.io Table."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from wellhead.api.errors import BadRequest
from wellhead.api.meta import Obj
from wellhead.api.printer import Printer
from wellhead.api.resource import Resource
from wellhead.api.resources import kind_of
from wellhead.text import printable


def to_table(
    resource: Resource,
    objects: Iterable[Obj],
    *,
    include_object: str = "Metadata",
    now: datetime | None = None,
    printer: Printer | None = None,
) -> Obj:
    """A Table of the objects; `printer` is that of another kind than the resource's.

    A row carries no object (None), its metadata (Metadata) or all of it (Object).
    Raises BadRequest for an `include_object` that isn't one.
    """
    if include_object not in ("None", "Metadata", "Object"):
        raise BadRequest(f'unrecognized includeObject value: "{include_object}"')
    printer = printer or kind_of(resource).printer
    moment = now or datetime.now(UTC)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": [column.definition() for column in printer.columns],
        "rows": [
            {
                # They end up on terminals, which obey control characters.
                "cells": [printable(cell, lines=True) if isinstance(cell, str) else cell for cell in cells],
                "object": _included(obj, include_object),
            }
            for obj in objects
            for cells in (printer.cells(obj, moment),)
        ],
    }


def partial_metadata(obj: Obj) -> Obj:
    """An object's metadata alone: meta.k8s.io PartialObjectMetadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def _included(obj: Obj, include_object: str) -> Obj | None:
    if include_object == "None":
        return None
    return obj if include_object == "Object" else partial_metadata(obj)
