"""What a resource of the API is: its names, scope, verbs and subresources. `resources` lists them."""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING

from wellhead.api.meta import GroupVersionKind

if TYPE_CHECKING:
    from wellhead.api.kind import Kind

_OBJECT_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_PROXY_VERBS = ("create", "delete", "get", "patch", "update")


@dataclass(frozen=True)
class Subresource:
    """A subresource: the kind that its requests carry (as discovery names it) and its verbs."""

    name: str
    group: str
    version: str
    kind: str
    verbs: tuple[str, ...]

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass(frozen=True)
class Resource:
    """One resource of the API: its names, scope, verbs, and which fields its field selectors may name."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = _OBJECT_VERBS
    subresources: frozenset[str] = frozenset()
    field_labels: tuple[str, ...] = ()
    """Field selector labels besides metadata.name and metadata.namespace."""
    strict_field_labels: bool = False
    """Whether an unsupported label is refused in the words of core/v1's own conversions."""
    measured: bool = False
    """Whether objects are made up when asked for, and never stored: what pods use."""
    stored_as: str = field(default="", compare=False)
    """`group/plural` under which objects are stored: two versions or groups of one kind share it."""
    singular_name: str = field(default="", compare=False)
    list_name: str = field(default="", compare=False)
    """The kind of lists, if it isn't the kind and `List`."""
    deprecation: str = field(default="", compare=False)
    """What whoever uses the resource is warned of."""
    custom: Kind | None = field(default=None, compare=False, repr=False)
    """The kind of what a CustomResourceDefinition defines: it is known to nobody else."""

    # A request asks a dozen times which resource it is about: nearly always there is but one such object.

    def __hash__(self) -> int:
        return hash((self.plural, self.group, self.version))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Resource) or self.plural != other.plural:
            return False
        return all(getattr(self, each.name) == getattr(other, each.name) for each in _compared())

    @property
    def singular(self) -> str:
        return self.singular_name or self.kind.lower()

    @property
    def list_kind(self) -> str:
        return self.list_name or f"{self.kind}List"

    def of_kind(self, kind: Kind) -> Resource:
        """This resource, of a custom kind."""
        return replace(self, custom=kind)

    @cached_property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @cached_property
    def gvk(self) -> GroupVersionKind:
        return GroupVersionKind(self.group, self.version, self.kind)

    @property
    def group_resource(self) -> str:
        """`pods`, `deployments.apps`: how messages name the resource."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @cached_property
    def storage_prefix(self) -> str:
        """What the storage files this resource's objects under: `pods`, `apps/deployments`."""
        return self.stored_as or (f"{self.group}/{self.plural}" if self.group else self.plural)

    @property
    def has_status(self) -> bool:
        return "status" in self.subresources

    @property
    def is_review(self) -> bool:
        """Whether objects are only questions: created, answered, never stored."""
        return self.verbs == ("create",)

    def path(
        self, namespace: str | None = None, name: str | None = None, subresource: str | None = None
    ) -> str:
        """The URL path: `/api/v1/namespaces/x/pods/y/log`; of the collection without a name."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name:
            parts.append(name)
        if subresource:
            parts.append(subresource)
        return "/".join(parts)

    def subresource(self, name: str) -> Subresource:
        """What the subresource takes and answers. Raises KeyError if this resource doesn't have it."""
        if name not in self.subresources:
            raise KeyError(f"{self.plural}/{name}")
        if name == "proxy":
            return Subresource(name, "", "v1", f"{self.kind}ProxyOptions", _PROXY_VERBS)
        group, version, kind, verbs = _SUBRESOURCES[name]
        if not kind:
            group, version, kind = self.group, self.version, self.kind
        return Subresource(name, group, version, kind, verbs)


@cache
def _compared() -> tuple[Field[object], ...]:
    return tuple(each for each in fields(Resource) if each.compare)


# name -> (group, version, kind, verbs); without a kind: the resource's own.
_SUBRESOURCES: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "status": ("", "", "", ("get", "patch", "update")),
    "finalize": ("", "", "", ("update",)),
    "ephemeralcontainers": ("", "", "", ("get", "patch", "update")),
    "resize": ("", "", "", ("get", "patch", "update")),
    "approval": ("", "", "", ("get", "patch", "update")),
    "scale": ("autoscaling", "v1", "Scale", ("get", "patch", "update")),
    "log": ("", "", "", ("get",)),
    "exec": ("", "v1", "PodExecOptions", ("create", "get")),
    "attach": ("", "v1", "PodAttachOptions", ("create", "get")),
    "portforward": ("", "v1", "PodPortForwardOptions", ("create", "get")),
    "binding": ("", "v1", "Binding", ("create",)),
    "eviction": ("policy", "v1", "Eviction", ("create",)),
    "token": ("authentication.k8s.io", "v1", "TokenRequest", ("create",)),
}
