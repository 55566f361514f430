"""The cluster's certificate authority and every certificate that its parts identify themselves with.

A certificate that exists is never made again, so whatever trusts the cluster keeps trusting it until
`wellhead down`. Key before certificate: a crash between the two leaves a key without a certificate, and
the next start makes both anew.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from wellhead.lab.addresses import AddressPlan, IPAddress
from wellhead.lab.topology import node_name
from wellhead.linux.files import write_atomically

_VALIDITY = datetime.timedelta(days=3650)
_CLOCK_SKEW = datetime.timedelta(hours=1)

CA = "ca"
APISERVER = "apiserver"
SERVICE_ACCOUNT_KEY = "service-account.key"
ETCD = "etcd"
"""The directory of etcd's certificates, which come from an authority of its own: no node may speak to it."""
FRONT_PROXY = "front-proxy"
"""The directory of the front proxy's, again of another authority: who has one may speak for anybody."""
FRONT_PROXY_CLIENT = "front-proxy-client"
ETCD_MEMBER, ETCD_CLIENT = "member", "apiserver-etcd-client"


@dataclass(frozen=True)
class Identity:
    """Who a certificate names. With `names` it is a server's, without them a client's, for a `peer` both.

    For a client the API server takes CN as the user and O as the groups.
    """

    file: str  # the stem of FILE.crt and FILE.key
    user: str
    groups: tuple[str, ...] = ()
    names: tuple[str | IPAddress, ...] = ()
    peer: bool = False


def control_plane_identities(plans: Sequence[AddressPlan], count: int = 1) -> tuple[Identity, ...]:
    """Everybody's but the nodes'."""
    kubernetes = ("kubernetes", "default", "svc", "cluster", "local")
    server_names: list[str | IPAddress] = ["localhost", ip_address("127.0.0.1")]
    server_names += [".".join(kubernetes[:length]) for length in (1, 2, 3, 5)]
    for plan in plans:
        for number in range(1, count + 1):
            server_names += [plan.control_plane_of(number), plan.control_plane_external_of(number)]
        server_names.append(plan.kubernetes_service)
        if plan.nodes.version == 6:
            server_names.append(ip_address("::1"))
    return (
        Identity(APISERVER, "kube-apiserver", names=tuple(server_names)),
        Identity("apiserver-kubelet-client", "kube-apiserver-kubelet-client"),
        Identity("admin", "kubernetes-admin", ("system:masters",)),
        Identity("controller-manager", "wellhead:controller-manager"),
        Identity("scheduler", "wellhead:scheduler"),
        Identity("cloud", "system:cloud-controller-manager"),
        Identity("dns", "system:coredns"),
        Identity("node-network", "system:node-network"),
        Identity("image-puller", "wellhead:image-puller"),
    )


def etcd_identities(plans: Sequence[AddressPlan], count: int) -> tuple[Identity, ...]:
    """Those of an etcd with a member on each control plane."""
    addresses = [plan.control_plane_of(number) for plan in plans for number in range(1, count + 1)]
    names = ("localhost", ip_address("127.0.0.1"), *addresses)
    return (
        Identity(ETCD_MEMBER, "etcd", names=names, peer=True),
        Identity(ETCD_CLIENT, "kube-apiserver-etcd-client"),
    )


def node_identities(number: int, plans: Sequence[AddressPlan]) -> tuple[Identity, ...]:
    """A node agent's: as a client of the API server, and as the server that the API server calls."""
    name = node_name(number)
    addresses = tuple(plan.node(number) for plan in plans)
    return (
        Identity(name, f"system:node:{name}", ("system:nodes",)),
        Identity(f"{name}-proxy", "system:kube-proxy", (f"wellhead.dev/node:{name}",)),
        Identity(f"{name}-policy", "wellhead:policy", (f"wellhead.dev/node:{name}",)),
        Identity(f"{name}-storage", "wellhead:node-storage", (f"wellhead.dev/node:{name}",)),
        Identity(f"{name}-server", f"system:node:{name}", ("system:nodes",), (name, *addresses)),
    )


def ensure(directory: Path, identities: Sequence[Identity]) -> None:
    """Make the authority and certificates, where missing.

    Raises:
        OSError: when a file can't be read or written.
        ValueError: when the authority's files are damaged.
    """
    key, certificate = _ensure_authority(directory)
    for identity in identities:
        path = directory / f"{identity.file}.crt"
        if not path.exists() or not _names(path, identity):
            own_key = ec.generate_private_key(ec.SECP256R1())
            _write_key(path.with_suffix(".key"), own_key)
            _write_certificate(path, _issue(identity, own_key.public_key(), key, certificate))


def ensure_signing_key(directory: Path) -> None:
    """Make the key that signs service-account tokens, where it is missing. Raises OSError."""
    signing_key = directory / SERVICE_ACCOUNT_KEY
    if not signing_key.exists():
        _write_key(signing_key, ec.generate_private_key(ec.SECP256R1()))


def _names(path: Path, identity: Identity) -> bool:
    """Whether the certificate is this identity's: an earlier release may have given it another name."""
    subject = x509.load_pem_x509_certificate(path.read_bytes()).subject
    return [each.value for each in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == [identity.user]


def _ensure_authority(directory: Path) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key_file, certificate_file = directory / f"{CA}.key", directory / f"{CA}.crt"
    if certificate_file.exists():
        key = load_pem_private_key(key_file.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key_file} is not an elliptic-curve key")
        return key, x509.load_pem_x509_certificate(certificate_file.read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "wellhead")])
    certificate = (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write_key(key_file, key)
    _write_certificate(certificate_file, certificate)
    return key, certificate


def _issue(
    identity: Identity,
    public_key: ec.EllipticCurvePublicKey,
    authority_key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
) -> x509.Certificate:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in identity.groups]
    attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, identity.user))
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH] if identity.names else []
    if identity.peer or not identity.names:
        purposes.append(ExtendedKeyUsageOID.CLIENT_AUTH)
    builder = (
        _builder(x509.Name(attributes), authority.subject, public_key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        # Python 3.13 verifies strictly (RFC 5280): without these two it refuses the certificate.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
        )
    )
    if identity.names:
        names = [x509.DNSName(n) if isinstance(n, str) else x509.IPAddress(n) for n in identity.names]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(authority_key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _VALIDITY)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    write_atomically(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _write_certificate(path: Path, certificate: x509.Certificate) -> None:
    write_atomically(path, certificate.public_bytes(Encoding.PEM))
