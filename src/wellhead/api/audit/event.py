"""An event of the audit log (audit.k8s.io/v1), from what was noted of a request on its way.

Upstream: pkg/audit/{request,context,event}.go.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from wellhead.api.audit.policy import NAMES, Decision, Level
from wellhead.api.meta import Obj

TRUNCATED = "audit.k8s.io/truncated"
_LONGEST_AGENT = 1024
_AT_REQUEST = ("patch.webhook.admission.k8s.io/",)
"""What annotations begin with that hold parts of objects: for the levels that show these."""

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Response:
    """An answer as far as an event tells of it."""

    code: int
    status: Obj | None = None
    """A Status that was the answer, or that says what went wrong."""
    body: bytes | None = None
    """The object that was the answer: JSON, or (`zipped`) the same compressed."""
    zipped: bool = False


@dataclass(slots=True)
class Noted:
    """What was noted of one request. Changes while the request goes on."""

    decision: Decision
    id: str
    uri: str
    verb: str
    user: Mapping[str, object]
    addresses: list[str]
    agent: str
    reference: dict[str, str] | None
    """objectRef."""
    received: float
    """Unix time."""
    impersonated: Mapping[str, object] | None = None
    request: bytes | None = None
    """The object that was sent, as JSON."""
    annotations: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """About how many bytes an event of it takes, without the answer."""
        return 1024 + len(self.uri) + len(self.request or b"")


def render(noted: Noted, stage: str, at: float, response: Response | None, annotations: Obj) -> bytes:
    """The event's JSON. `annotations` are those that there were at the time."""
    level = noted.decision.level
    agent = noted.agent
    if len(agent) > _LONGEST_AGENT:
        agent = f"{agent[:_LONGEST_AGENT]}...TRUNCATED"
    event: dict[str, Any] = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": NAMES[level],
        "auditID": noted.id,
        "stage": stage,
        "requestURI": noted.uri,
        "verb": noted.verb,
        "user": noted.user,
    }
    if noted.impersonated is not None:
        event["impersonatedUser"] = noted.impersonated
    if noted.addresses:
        event["sourceIPs"] = noted.addresses
    if agent:
        event["userAgent"] = agent
    if noted.reference is not None:
        event["objectRef"] = noted.reference
    if response is not None:
        event["responseStatus"] = _status(response)
    bare = noted.decision.without_managed_fields
    if noted.request is not None and level >= Level.REQUEST:
        event["requestObject"] = _object(noted.request, bare)
    if response is not None and response.body is not None and level >= Level.REQUEST_RESPONSE:
        body = gzip.decompress(response.body) if response.zipped else response.body
        event["responseObject"] = _object(body, bare)
    event["requestReceivedTimestamp"] = _time(noted.received)
    event["stageTimestamp"] = _time(at)
    shown = {
        key: value
        for key, value in annotations.items()
        if level >= Level.REQUEST or not key.startswith(_AT_REQUEST)
    }
    if shown:
        event["annotations"] = shown
    return _encode(event)


def truncated(event: bytes, most: int) -> bytes | None:
    """An event of at most so many bytes: without its objects, if it has more; None if that doesn't do."""
    if len(event) <= most:
        return event
    known = msgspec.json.decode(event)
    known.pop("requestObject", None)
    known.pop("responseObject", None)
    known.setdefault("annotations", {})[TRUNCATED] = "true"
    shorter = _encode(known)
    return shorter if len(shorter) <= most else None


def legacy(event: bytes) -> str:
    """The one-line text of `--audit-log-format legacy` (pkg/audit/format.go)."""
    known = msgspec.json.decode(event)
    user, acting = known["user"], known.get("impersonatedUser")
    reference = known.get("objectRef") or {}
    addresses = known.get("sourceIPs") or ["<unknown>"]
    code = (known.get("responseStatus") or {}).get("code")

    def said(value: object) -> str:
        return msgspec.json.encode(str(value)).decode()

    def groups(of: Obj) -> str:
        return ",".join(said(group) for group in of.get("groups") or ()) or said("<none>")

    return (
        f"{known['requestReceivedTimestamp']} AUDIT: id={said(known['auditID'])} stage={said(known['stage'])}"
        f" ip={said(addresses[0])} method={said(known['verb'])} user={said(user.get('username') or '<none>')}"
        f" groups={groups(user)} as={said((acting or {}).get('username') or '<self>')}"
        f" asgroups={groups(acting) if acting else said('<lookup>')}"
        f" user-agent={said(known.get('userAgent') or '')}"
        f" namespace={said(reference.get('namespace') or '<none>')} uri={said(known['requestURI'])}"
        f" response={said(code if code else '<deferred>')}"
    )


def _status(response: Response) -> Obj:
    found: Obj = {"metadata": {}}
    for name in ("status", "message", "reason", "details"):
        if response.status is not None and response.status.get(name):
            found[name] = response.status[name]
    return found | {"code": response.code}


def _object(data: bytes, bare: bool) -> object:
    if not bare:
        return msgspec.Raw(data)
    found = msgspec.json.decode(data)
    if isinstance(found, dict):
        items = found.get("items") or [row.get("object") for row in found.get("rows") or ()]
        for each in (found, *(item for item in items if isinstance(item, dict))):
            if isinstance(metadata := each.get("metadata"), dict):
                metadata.pop("managedFields", None)
    return found


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
