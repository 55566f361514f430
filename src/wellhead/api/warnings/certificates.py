"""A pair of a certificate and its key that no server could use. Upstream: Go's tls.X509KeyPair."""

from __future__ import annotations

import base64
import binascii
import re

from wellhead.api.meta import Obj

_BLOCK = re.compile(rb"^-----BEGIN ([^-\r\n]+)-----\r?$(.*?)^-----END \1-----", re.MULTILINE | re.DOTALL)
_KEY = re.compile(rb"(.* )?PRIVATE KEY")


def of_pair(data: Obj) -> list[str]:
    """The data of a Secret of type kubernetes.io/tls, as stored."""
    certificate, key = (_decoded(data.get(name, "")) for name in ("tls.crt", "tls.key"))
    problem = _missing(certificate, b"CERTIFICATE", "certificate") or _missing(key, None, "key")
    if not problem and not _belong_together(certificate, key):
        problem = "private key does not match public key"
    return [f"tls: {problem}"] if problem else []


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError):
        return b""


def _missing(text: bytes, wanted: bytes | None, what: str) -> str:
    kinds = [kind for kind, _ in _BLOCK.findall(text)]
    if any(kind == wanted if wanted else _KEY.fullmatch(kind) for kind in kinds):
        return ""
    if not kinds:
        return f"failed to find any PEM data in {what} input"
    skipped = f"[{' '.join(kind.decode(errors='replace') for kind in kinds)}]"
    if wanted:
        after = f"after skipping PEM blocks of the following types: {skipped}"
        return f'failed to find "CERTIFICATE" PEM block in certificate input {after}'
    if kinds == [b"CERTIFICATE"]:
        return "found a certificate rather than a key in the PEM for the private key"
    return (
        'failed to find PEM block with type ending in "PRIVATE KEY" in key input '
        f"after skipping PEM blocks of the following types: {skipped}"
    )


def _belong_together(certificate: bytes, key: bytes) -> bool:
    """Whether it is the key of the certificate; of what can't be read nothing is said."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        public = x509.load_pem_x509_certificate(certificate).public_key()
        return load_pem_private_key(key, None).public_key() == public
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return True
