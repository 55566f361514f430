"""The Protobuf messages of Kubernetes' kinds, from `fields.txt`: the number and type of each field."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import NamedTuple

PROTOBUF = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\x00"
SCHEMA = "apiextensions/v1.JSONSchemaProps"


class Field(NamedTuple):
    """One field of a message."""

    json: str
    """'' for a struct whose fields are its parent's in JSON."""
    type: str
    pointer: bool


@cache
def messages() -> dict[str, dict[int, Field]]:
    """`NAME NUMBER:JSON:TYPE…` of each line, a pointer's type with a star before it."""
    found = {}
    for line in files(__package__).joinpath("fields.txt").read_text().splitlines():
        name, *entries = line.split(" ")
        fields = {}
        for entry in entries:
            number, json, kind = entry.split(":")
            fields[int(number)] = Field(json, kind.removeprefix("*"), kind.startswith("*"))
        found[name] = fields
    return found


def message_name(api_version: str, kind: str) -> str:
    """What the message of a kind is called here; '' if there is none."""
    group, _, version = api_version.rpartition("/")
    # What belongs to no group travels under any: DeleteOptions, a Status.
    for name in (f"{group.partition('.')[0] or 'core'}/{version}.{kind}", f"meta/v1.{kind}"):
        if name in messages():
            return name
    return ""
