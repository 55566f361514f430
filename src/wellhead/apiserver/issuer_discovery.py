"""Who signs service accounts' tokens, for others who verify them: OpenID Connect Discovery.

Upstream: pkg/serviceaccount/openidmetadata.go.
"""

from __future__ import annotations

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from wellhead.api.meta import Obj

ALGORITHM = "ES256"
KEYS_PATH = "/openid/v1/jwks"
KEYS_TYPE = "application/jwk-set+json"


def configuration(issuer: str, server: str) -> Obj:
    """/.well-known/openid-configuration. `server` is HOST:PORT."""
    return {
        "issuer": issuer,
        "jwks_uri": f"https://{server}{KEYS_PATH}",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
    }


def key_id(key: ec.EllipticCurvePublicKey) -> str:
    """What a token's header calls the key that signed it."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return _text(hashlib.sha256(der).digest())


def key_set(key: ec.EllipticCurvePublicKey) -> Obj:
    """The keys, as RFC 7517 writes them."""
    numbers = key.public_numbers()
    size = (key.curve.key_size + 7) // 8
    entry = {
        "use": "sig",
        "kty": "EC",
        "kid": key_id(key),
        "crv": "P-256",
        "alg": ALGORITHM,
        "x": _text(numbers.x.to_bytes(size)),
        "y": _text(numbers.y.to_bytes(size)),
    }
    return {"keys": [entry]}


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
