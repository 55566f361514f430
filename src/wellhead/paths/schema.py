"""The published form of a report: its JSON schema."""

from __future__ import annotations

from typing import Any

import msgspec

from wellhead.paths.way import VERSION, Report


def schema() -> dict[str, Any]:
    """The JSON schema (2020-12) of `Report` as it is written."""
    found = msgspec.json.schema(Report)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": VERSION} | found


def encode(report: Report) -> bytes:
    """A report as JSON, indented."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2)
