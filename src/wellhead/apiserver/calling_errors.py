"""Why another server couldn't be reached, as Go says it: clients and suites look for the words."""

from __future__ import annotations

import os
import re
import ssl

import aiohttp

_NAMES = re.compile(r"certificate is not valid for '([^']*)'")


def reason(error: BaseException, address: str) -> str:
    """What follows `Post "URL": `. `address` is what was dialled, HOST:PORT."""
    match error:
        case TimeoutError():
            return "context deadline exceeded"
        case aiohttp.ClientConnectorCertificateError():
            return _of_certificate(error.certificate_error)
        case aiohttp.ClientConnectorSSLError():
            return f"remote error: tls: {error.os_error.strerror or error}"
        case aiohttp.ClientConnectorDNSError():
            host = address.rpartition(":")[0]
            return f"dial tcp: lookup {host}: no such host"
        case aiohttp.ClientConnectorError() if error.os_error.errno:
            return f"dial tcp {address}: connect: {os.strerror(error.os_error.errno).lower()}"
        case aiohttp.ServerDisconnectedError():
            return "EOF"
    return str(error) or type(error).__name__


def _of_certificate(error: Exception) -> str:
    said = "tls: failed to verify certificate: x509: "
    if isinstance(error, ssl.SSLCertVerificationError):
        match error.verify_code:
            case 10:
                return f"{said}certificate has expired or is not yet valid: {error.verify_message}"
            case 18 | 19 | 20 | 21:
                return f"{said}certificate signed by unknown authority"
            case 62 | 64:
                names = _NAMES.search(error.verify_message)
                return f"{said}certificate is not valid for {names[1] if names else 'that name'}"
    return f"{said}{error}"
