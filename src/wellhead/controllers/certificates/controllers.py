"""The controllers of CertificateSigningRequests. Upstream: pkg/controller/certificates."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

from cryptography import x509

from wellhead.api.certificates.requests import SIGNERS, BadRequest, approval_of_own, problem, read
from wellhead.api.kinds.csr import APPROVED, DENIED, FAILED
from wellhead.api.meta import Obj, condition, now, parse_time
from wellhead.api.resources import CERTIFICATESIGNINGREQUESTS, SUBJECTACCESSREVIEWS
from wellhead.client.reconciler import Reconciler
from wellhead.client.rest import Client
from wellhead.controllers.certificates.signing import Authority
from wellhead.controllers.store import Store, Stores
from wellhead.health import Check

_PENDING, _DECIDED = timedelta(hours=24), timedelta(hours=1)
_MESSAGES = {
    "selfnodeclient": "Auto approving self kubelet client certificate after SubjectAccessReview.",
    "nodeclient": "Auto approving kubelet client certificate after SubjectAccessReview.",
}


class _OfRequests:
    """Reconciles requests by name."""

    name: str

    def __init__(self, stores: Stores) -> None:
        self._requests: Store[Obj] = stores[CERTIFICATESIGNINGREQUESTS]
        self._reconciler = Reconciler(self.name, self._reconcile, workers=2)
        self._requests.on_change(self._changed)

    async def run(self) -> None:
        await self._requests.synced()
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None:
            self._reconciler.enqueue(new["metadata"]["name"])

    async def _reconcile(self, name: str) -> float | None:
        request = self._requests.get(name)
        return None if request is None else await self.handle(request)

    async def handle(self, request: Obj) -> float | None:
        """See to it; the answer is after how many seconds to look again."""
        raise NotImplementedError


class CSRApprovingController(_OfRequests):
    """Approves nodes' client certificates for those who may have one."""

    name = "csrapproving"

    def __init__(self, client: Client, stores: Stores) -> None:
        super().__init__(stores)
        self._client = client

    async def handle(self, request: Obj) -> float | None:
        if _issued(request) or any(condition(request, each) for each in (APPROVED, DENIED)):
            return None
        spec = request["spec"]
        try:
            wanted = read(spec["request"])
        except BadRequest:
            return None
        user = spec.get("username") or ""
        for right in approval_of_own(wanted, spec["usages"], spec["signerName"], user):
            if await self._may(spec, right):
                approved = _with_condition(request, APPROVED, "AutoApproved", _MESSAGES[right])
                await self._requests.update(approved, "approval")
                return None
        return None

    async def _may(self, spec: Obj, right: str) -> bool:
        asked = {
            "group": CERTIFICATESIGNINGREQUESTS.group,
            "resource": CERTIFICATESIGNINGREQUESTS.plural,
            "subresource": right,
            "verb": "create",
            "version": "*",
        }
        who = {"user": spec.get("username") or "", "uid": spec.get("uid") or ""}
        who |= {field: spec[field] for field in ("groups", "extra") if spec.get(field)}
        review = {
            "apiVersion": SUBJECTACCESSREVIEWS.api_version,
            "kind": SUBJECTACCESSREVIEWS.kind,
            "metadata": {},
            "spec": {**who, "resourceAttributes": asked},
        }
        answer = await self._client.create(SUBJECTACCESSREVIEWS, review)
        return bool(answer["status"].get("allowed"))


class CSRSigningController(_OfRequests):
    """Signs what is approved, for the four signers of kubernetes.io."""

    name = "csrsigning"

    def __init__(self, stores: Stores, authority: Authority) -> None:
        super().__init__(stores)
        self._authority = authority

    async def handle(self, request: Obj) -> float | None:
        spec = request["spec"]
        if spec["signerName"] not in SIGNERS or _issued(request):
            return None
        if condition(request, APPROVED) is None or condition(request, FAILED) is not None:
            return None
        try:
            wanted = read(spec["request"])
            why = problem(wanted, spec["usages"], spec["signerName"])
        except BadRequest as error:
            why = str(error)
        if why:
            failed = _with_condition(request, FAILED, "SignerValidationFailure", why)
            await self._requests.update(failed, "status")
            return None
        seconds = spec.get("expirationSeconds")
        certificate = self._authority.sign(wanted, spec["usages"], seconds, datetime.now(UTC))
        status = {**(request.get("status") or {}), "certificate": base64.b64encode(certificate).decode()}
        await self._requests.update({**request, "status": status}, "status")
        return None


class CSRCleanerController(_OfRequests):
    """Deletes what is decided after an hour, what nobody decides after a day, and what is past its end."""

    name = "csrcleaner"

    async def handle(self, request: Obj) -> float | None:
        moment = datetime.now(UTC)
        due = cleaned_at(request)
        if due > moment:
            return (due - moment).total_seconds() + 1.0
        await self._requests.delete(request)
        return None


def cleaned_at(request: Obj) -> datetime:
    """When a request is of no use any more."""
    created = parse_time(request["metadata"]["creationTimestamp"])
    decided = [each for each in (APPROVED, DENIED, FAILED) if condition(request, each)]
    issued = _issued(request)
    if decided == [APPROVED] and not issued:
        return created + _PENDING  # it waits for its signer
    moments = [created + _PENDING]
    for each in decided:
        found = condition(request, each) or {}
        since = found.get("lastUpdateTime") or found.get("lastTransitionTime")
        moments.append((parse_time(since) if since else created) + _DECIDED)
    if issued:
        try:
            certificate = x509.load_pem_x509_certificate(base64.b64decode(issued))
            moments.append(certificate.not_valid_after_utc)
        except ValueError:
            pass
    return min(moments)


def _issued(request: Obj) -> str:
    return (request.get("status") or {}).get("certificate") or ""


def _with_condition(request: Obj, kind: str, why: str, message: str) -> Obj:
    status = dict(request.get("status") or {})
    added = {"type": kind, "status": "True", "reason": why, "message": message, "lastUpdateTime": now()}
    status["conditions"] = [*(status.get("conditions") or ()), added]
    return {**request, "status": status}
