"""What a request that opens a stream asks for, as an object: what admission sees of it (CONNECT)."""

from __future__ import annotations

from typing import Any

from wellhead.api.meta import GroupVersionKind, Obj
from wellhead.api.numbers import parse_int64
from wellhead.api.query import is_true
from wellhead.apiserver.call import Call

_FLAGS = ("stdin", "stdout", "stderr", "tty")


def connect_options(call: Call) -> tuple[GroupVersionKind, Obj]:
    """PodExecOptions, PodAttachOptions, PodPortForwardOptions, or a proxy's options with its path."""
    subresource = call.resource.subresource(call.info.subresource)
    kind = GroupVersionKind(subresource.group, subresource.version, subresource.kind)
    options: Obj = {"kind": kind.kind, "apiVersion": kind.api_version}
    query: Any = call.query
    match subresource.name:
        case "proxy":
            if path := call.info.rest.lstrip("/"):
                options["path"] = path
        case "portforward":
            if ports := [port for text in query.getall("ports", ()) if (port := _number(text)) is not None]:
                options["ports"] = ports
        case _:
            options |= {flag: True for flag in _FLAGS if is_true(call.query, flag)}
            if container := call.query.get("container"):
                options["container"] = container
            if command := list(query.getall("command", ())):
                options["command"] = command
    return kind, options


def _number(text: str) -> int | None:
    try:
        return parse_int64(text)
    except ValueError:
        return None
