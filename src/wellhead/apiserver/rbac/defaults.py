"""The roles and bindings that a cluster starts with, as objects: upstream's, and our own components'."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files

from wellhead.api.kinds.rbac import CLUSTERROLEBINDINGS, CLUSTERROLES, GROUP, ROLEBINDINGS, ROLES
from wellhead.api.meta import Obj
from wellhead.api.rbac.rules import Rule
from wellhead.api.resource import Resource
from wellhead.apiserver import policy

AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
_MARKS: Obj = {
    "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
    "annotations": {AUTOUPDATE: "true"},
}
_KINDS = {"user": "User", "group": "Group"}

Default = tuple[Resource, Obj]


def default_objects() -> list[Default]:
    """Everything, roles before the bindings to them."""
    objects = [*_upstreams(), *_own()]
    return sorted(objects, key=lambda each: each[0] in (ROLEBINDINGS, CLUSTERROLEBINDINGS))


def _upstreams() -> Iterator[Default]:
    text = files("wellhead.apiserver.rbac").joinpath("default_roles.txt").read_text()
    role: Obj = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("role "):
            namespace, _, name = line.removeprefix("role ").rpartition("/")
            role = _role(namespace, name)
            yield (ROLES if namespace else CLUSTERROLES), role
            continue
        word, _, rest = line.strip().partition(" ")
        match word:
            case "label":
                role["metadata"]["labels"][f"{GROUP}/{rest}"] = "true"
            case "gather":
                selectors = role.setdefault("aggregationRule", {"clusterRoleSelectors": []})
                selectors["clusterRoleSelectors"].append({"matchLabels": {f"{GROUP}/{rest}": "true"}})
            case "bind":
                who, _, name = rest.partition(" as ")
                metadata = role["metadata"]
                subjects = [_subject(each) for each in who.split() if each != "nobody"]
                namespace = metadata.get("namespace", "")
                yield _binding(namespace, name or metadata["name"], role, subjects)
            case _:
                role["rules"].append(_rule(line).object)


def _own() -> Iterator[Default]:
    users: dict[str, list[str]] = {}
    for user, name in policy.USERS.items():
        users.setdefault(name, []).append(user)
    for name, rules in policy.ROLES.items():
        for namespace in dict.fromkeys(each.namespace for each in rules):
            role = _role(namespace, name, (each for each in rules if each.namespace == namespace))
            yield (ROLES if namespace else CLUSTERROLES), role
            subjects = [_subject(f"user:{user}") for user in users.get(name, ())]
            yield _binding(namespace, name, role, subjects)


def _rule(line: str) -> Rule:
    parts = [tuple(part.split()) for part in line.split("|")]
    if line.strip().startswith("/") or len(parts) == 2:
        return Rule(parts[1], paths=parts[0])
    groups = tuple("" if group == "core" else group for group in parts[0])
    return Rule(parts[2], groups, parts[1], parts[3] if len(parts) > 3 else ())


def _role(namespace: str, name: str, rules: Iterable[policy.Rule] = ()) -> Obj:
    written = [
        Rule(*(tuple(sorted(each)) for each in (rule.verbs, rule.groups, rule.resources, rule.names))).object
        for rule in rules
    ]
    return _object(ROLES if namespace else CLUSTERROLES, namespace, name) | {"rules": written}


def _binding(namespace: str, name: str, role: Obj, subjects: Sequence[Obj]) -> Default:
    resource = ROLEBINDINGS if namespace else CLUSTERROLEBINDINGS
    reference = {"apiGroup": GROUP, "kind": role["kind"], "name": role["metadata"]["name"]}
    bound = {"subjects": list(subjects)} if subjects else {}
    return resource, _object(resource, namespace, name) | {"roleRef": reference} | bound


def _subject(text: str) -> Obj:
    kind, _, name = text.partition(":")
    if kind == "account":
        namespace, _, name = name.partition("/")
        return {"kind": "ServiceAccount", "namespace": namespace, "name": name}
    return {"kind": _KINDS[kind], "apiGroup": GROUP, "name": name}


def _object(resource: Resource, namespace: str, name: str) -> Obj:
    metadata: Obj = {"name": name, **{field: dict(values) for field, values in _MARKS.items()}}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
