"""PKCS#10 requests, and what the signers of kubernetes.io take.

Upstream: pkg/apis/certificates/helpers.go, pkg/controller/certificates/signer.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

# Loaded with the first request that is read: every component knows this kind, and few read one.
if TYPE_CHECKING:
    from cryptography import x509

CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
LEGACY = "kubernetes.io/legacy-unknown"
SIGNERS = (CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY)

_BEGIN, _END = "-----BEGIN CERTIFICATE REQUEST-----", "-----END CERTIFICATE REQUEST-----"


class BadRequest(Exception):
    """No request, or one whose signature isn't right; says why."""


@dataclass(frozen=True)
class Request:
    """What a request names."""

    name: str
    organizations: tuple[str, ...]
    dns: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    parsed: x509.CertificateSigningRequest | None = field(default=None, compare=False)


def read(encoded: str) -> Request:
    """From spec.request: base64 of PEM. Raises BadRequest."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.x509.oid import NameOID

    try:
        pem = base64.b64decode(encoded, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        pem = ""
    if not pem.lstrip().startswith(_BEGIN) or _END not in pem:
        raise BadRequest("PEM block type must be CERTIFICATE REQUEST")
    try:
        parsed = x509.load_pem_x509_csr(pem.encode())
        if not parsed.is_signature_valid:
            raise BadRequest("x509: the request's signature is not valid")
        names = _alternatives(parsed)
        return Request(
            next(iter(_text(parsed.subject, NameOID.COMMON_NAME)), ""),
            _text(parsed.subject, NameOID.ORGANIZATION_NAME),
            tuple(names.get_values_for_type(x509.DNSName)) if names else (),
            tuple(names.get_values_for_type(x509.RFC822Name)) if names else (),
            tuple(map(str, names.get_values_for_type(x509.IPAddress))) if names else (),
            tuple(names.get_values_for_type(x509.UniformResourceIdentifier)) if names else (),
            parsed,
        )
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature, x509.DuplicateExtension) as error:
        raise BadRequest(str(error) or type(error).__name__) from error


def _text(name: x509.Name, oid: x509.ObjectIdentifier) -> tuple[str, ...]:
    return tuple(str(each.value) for each in name.get_attributes_for_oid(oid))


def _alternatives(parsed: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName | None:
    from cryptography import x509

    try:
        return parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def problem(request: Request, usages: Collection[str], signer: str) -> str:
    """Why this signer doesn't sign that; "" if it does."""
    match signer:
        case "kubernetes.io/kube-apiserver-client":
            return _client_problem(usages)
        case "kubernetes.io/kube-apiserver-client-kubelet":
            return _kubelet_client_problem(request, usages)
        case "kubernetes.io/kubelet-serving":
            return _kubelet_serving_problem(request, usages)
    return ""


def _client_problem(usages: Collection[str]) -> str:
    for usage in usages:
        if usage not in ("digital signature", "key encipherment", "client auth"):
            return f"invalid usage for client certificate: {usage}"
    if "client auth" not in usages:
        return "missing required usage for client certificate: client auth"
    return ""


def _kubelet_client_problem(request: Request, usages: Collection[str]) -> str:
    if request.organizations != ("system:nodes",):
        return "subject organization is not system:nodes"
    for what, names in (
        ("DNS", request.dns),
        ("Email", request.emails),
        ("IP", request.addresses),
        ("URI", request.uris),
    ):
        if names:
            return f"{what} subjectAltNames are not allowed"
    return _of_node(request) or _usages(usages, "client auth")


def _kubelet_serving_problem(request: Request, usages: Collection[str]) -> str:
    if request.organizations != ("system:nodes",):
        return "subject organization is not system:nodes"
    if not request.dns and not request.addresses:
        return "DNS or IP subjectAltName is required"
    if request.emails:
        return "Email subjectAltNames are not allowed"
    if request.uris:
        return "URI subjectAltNames are not allowed"
    return _usages(usages, "server auth") or _of_node(request)


def _of_node(request: Request) -> str:
    if not request.name.startswith("system:node:"):
        return "subject common name does not begin with system:node:"
    return ""


def _usages(usages: Collection[str], purpose: str) -> str:
    wanted = {"digital signature", "key encipherment", purpose}
    if set(usages) in (wanted, wanted - {"key encipherment"}):
        return ""
    return f"usages did not match [{' '.join(sorted(wanted))}]"


def approval_of_own(request: Request, usages: Collection[str], signer: str, user: str) -> tuple[str, ...]:
    """The rights (to create these subresources) by which who asks for a node's client certificate gets it.

    Upstream: pkg/controller/certificates/approver.
    """
    if signer != KUBELET_CLIENT or problem(request, usages, signer):
        return ()
    return ("selfnodeclient", "nodeclient") if user == request.name else ("nodeclient",)
