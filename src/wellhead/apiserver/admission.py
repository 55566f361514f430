"""Whether what a request writes is admitted: rules that look at the content, and at who sends it.

What a kind itself demands is in `api/kinds`; whether a user may use a verb at all is for `authz`.
"""

from __future__ import annotations

from collections.abc import Collection

from wellhead.api.errors import Forbidden
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import SERVICES
from wellhead.apiserver.authn import User
from wellhead.apiserver.node_identity import node_of
from wellhead.apiserver.node_restriction import Lookup, NodeRestriction
from wellhead.apiserver.proxy_restriction import check_proxy
from wellhead.apiserver.rbac.escalation import EscalationCheck

DENY_SERVICE_EXTERNAL_IPS = "DenyServiceExternalIPs"
PLUGINS = (DENY_SERVICE_EXTERNAL_IPS,)
"""Those that can be turned on, under upstream's names; NodeRestriction is always on."""


class Admission:
    """Every method raises Forbidden (and NotFound where another object is missing).

    Asked with the object that a write is about to replace or remove, each time that it is tried: an answer
    for an earlier one would be about another object.
    """

    def __init__(self, lookup: Lookup, escalation: EscalationCheck, plugins: Collection[str] = ()) -> None:
        """`plugins` are those of PLUGINS that are to count."""
        self._nodes = NodeRestriction(lookup)
        self._escalation = escalation
        self._deny_external_ips = DENY_SERVICE_EXTERNAL_IPS in plugins

    def create(self, user: User, resource: Resource, namespace: str, obj: Obj) -> None:
        """Of an object as it was sent."""
        if (node := node_of(user)) is not None:
            self._nodes.create(node, resource, namespace, obj)
        self._escalation.check(user, resource, namespace, obj, None)
        self._check_external_ips(resource, obj, {})

    def update(self, user: User, resource: Resource, subresource: str, new: Obj, old: Obj) -> None:
        """Of an object as it was sent or patched, in place of `old`."""
        if (node := node_of(user)) is not None:
            self._nodes.update(node, resource, subresource, new, old)
        check_proxy(user, resource, new, old)
        self._escalation.check(user, resource, old["metadata"].get("namespace", ""), new, old)
        self._check_external_ips(resource, new, old)

    def delete(self, user: User, resource: Resource, obj: Obj, *, evict: bool = False) -> None:
        """Of an object as it is."""
        if (node := node_of(user)) is not None:
            self._nodes.delete(node, resource, obj, evict=evict)

    def request_token(self, user: User, account: str, namespace: str, spec: Obj) -> None:
        """By the TokenRequest's spec, as it was sent."""
        if (node := node_of(user)) is not None:
            self._nodes.request_token(node, account, namespace, spec)

    def _check_external_ips(self, resource: Resource, new: Obj, old: Obj) -> None:
        """Who may write Services takes any address's traffic by them (CVE-2020-8554)."""
        if not self._deny_external_ips or resource != SERVICES:
            return
        after, before = (set((each.get("spec") or {}).get("externalIPs") or ()) for each in (new, old))
        if after - before:
            name = (new.get("metadata") or {}).get("name") or ""
            raise Forbidden.of(resource, name, "Use of external IPs is denied by admission control.")
