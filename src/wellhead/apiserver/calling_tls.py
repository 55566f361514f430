"""How the servers that this one calls are verified: webhooks, and those behind APIServices."""

from __future__ import annotations

import base64
import binascii
import ssl
from functools import lru_cache


class BadBundle(Exception):
    """A caBundle that holds no certificates; in upstream's words."""

    def __init__(self) -> None:
        super().__init__("unable to load root certificates: unable to parse bytes as PEM block")


@lru_cache(maxsize=256)
def verifying(ca_bundle: str, certificate: tuple[str, str] | None = None) -> ssl.SSLContext:
    """By the authorities of a caBundle (base64 of PEM), without one by the machine's own.

    `certificate` is a certificate's file and its key's, to be known by. Raises BadBundle.
    """
    try:
        pem = base64.b64decode(ca_bundle, validate=True).decode("ascii")
        context = ssl.create_default_context(cadata=pem or None)
    except (binascii.Error, UnicodeDecodeError, ssl.SSLError, ValueError):
        raise BadBundle from None
    # What Go takes: certificates without the key identifiers that Python has wanted since 3.13.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    context.set_alpn_protocols(["http/1.1"])
    if certificate is not None:
        context.load_cert_chain(*certificate)
    return context


def unverifying() -> ssl.SSLContext:
    """Takes any certificate. Without the machine's authorities, which take 18 ms and megabytes to load."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@lru_cache(maxsize=4)
def unverified(certificate: tuple[str, str] | None = None) -> ssl.SSLContext:
    """By nothing: insecureSkipTLSVerify."""
    context = unverifying()
    context.set_alpn_protocols(["http/1.1"])
    if certificate is not None:
        context.load_cert_chain(*certificate)
    return context
