"""Making the certificate that a request asks for. Upstream: pkg/controller/certificates/authority."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from wellhead.api.certificates.requests import Request

_BACKDATE = timedelta(minutes=5)
_SHORT = timedelta(hours=8)
_SHORTEST = timedelta(minutes=10)
_KEY_USAGES = {
    "signing": "digital_signature",
    "digital signature": "digital_signature",
    "content commitment": "content_commitment",
    "key encipherment": "key_encipherment",
    "key agreement": "key_agreement",
    "data encipherment": "data_encipherment",
    "cert sign": "key_cert_sign",
    "crl sign": "crl_sign",
    "encipher only": "encipher_only",
    "decipher only": "decipher_only",
}
_PURPOSES = {
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "s/mime": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "ipsec end system": ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec tunnel": ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec user": ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "microsoft sgc": ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape sgc": ObjectIdentifier("2.16.840.1.113730.4.1"),
}


@dataclass(frozen=True)
class Authority:
    """Whoever signs, and for how long at most."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    longest: timedelta

    @classmethod
    def load(cls, certificate: Path, key: Path, longest: timedelta) -> Authority:
        """Raises OSError, ValueError."""
        private = load_pem_private_key(key.read_bytes(), None)
        if not isinstance(private, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise ValueError(f"{key} is neither an RSA nor an elliptic-curve key")
        return cls(x509.load_pem_x509_certificate(certificate.read_bytes()), private, longest)

    def sign(self, request: Request, usages: Iterable[str], seconds: int | None, now: datetime) -> bytes:
        """The certificate, in PEM: with the request's subject and names, for the usages, and no more."""
        assert request.parsed is not None
        ends = self.certificate.not_valid_after_utc
        lasts = self._lasts(seconds)
        until = min(now + lasts - (_BACKDATE if lasts >= _SHORT else timedelta()), ends)
        public = request.parsed.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(request.parsed.subject)
            .issuer_name(self.certificate.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATE)
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
        )
        usages = [*usages]
        if key_usage := _key_usage(usages):
            builder = builder.add_extension(key_usage, critical=True)
        if purposes := [*dict.fromkeys(_PURPOSES[each] for each in usages if each in _PURPOSES)]:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        for extension in request.parsed.extensions:
            if isinstance(extension.value, x509.SubjectAlternativeName):
                builder = builder.add_extension(extension.value, critical=extension.critical)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def _lasts(self, seconds: int | None) -> timedelta:
        if seconds is None:
            return self.longest
        return max(min(timedelta(seconds=seconds), self.longest), _SHORTEST)


def _key_usage(usages: Iterable[str]) -> x509.KeyUsage | None:
    wanted = {_KEY_USAGES[each] for each in usages if each in _KEY_USAGES}
    if not wanted:
        return None
    only = wanted & {"encipher_only", "decipher_only"}
    if only:
        wanted.add("key_agreement")  # of which these are a part
    return x509.KeyUsage(**{each: each in wanted for each in dict.fromkeys(_KEY_USAGES.values())})
