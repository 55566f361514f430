"""What a request asks for, from its method and path (apiserver's RequestInfo)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import unquote

import msgspec

from wellhead.api.errors import ApiError, MethodNotAllowed, NotFound
from wellhead.api.query import is_true
from wellhead.api.resource import Resource
from wellhead.api.resources import lookup as built_in
from wellhead.api.selectors import FieldSelector

Lookup = Callable[[str, str, str], Resource | None]
"""The resource that group, version and plural name, if it is served."""

_UNSELECTED = FieldSelector()
_LONG_RUNNING = frozenset({"log", "exec", "attach", "portforward", "proxy"})
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}


class RequestInfo(msgspec.Struct, frozen=True):
    """A path that isn't a resource's has no `resource`, and its method in lower case as verb."""

    verb: str
    path: str
    resource: Resource | None = None
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""
    """What follows a proxy subresource, with its leading slash."""
    fields: FieldSelector = _UNSELECTED
    """What a list or watch is limited to."""
    missing: ApiError | None = None
    """Why there is no such thing: told to whoever may ask for it. The resource is then only a name."""

    @property
    def selected(self) -> str:
        """The only name that a list or watch selects, if its field selector names one."""
        return self.fields.exact("metadata.name") or ""

    @property
    def is_long_running(self) -> bool:
        """Whether the answer lasts as long as the client wants it to."""
        return self.verb == "watch" or self.subresource in _LONG_RUNNING


def request_info(method: str, path: str, query: Mapping[str, str], lookup: Lookup = built_in) -> RequestInfo:
    """Take a request apart. Raises BadRequest."""
    parts = path.split("/")
    # "", "api", VERSION, resource… or "", "apis", GROUP, VERSION, resource…
    if len(parts) >= 4 and parts[1] == "api" and parts[3]:
        group, version, rest = "", parts[2], parts[3:]
    elif len(parts) >= 5 and parts[1] == "apis" and parts[4]:
        group, version, rest = parts[2], parts[3], parts[4:]
    else:
        return RequestInfo(method.lower(), path)
    # An older way to ask for a watch: /api/v1/watch/…, of one object, too.
    watched = rest[0] == "watch" and len(rest) > 1
    if watched:
        rest = rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize", ""):
        namespace, rest = unquote(rest[1]), rest[2:]
    resource = lookup(group, version, rest[0])
    missing: ApiError | None = None
    if resource is None:
        where = f"{group}/{version}" if group else version
        missing = NotFound.path(f"it has no {rest[0]} in {where}")
        resource = Resource(group, version, "", rest[0], bool(namespace))
    elif resource.namespaced != bool(namespace) and (namespace or len(rest) > 1):
        missing = NotFound.path()
    if resource.kind == "Namespace" and len(rest) > 1:
        namespace = unquote(rest[1])
    name = unquote(rest[1]) if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    remainder = "/" + "/".join(rest[3:]) if len(rest) > 3 else ""
    if missing is None:
        missing = _missing(resource, subresource, remainder, watched, method)
    verb = "watch" if watched else verb_of(method, named=bool(name), watch=is_true(query, "watch"))
    fields = _UNSELECTED
    if verb in ("list", "watch") and missing is None:
        fields = FieldSelector.parse(query.get("fieldSelector", ""))
    return RequestInfo(verb, path, resource, namespace, name, subresource, remainder, fields, missing)


def _missing(
    resource: Resource, subresource: str, remainder: str, watched: bool, method: str
) -> ApiError | None:
    """What speaks against there being such a part of a resource."""
    if subresource and subresource not in resource.subresources:
        return NotFound.path(f"{resource.plural} have no {subresource} here")
    if (remainder and subresource != "proxy") or (watched and subresource):
        return NotFound.path()
    if watched and method != "GET":
        return MethodNotAllowed()
    return None


def verb_of(method: str, *, named: bool, watch: bool) -> str:
    """What a method means on a resource, or on an object that the path names."""
    if method in ("GET", "HEAD"):
        return "get" if named else "watch" if watch else "list"
    if method == "DELETE":
        return "delete" if named else "deletecollection"
    return _VERBS.get(method, method.lower())
