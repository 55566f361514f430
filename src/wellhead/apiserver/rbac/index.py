"""Who has which rules: roles and bindings arranged by subject, kept by change.

A question costs a look into two dictionaries: what a user's bindings add up to is kept until any role or
binding changes, once for the whole cluster and once for each namespace that was asked about.
Upstream: pkg/registry/rbac/validation/rule.go.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from wellhead.api.kinds.rbac import ACCOUNT, CLUSTERROLEBINDINGS, CLUSTERROLES, ROLEBINDINGS, ROLES
from wellhead.api.meta import Key, Obj
from wellhead.api.rbac.rules import Rule, RuleSet, rules_of
from wellhead.apiserver.attributes import Attributes
from wellhead.apiserver.authn import User
from wellhead.storage.cache import WatchCache
from wellhead.storage.encoding import decode
from wellhead.storage.event_log import Event, Item

_MOST_KEPT = 4096  # rule sets
_NO_RULES = RuleSet(())

_Who = tuple[str, str]  # "User" or "Group", name


@dataclass(frozen=True, slots=True)
class Binding:
    """A RoleBinding, or (namespace "") a ClusterRoleBinding."""

    namespace: str
    name: str
    role_kind: str
    role: str
    subjects: tuple[tuple[_Who, str], ...]
    """Who has the role, and how messages name them."""

    @property
    def role_key(self) -> Key:
        return (self.namespace if self.role_kind == "Role" else "", self.role)

    def describe(self, subject: str) -> str:
        """As upstream says why something is allowed."""
        kind, name = "ClusterRoleBinding", self.name
        if self.namespace:
            kind, name = "RoleBinding", f"{self.name}/{self.namespace}"
        return f'{kind} "{name}" of {self.role_kind} "{self.role}" to {subject}'


class RoleIndex:
    """All roles and bindings. `cache` has started."""

    def __init__(self, cache: WatchCache) -> None:
        self._rules: dict[Key, tuple[Rule, ...]] = {}  # ClusterRoles under the namespace ""
        self._bindings: dict[Key, Binding] = {}
        self._of: defaultdict[_Who, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        self._kept: OrderedDict[tuple[str, tuple[str, ...], str], RuleSet] = OrderedDict()
        for resource in (ROLES, CLUSTERROLES):
            collection = cache[resource.storage_prefix]
            for item in collection.items():
                self._set_role(item, decode(item.data))
            collection.observe(self._role_changed)
        for resource in (ROLEBINDINGS, CLUSTERROLEBINDINGS):
            collection = cache[resource.storage_prefix]
            for item in collection.items():
                self._set_binding(item, decode(item.data))
            collection.observe(self._binding_changed)

    def allows(self, user: User, action: Attributes) -> bool:
        """Whether any of the user's rules allows the action."""
        if action.path:
            return self._set(user, "").allows_path(action.verb, action.path)
        asked = (action.verb, action.group, action.full_resource, action.name)
        if self._set(user, "").allows(*asked):
            return True
        return bool(action.namespace) and self._set(user, action.namespace).allows(*asked)

    def reason(self, user: User, action: Attributes) -> str:
        """Why it is allowed; or which roles are missing that might have allowed it."""
        problems = []
        for binding, subject in self._bindings_of(user, action.namespace):
            rules = self._rules.get(binding.role_key)
            if rules is None:
                problems.append(missing_role(binding.role_kind, binding.role))
            elif allows(rules, action):
                return f"RBAC: allowed by {binding.describe(subject)}"
        return f"RBAC: {_together(problems)}" if problems else ""

    def rules(self, user: User, namespace: str) -> tuple[list[Rule], str]:
        """All rules that the user has in a namespace ("": everywhere), and what couldn't be found out."""
        rules: list[Rule] = []
        problems = []
        for binding, _ in self._bindings_of(user, namespace):
            found = self._rules.get(binding.role_key)
            if found is None:
                problems.append(missing_role(binding.role_kind, binding.role))
            else:
                rules += found
        return rules, _together(problems)

    def role(self, kind: str, name: str, namespace: str) -> tuple[Rule, ...] | None:
        """The rules of the role that a binding in this namespace names; None if there is no such role."""
        return self._rules.get((namespace if kind == "Role" else "", name))

    def _set(self, user: User, namespace: str) -> RuleSet:
        """What the bindings of exactly this namespace give the user."""
        asked = (user.name, user.groups, namespace)
        found = self._kept.get(asked)
        if found is None:
            bindings = {binding for binding, _ in self._bindings_in(user, namespace)}
            rules = [rule for each in bindings for rule in self._rules.get(each.role_key, ())]
            found = self._kept[asked] = RuleSet(rules) if rules else _NO_RULES
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return found

    def _bindings_of(self, user: User, namespace: str) -> Iterator[tuple[Binding, str]]:
        yield from self._bindings_in(user, "")
        if namespace:
            yield from self._bindings_in(user, namespace)

    def _bindings_in(self, user: User, namespace: str) -> Iterator[tuple[Binding, str]]:
        """In the order of their names, each with the first of its subjects that is the user."""
        who = {("User", user.name), *(("Group", group) for group in user.groups)}
        names: set[str] = set()
        for each in who:
            if (of := self._of.get(each)) is not None:
                names |= of.get(namespace, frozenset())
        for name in sorted(names):
            binding = self._bindings[namespace, name]
            yield binding, next(text for subject, text in binding.subjects if subject in who)

    def _role_changed(self, event: Event) -> None:
        self._set_role(event.item, None if event.type == "DELETED" else decode(event.item.data))

    def _binding_changed(self, event: Event) -> None:
        self._set_binding(event.item, None if event.type == "DELETED" else decode(event.item.data))

    def _set_role(self, item: Item, role: Obj | None) -> None:
        key = (item.namespace, item.name)
        after = None if role is None else rules_of(role)
        if after == self._rules.get(key):
            return
        if after is None:
            del self._rules[key]
        else:
            self._rules[key] = after
        self._kept.clear()

    def _set_binding(self, item: Item, obj: Obj | None) -> None:
        key = (item.namespace, item.name)
        before = self._bindings.pop(key, None)
        after = None if obj is None else _binding(item, obj)
        if after is not None:
            self._bindings[key] = after
        if before == after:
            return
        if before is not None:
            for who, _ in before.subjects:
                names = self._of[who][item.namespace]
                names.discard(item.name)
                if not names:
                    del self._of[who][item.namespace]
                    if not self._of[who]:
                        del self._of[who]
        for who, _ in after.subjects if after is not None else ():
            self._of[who][item.namespace].add(item.name)
        self._kept.clear()


def allows(rules: tuple[Rule, ...], action: Attributes) -> bool:
    """Whether one of these allows the action."""
    if action.path:
        return any(rule.allows_path(action.verb, action.path) for rule in rules)
    asked = (action.verb, action.group, action.full_resource, action.name)
    return any(rule.allows(*asked) for rule in rules)


def missing_role(kind: str, name: str) -> str:
    """What is said of a binding to a role that there isn't."""
    return f'{kind.lower()}.rbac.authorization.k8s.io "{name}" not found'


def _together(problems: list[str]) -> str:
    problems = [*dict.fromkeys(problems)]
    return problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]" if problems else ""


def _binding(item: Item, obj: Obj) -> Binding:
    role = obj.get("roleRef") or {}
    subjects = []
    for subject in obj.get("subjects") or ():
        kind, name = subject.get("kind") or "", subject.get("name") or ""
        if kind == ACCOUNT:
            namespace = subject.get("namespace") or item.namespace
            who = ("User", f"system:serviceaccount:{namespace}:{name}")
            subjects.append((who, f'{kind} "{name}/{namespace}"'))
        else:
            subjects.append(((kind, name), f'{kind} "{name}"'))
    kind, name = role.get("kind") or "", role.get("name") or ""
    return Binding(item.namespace, item.name, kind, name, tuple(dict(subjects).items()))
