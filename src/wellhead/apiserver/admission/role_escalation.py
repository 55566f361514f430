"""Nobody gives rights that they haven't: upstream's registry of roles asks this, after all changes."""

from __future__ import annotations

from wellhead.api.kinds.rbac import CLUSTERROLEBINDINGS, CLUSTERROLES, ROLEBINDINGS, ROLES
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Request
from wellhead.apiserver.rbac.escalation import EscalationCheck


class RoleEscalation(Plugin):
    name = "RoleEscalation"
    resources = (ROLES, CLUSTERROLES, ROLEBINDINGS, CLUSTERROLEBINDINGS)

    def __init__(self, environment: Environment) -> None:
        self._escalation = EscalationCheck(environment.authorizer)

    async def mutate(self, request: Request) -> None:
        """Raises Forbidden, NotFound."""
        self._escalation.check(
            request.user, request.resource, request.namespace, request.obj, request.old or None
        )
