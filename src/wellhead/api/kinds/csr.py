"""CertificateSigningRequests.

Upstream: pkg/apis/certificates/{v1/defaults.go,validation/validation.go}, pkg/registry/certificates.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from datetime import datetime

from wellhead.api import cells
from wellhead.api.ages import human_duration
from wellhead.api.causes import repeated
from wellhead.api.certificates.requests import LEGACY, BadRequest, read
from wellhead.api.errors import Cause
from wellhead.api.kind import Kind
from wellhead.api.kinds.signers import validate_signer_name
from wellhead.api.meta import Obj, now
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import Strategy

CERTIFICATESIGNINGREQUESTS = Resource(
    "certificates.k8s.io",
    "v1",
    "CertificateSigningRequest",
    "certificatesigningrequests",
    namespaced=False,
    short_names=("csr",),
    subresources=frozenset({"status", "approval"}),
    field_labels=("spec.signerName",),
)

APPROVED, DENIED, FAILED = "Approved", "Denied", "Failed"
_DECIDED = (APPROVED, DENIED)
_ALWAYS_TRUE = (APPROVED, DENIED, FAILED)
_USAGES = (
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
)
_SHORTEST = 600  # seconds
_PEM = re.compile(rb"-----BEGIN ([^-]*)-----(.*?)-----END \1-----", re.DOTALL)


def _any_name(_: str) -> list[str]:
    return []


class CSRStrategy(Strategy):
    name_check = staticmethod(_any_name)
    parts = frozenset({"approval"})
    part_metadata = Strategy.status_metadata - {"ownerReferences"}

    def validate_create(self, obj: Obj) -> list[Cause]:
        return [*_of_spec(obj.get("spec") or {})]

    def prepare_update(self, new: Obj, old: Obj, context: object) -> None:
        new["spec"] = old["spec"]

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        return []

    def prepare_status_update(self, new: Obj, old: Obj) -> None:
        kept = {each: [c for c in _conditions(old) if c.get("type") == each] for each in _DECIDED}
        for condition in _conditions(new):
            # An approval that is sent along is the one that there is: of it nothing changes here.
            same = kept.get(condition.get("type") or "")
            if same and len(same) == sum(c.get("type") == condition["type"] for c in _conditions(new)):
                condition |= same[0]
        _stamp(new, old)

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        causes = [*_of_conditions(new, old), *_of_certificate(new, old)]
        for kind in _DECIDED:
            before, after = (sum(c.get("type") == kind for c in _conditions(each)) for each in (old, new))
            if after > before:
                text = f'updates may not add a condition of type "{kind}"'
                causes.append(Cause.forbidden("status.conditions", text))
        return causes

    def combine_part(self, subresource: str, new: Obj, old: Obj) -> Obj:
        status = {**(old.get("status") or {}), "conditions": [dict(each) for each in _conditions(new)]}
        mixed = {**old, "status": status}
        _stamp(mixed, old)
        return mixed

    def validate_part(self, subresource: str, new: Obj, old: Obj) -> list[Cause]:
        return [*_of_conditions(new, old)]


def _conditions(obj: Obj) -> list[Obj]:
    found: list[Obj] = (obj.get("status") or {}).get("conditions") or []
    return found


def _stamp(new: Obj, old: Obj) -> None:
    moment = now()
    since: dict[tuple[str | None, str | None], str] = {}
    for each in _conditions(old):
        if time := each.get("lastTransitionTime"):
            since.setdefault((each.get("type"), each.get("status")), time)
    for condition in _conditions(new):
        condition["lastUpdateTime"] = condition.get("lastUpdateTime") or moment
        if not condition.get("lastTransitionTime"):
            same = condition.get("type"), condition.get("status")
            condition["lastTransitionTime"] = since.get(same, moment)


def _of_spec(spec: Obj) -> Iterator[Cause]:
    try:
        read(spec.get("request") or "")
    except BadRequest as error:
        yield Cause.invalid("spec.request", spec.get("request") or "", str(error))
    usages = spec.get("usages") or []
    if not usages:
        yield Cause.required("spec.usages")
    for index, (usage, again) in enumerate(zip(usages, repeated(usages), strict=True)):
        at = f"spec.usages[{index}]"
        if usage not in _USAGES:
            yield Cause.not_supported(at, usage, _USAGES)
        if again:
            yield Cause.duplicate(at, usage)
    signer = spec.get("signerName") or ""
    if signer == LEGACY:
        text = "the legacy signerName is not allowed via this API version"
        yield Cause.invalid("spec.signerName", signer, text)
    else:
        yield from validate_signer_name(signer, "spec.signerName")
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < _SHORTEST:
        text = "may not specify a duration less than 600 seconds (10 minutes)"
        yield Cause.invalid("spec.expirationSeconds", seconds, text)


def _of_conditions(new: Obj, old: Obj) -> Iterator[Cause]:
    at = "status.conditions"
    types = [each.get("type") or "" for each in _conditions(new)]
    for index, (condition, again) in enumerate(zip(_conditions(new), repeated(types), strict=True)):
        kind, status = types[index], condition.get("status") or ""
        if not kind:
            yield Cause.required(f"{at}[{index}].type")
        allowed = ("True",) if kind in _ALWAYS_TRUE else ("False", "True", "Unknown")
        if not status:
            yield Cause.required(f"{at}[{index}].status")
        elif status not in allowed:
            yield Cause.not_supported(f"{at}[{index}].status", status, allowed)
        if again:
            yield Cause.duplicate(f"{at}[{index}].type", kind)
    if {*_DECIDED} <= {*types}:
        last = [kind for kind in types if kind in _DECIDED][-1]
        yield Cause.invalid(at, last, "Approved and Denied conditions are mutually exclusive")
    for kind in _ALWAYS_TRUE:
        if types.count(kind) < [each.get("type") for each in _conditions(old)].count(kind):
            yield Cause.forbidden(at, f'updates may not remove a condition of type "{kind}"')


def _of_certificate(new: Obj, old: Obj) -> Iterator[Cause]:
    at = "status.certificate"
    before, after = ((each.get("status") or {}).get("certificate") or "" for each in (old, new))
    if before == after:
        return
    if before:
        yield Cause.forbidden(at, "updates may not modify existing certificate content")
    if problem := _certificate_problem(base64.b64decode(after)):
        yield Cause.invalid(at, "<certificate data>", problem)


def _certificate_problem(data: bytes) -> str:
    from cryptography import x509

    blocks = _PEM.findall(data)
    if not blocks:
        return "must contain at least one CERTIFICATE PEM block"
    for kind, content in blocks:
        if kind != b"CERTIFICATE":
            return f'only CERTIFICATE PEM blocks are allowed, found "{kind.decode(errors="replace")}"'
        if b":" in content:
            return "no PEM block headers are permitted"
        try:
            x509.load_der_x509_certificate(base64.b64decode(content))
        except ValueError as error:
            return str(error)
    return ""


def _state(csr: Obj) -> str:
    types = {each.get("type") for each in _conditions(csr)}
    state = DENIED if DENIED in types else APPROVED if APPROVED in types else "Pending"
    if FAILED in types:
        state += ",Failed"
    return state + (",Issued" if (csr.get("status") or {}).get("certificate") else "")


def _cells(csr: Obj, now: datetime) -> list[Cell]:
    spec = csr["spec"]
    seconds = spec.get("expirationSeconds")
    return [
        cells.name(csr),
        cells.created(csr, now),
        spec.get("signerName") or cells.NONE,
        spec.get("username") or "",
        cells.NONE if seconds is None else human_duration(seconds),
        _state(csr),
    ]


_PRINTER = Printer(
    (
        NAME,
        AGE,
        Column("SignerName"),
        Column("Requestor"),
        Column("RequestedDuration"),
        Column("Condition"),
    ),
    _cells,
)

KIND = Kind(CERTIFICATESIGNINGREQUESTS, CSRStrategy(), _PRINTER)
