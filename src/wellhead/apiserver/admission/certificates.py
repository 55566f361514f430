"""Who asks for certificates, who may approve and sign, and what nobody gets.

Upstream: plugin/pkg/admission/certificates, pkg/registry/certificates (who asks).
"""

from __future__ import annotations

from wellhead.api.certificates.requests import CLIENT, BadRequest, read
from wellhead.api.errors import Forbidden
from wellhead.api.kinds.csr import CERTIFICATESIGNINGREQUESTS
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Request
from wellhead.apiserver.attributes import Attributes

_STRONGEST = "system:masters"


class CertificateRequester(Plugin):
    """Writes into a request who sends it, whatever it says."""

    name = "CertificateRequester"
    operations = ("CREATE",)
    resources = (CERTIFICATESIGNINGREQUESTS,)

    async def mutate(self, request: Request) -> None:
        spec = request.obj.setdefault("spec", {})
        for field in ("username", "uid", "groups", "extra"):
            spec.pop(field, None)
        user = request.user
        found = {
            "username": user.name,
            "uid": user.uid,
            "groups": list(user.groups),
            "extra": {key: list(values) for key, values in user.extra.items()},
        }
        spec |= {field: value for field, value in found.items() if value}


class _OfSigner(Plugin):
    """Asks whether somebody may do something with requests for a signer."""

    resources = (CERTIFICATESIGNINGREQUESTS,)
    operations = ("UPDATE",)

    def __init__(self, environment: Environment) -> None:
        self._authorizer = environment.authorizer

    def require(self, request: Request, verb: str) -> None:
        """Raises Forbidden. A right for `DOMAIN/*` is one for all signers of the domain."""
        signer = request.old["spec"].get("signerName") or ""
        group = CERTIFICATESIGNINGREQUESTS.group
        for name in (signer, f"{signer.partition('/')[0]}/*"):
            action = Attributes(verb, group, "signers", name=name)
            if self._authorizer.allows(request.user, action):
                return
        text = f'user not permitted to {verb} requests with signerName "{signer}"'
        raise Forbidden.of(request.resource, request.name, text)


class CertificateApproval(_OfSigner):
    name = "CertificateApproval"
    subresources = ("approval",)

    async def validate(self, request: Request) -> None:
        """Raises Forbidden."""
        self.require(request, "approve")


class CertificateSigning(_OfSigner):
    name = "CertificateSigning"
    subresources = ("status",)

    async def validate(self, request: Request) -> None:
        """Raises Forbidden."""
        after, before = (each.get("status") or {} for each in (request.obj, request.old))
        if any(after.get(field) != before.get(field) for field in ("certificate", "conditions")):
            self.require(request, "sign")


class CertificateSubjectRestriction(Plugin):
    name = "CertificateSubjectRestriction"
    operations = ("CREATE",)
    resources = (CERTIFICATESIGNINGREQUESTS,)

    async def validate(self, request: Request) -> None:
        """Raises Forbidden."""
        spec = request.obj["spec"]
        if spec.get("signerName") != CLIENT:
            return
        try:
            wanted = read(spec["request"])
        except BadRequest as error:
            raise Forbidden.of(request.resource, request.name, f"failed to parse CSR: {error}") from None
        if _STRONGEST in wanted.organizations:
            text = f"use of {CLIENT} signer with {_STRONGEST} group is not allowed"
            raise Forbidden.of(request.resource, request.name, text)
