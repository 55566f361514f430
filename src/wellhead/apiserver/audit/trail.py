"""What is noted of each request, and when that becomes an event.

Upstream: pkg/endpoints/filters/{audit,authn_audit}.go, pkg/audit/request.go.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter

from wellhead.api.audit.event import Noted, Response
from wellhead.api.audit.policy import NAMES, Asked, Decision, Level, Policy
from wellhead.api.errors import ApiError, InternalError
from wellhead.api.meta import Obj
from wellhead.apiserver.audit.backend import Backend, Entry
from wellhead.apiserver.authn import User
from wellhead.apiserver.info import RequestInfo
from wellhead.storage.encoding import decode_json, encode_json
from wellhead.text import printable

_STATUS = b'{"kind":"Status",'
_DECISION, _REASON = "authorization.k8s.io/decision", "authorization.k8s.io/reason"
_REFERRED = (("namespace", "namespace"), ("name", "name"), ("uid", "uid"), ("resourceVersion",) * 2)
_CLOSED = {"status": "Success", "message": "Connection closed early"}


class AuditMetrics:
    """Under upstream's names."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"apiserver_audit_{name}", text, labels, registry=registry)

        self.events = counter("event_total", "Audit events that were made.")
        self.levels = counter("level_total", "Requests by the level that the policy wants of them.", "level")
        self.errors = counter("error_total", "Audit events that were lost, by the backend.", "plugin")
        self.rejected = counter(
            "requests_rejected_total", "Requests that were refused because their event couldn't be stored."
        )

    def lost(self, plugin: str, count: int) -> None:
        """Count events that a backend lost."""
        self.errors.labels(plugin).inc(count)


class Auditor:
    """Decides by the policy what is noted of a request, and hands events to the backends."""

    def __init__(self, policy: Policy, backends: Sequence[Backend], metrics: AuditMetrics) -> None:
        self._policy = policy
        self.backends = tuple(backends)
        self.metrics = metrics

    async def begin(
        self, request: web.BaseRequest, audit_id: str, info: RequestInfo, user: User | None
    ) -> Trail | None:
        """The request is there; None if nothing of it is to be noted. Raises InternalError."""
        decision = self._policy.decide(_asked(info, user))
        self.metrics.levels.labels(NAMES[decision.level]).inc()
        if decision.level is Level.NONE:
            return None
        trail = Trail(self, request, audit_id, info, user, decision)
        if not await trail.note("RequestReceived", None):
            self.metrics.rejected.inc()
            raise InternalError("failed to store audit event")
        return trail


class Trail:
    """What is noted of one request."""

    def __init__(
        self,
        auditor: Auditor,
        request: web.BaseRequest,
        audit_id: str,
        info: RequestInfo,
        user: User | None,
        decision: Decision,
    ) -> None:
        self._auditor = auditor
        self._started = False
        self._noted = Noted(
            decision,
            printable(audit_id),
            request.raw_path,
            info.verb,
            {} if user is None else user.info,
            _addresses(request),
            printable(request.headers.get("User-Agent", "")),
            _reference(info),
            time.time(),
        )
        self.annotations = self._noted.annotations
        """What others add to the events."""

    def acting_as(self, user: User) -> None:
        """The request counts as this user's."""
        self._noted.impersonated = user.info

    def decided(self, allowed: bool, reason: str) -> None:
        """What authorisation said."""
        self.annotations[_DECISION] = "allow" if allowed else "forbid"
        self.annotations[_REASON] = reason

    def sent(self, value: object, body: bytes | None) -> None:
        """The object that was sent; `body` if that is its JSON."""
        reference = self._noted.reference
        metadata = value.get("metadata") if isinstance(value, dict) else None
        if reference is not None and isinstance(metadata, dict):
            for name, of in _REFERRED:
                if isinstance(metadata.get(of), str):
                    reference.setdefault(name, metadata[of])
        if self._noted.decision.level >= Level.REQUEST:
            self._noted.request = body if body is not None and _is_text(body) else encode_json(value)

    def patch(self, body: bytes) -> None:
        """The patch that was sent; what isn't JSON can't be shown."""
        if self._noted.decision.level >= Level.REQUEST:
            with contextlib.suppress(ValueError):
                decode_json(body)
                self._noted.request = body

    async def answering(self, code: int) -> None:
        """The answer begins: an event of its own where it may go on for long."""
        self._started = True
        await self.note("ResponseStarted", Response(code))

    async def refused(self, request: web.BaseRequest) -> None:
        """Nobody knows whose request it is."""
        status = {"message": _attempted(request)}
        await self.note("ResponseStarted", Response(401, status))

    async def end(
        self, stage: str, response: web.StreamResponse, error: ApiError | None, *, endless: bool
    ) -> None:
        """The answer is there, or has been sent. `endless`: it could have lasted."""
        if endless and not self._started:
            await self.answering(response.status)
        await self.note(stage, self._response(response, error))

    def cut_off(self, *, endless: bool) -> None:
        """The client has left. Nobody waits for what becomes of these events."""
        if endless and not self._started:
            self._offer("ResponseStarted", Response(200, _CLOSED))
        self._offer("ResponseComplete", Response(200, None if self._started else _CLOSED))

    async def note(self, stage: str, response: Response | None) -> bool:
        """Make an event; whether the request may go on."""
        goes_on = True
        for backend, entry in self._entries(stage, response):
            goes_on &= await backend.process(entry) or not backend.is_strict
        return goes_on

    def _offer(self, stage: str, response: Response) -> None:
        for backend, entry in self._entries(stage, response):
            backend.offer(entry)

    def _entries(self, stage: str, response: Response | None) -> list[tuple[Backend, Entry]]:
        if stage in self._noted.decision.omitted:
            return []
        self._auditor.metrics.events.inc()
        at, annotations = time.time(), dict(self.annotations)
        return [
            (backend, Entry(self._noted, stage, at, response, annotations))
            for backend in self._auditor.backends
        ]

    def _response(self, response: web.StreamResponse, error: ApiError | None) -> Response:
        status: Obj | None = None if error is None else error.status
        body = response.body if isinstance(response, web.Response) else None
        if not isinstance(body, bytes) or response.content_type not in ("application/json", ""):
            return Response(response.status, status)
        zipped = "Content-Encoding" in response.headers
        if status is None and not zipped and body.startswith(_STATUS):
            status = decode_json(body)
        if self._noted.decision.level < Level.REQUEST_RESPONSE:
            body = None
        return Response(response.status, status, body, zipped)


def _asked(info: RequestInfo, user: User | None) -> Asked:
    name, groups = ("", ()) if user is None else (user.name, user.groups)
    if info.resource is None:
        return Asked(name, groups, info.verb, path=info.path)
    return Asked(
        name,
        groups,
        info.verb,
        info.resource.group,
        info.resource.plural,
        info.subresource,
        info.namespace,
        info.name or info.selected,
        info.path,
    )


def _reference(info: RequestInfo) -> dict[str, str] | None:
    if info.resource is None:
        return None
    found = {
        "resource": info.resource.plural,
        "namespace": info.namespace,
        "name": info.name or info.selected,
        "apiGroup": info.resource.group,
        "apiVersion": info.resource.version,
        "subresource": info.subresource,
    }
    return {name: value for name, value in found.items() if value}


def _addresses(request: web.BaseRequest) -> list[str]:
    """Whom the request came through, as the headers have it, and last from where it really came."""
    headers: Mapping[str, Any] = request.headers
    sent = [part.strip() for part in headers.get("X-Forwarded-For", "").split(",")]
    found = [each for each in sent if _is_address(each)]
    real = headers.get("X-Real-Ip", "").strip()
    if _is_address(real) and real not in found:
        found.append(real)
    peer = request.remote or ""
    if peer and (not found or found[-1] != peer):
        found.append(peer)
    return found


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _attempted(request: web.BaseRequest) -> str:
    scheme = request.headers.get("Authorization", "").partition(" ")[0].lower()
    ways = [scheme] if scheme in ("basic", "bearer") else []
    if "access_token" in request.query:
        ways.append("access_token")
    if request.get_extra_info("peercert"):
        ways.append("x509")
    if ways:
        return f"Authentication failed, attempted: {', '.join(ways)}"
    return "Authentication failed, no credentials provided"


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
