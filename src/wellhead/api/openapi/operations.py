"""The operations of a resource: its paths, and what each method takes and answers.

Clients look things up in these: kubectl finds a kind's schema through `x-kubernetes-group-version-kind`, and
whether the server knows `fieldValidation` and `dryRun` through the parameters of PATCH.
"""

from __future__ import annotations

from collections.abc import Iterator

from wellhead.api.definitions import META_PREFIX, definition_name
from wellhead.api.meta import GroupVersionKind, Obj
from wellhead.api.openapi.form import Body, Form
from wellhead.api.resource import Resource

_JSON = ("application/json", "application/yaml")
_PATCHES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
_STATUS, _DELETE_OPTIONS, _PATCH = (META_PREFIX + name for name in ("Status", "DeleteOptions", "Patch"))

# What an operation takes in the query: name → (JSON type, description).
_PRETTY = {"pretty": ("string", "If 'true', the answer is indented for people.")}
_DRY_RUN = {"dryRun": ("string", "'All': check everything, store nothing.")}
_WRITE = {
    **_PRETTY,
    **_DRY_RUN,
    "fieldManager": ("string", "Who makes the change."),
    "fieldValidation": ("string", "What to do about unknown fields: Ignore, Warn or Strict."),
}
_SELECT = {
    **_PRETTY,
    "fieldSelector": ("string", "Only objects whose fields match."),
    "labelSelector": ("string", "Only objects whose labels match."),
    "limit": ("integer", "At most this many; `continue` in the answer's metadata asks for the rest."),
    "continue": ("string", "Where the last answer ended."),
    "resourceVersion": ("string", "The version to start from, or not to be older than."),
    "resourceVersionMatch": ("string", "How resourceVersion is meant: Exact or NotOlderThan."),
    "timeoutSeconds": ("integer", "When to end the call."),
}
_LIST = {
    **_SELECT,
    "watch": ("boolean", "Go on with every change, as a stream."),
    "allowWatchBookmarks": ("boolean", "Tell the version from time to time, also without a change."),
    "sendInitialEvents": ("boolean", "Start a watch with all there is, then a bookmark."),
}
_DELETE = {
    **_DRY_RUN,
    "gracePeriodSeconds": ("integer", "How long the object may take to end; 0 is at once."),
    "propagationPolicy": ("string", "What becomes of dependents: Orphan, Background or Foreground."),
}
_NONE: dict[str, tuple[str, str]] = {}

# A verb's method, action name, and query parameters.
_VERBS: dict[str, tuple[str, str, dict[str, tuple[str, str]]]] = {
    "get": ("get", "get", _PRETTY),
    "list": ("get", "list", _LIST),
    "create": ("post", "post", _WRITE),
    "update": ("put", "put", _WRITE),
    "patch": ("patch", "patch", _WRITE | {"force": ("boolean", "Take fields over from other managers.")}),
    "delete": ("delete", "delete", _DELETE | _PRETTY),
    "deletecollection": ("delete", "deletecollection", _SELECT | _DELETE),
}
_CODES = {
    "create": ("200", "201", "202"),
    "update": ("200", "201"),
    "patch": ("200", "201"),
    "delete": ("200", "202"),
}
"""With what a verb is answered where it succeeds, if not with 200 alone."""
_COLLECTION_VERBS = ("list", "create", "deletecollection")
_OBJECT_VERBS = ("get", "update", "patch", "delete")
_CONNECT = frozenset({"exec", "attach", "portforward", "proxy"})


def operations(resource: Resource, form: Form) -> Iterator[tuple[str, Obj]]:
    """(path, methods) for every path of the resource."""
    base = resource.path("{namespace}")
    yield base, _methods(resource, form, base, _COLLECTION_VERBS)
    if resource.namespaced and "list" in resource.verbs:
        yield resource.path(), _methods(resource, form, resource.path(), ("list",))
    item = f"{base}/{{name}}"
    if "get" in resource.verbs:
        yield item, _methods(resource, form, item, _OBJECT_VERBS)
    for name in sorted(resource.subresources):
        yield f"{item}/{name}", _subresource(resource, name, form, f"{item}/{name}")


def name_of(resource: Resource, kind: str) -> str:
    """The definition of a kind of the resource's: itself, or its list.

    Custom ones are called after their group, backwards: `com.example.stable.v1.CronTab`.
    """
    if resource.custom is None:
        return definition_name(GroupVersionKind(resource.group, resource.version, kind))
    return ".".join([*reversed(resource.group.split(".")), resource.version, kind])


def _patches(resource: Resource) -> tuple[str, ...]:
    """No strategic patch for custom kinds: nothing says how their lists merge."""
    return (
        _PATCHES if resource.custom is None else tuple(each for each in _PATCHES if "strategic" not in each)
    )


def _methods(resource: Resource, form: Form, path: str, verbs: tuple[str, ...]) -> Obj:
    methods = {}
    kind = name_of(resource, resource.kind)
    for verb in verbs:
        if verb not in resource.verbs:
            continue
        answer = kind
        if verb == "list":
            answer = name_of(resource, resource.list_kind)
        elif verb in ("delete", "deletecollection"):
            answer = _STATUS
        body = {"create": kind, "update": kind, "patch": _PATCH}.get(verb, "")
        if verb in ("delete", "deletecollection"):
            body = _DELETE_OPTIONS
        written = _operation(form, resource, verb, resource.gvk, body, answer)
        if resource.namespaced and "{namespace}" not in path:
            written["operationId"] += "ForAllNamespaces"
        methods[_VERBS[verb][0]] = written
    return methods | {"parameters": _path_parameters(form, path)}


def _subresource(resource: Resource, name: str, form: Form, path: str) -> Obj:
    sub = resource.subresource(name)
    gvk = GroupVersionKind(sub.group, sub.version, sub.kind)
    methods = {}
    for verb in sub.verbs:
        if name in _CONNECT or name == "log":
            body, answer = "", ""
        else:
            own = gvk == resource.gvk
            answer = name_of(resource, gvk.kind) if own else definition_name(gvk)
            body = {"get": "", "patch": _PATCH}.get(verb, answer)
        methods[_VERBS[verb][0]] = _operation(form, resource, verb, gvk, body, answer, name)
    return methods | {"parameters": _path_parameters(form, path)}


def _operation(
    form: Form,
    resource: Resource,
    verb: str,
    gvk: GroupVersionKind,
    body: str,
    answer: str,
    subresource: str = "",
) -> Obj:
    _, action, query = _VERBS[verb]
    if subresource in _CONNECT:
        action, query = "connect", _NONE
    parameters = [form.parameter(name, "query", *what) for name, what in sorted(query.items())]
    brought = None
    if body:
        types = _patches(resource) if verb == "patch" else _JSON
        brought = Body(body, types, required=not verb.startswith("delete"))
    codes = ("200",) if action == "connect" else _CODES.get(verb, ("200",))
    written = form.operation(parameters, brought, answer, codes, streams=verb == "list")
    group = resource.group.partition(".")[0].capitalize() or "Core"
    words = (
        f"{group}{resource.version.capitalize()}{'Namespaced' if resource.namespaced else ''}{resource.kind}"
    )
    return written | {
        "description": f"{verb} {subresource + ' of ' if subresource else ''}{resource.kind}",
        "operationId": f"{verb}{words}{subresource.capitalize()}",
        "tags": [f"{group.lower()}_{resource.version}"],
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": gvk.group, "version": gvk.version, "kind": gvk.kind},
    }


def _path_parameters(form: Form, path: str) -> list[Obj]:
    return [
        form.parameter(name, "path", "string", description)
        for name, description in (
            ("name", "The object's name."),
            ("namespace", "The object's namespace."),
        )
        if f"{{{name}}}" in path
    ]
