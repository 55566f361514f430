from __future__ import annotations

import ssl
import stat
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from wellhead.lab import pki
from wellhead.lab.addresses import IPV4, IPV6


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pki")
    pki.ensure(path, [*pki.control_plane_identities([IPV4]), *pki.node_identities(1, [IPV4])])
    return path


def _certificate(directory: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((directory / f"{name}.crt").read_bytes())


def _subject(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(oid)]


@pytest.mark.parametrize(
    ("file", "user", "groups"),
    [
        ("admin", "kubernetes-admin", ["system:masters"]),
        ("apiserver-kubelet-client", "kube-apiserver-kubelet-client", []),
        ("controller-manager", "wellhead:controller-manager", []),
        ("scheduler", "wellhead:scheduler", []),
        ("node-1-proxy", "system:kube-proxy", ["wellhead.dev/node:node-1"]),
        ("cloud", "system:cloud-controller-manager", []),
        ("dns", "system:coredns", []),
        ("image-puller", "wellhead:image-puller", []),
        ("node-1", "system:node:node-1", ["system:nodes"]),
    ],
)
def test_a_client_certificate_names_user_and_groups(
    directory: Path, file: str, user: str, groups: list[str]
) -> None:
    certificate = _certificate(directory, file)
    assert _subject(certificate, NameOID.COMMON_NAME) == [user]
    assert _subject(certificate, NameOID.ORGANIZATION_NAME) == groups


def test_in_both_families_it_covers_the_addresses_of_both(tmp_path: Path) -> None:
    pki.ensure(tmp_path, pki.control_plane_identities([IPV4, IPV6]))
    names = _certificate(tmp_path, pki.APISERVER).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert {
        ip_address(each) for each in ("10.240.0.2", "fd00:10:240::2", "2001:db8:192::2", "fd00:10::1")
    } < set(names.value.get_values_for_type(x509.IPAddress))


def test_the_api_servers_certificate_covers_all_its_names(directory: Path) -> None:
    certificate = _certificate(directory, pki.APISERVER)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.IPAddress)) == {
        ip_address(each) for each in ("127.0.0.1", "10.240.0.2", "192.0.2.2", "10.0.0.1")
    }
    assert set(names.get_values_for_type(x509.DNSName)) == {
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    }


def test_members_of_an_etcd_are_servers_and_clients_of_an_authority_of_their_own(
    directory: Path, tmp_path: Path
) -> None:
    pki.ensure(tmp_path, pki.etcd_identities([IPV4], 3))
    member = _certificate(tmp_path, pki.ETCD_MEMBER)
    purposes = member.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(purposes) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    names = member.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {ip_address(each) for each in ("10.240.0.2", "10.240.0.4", "10.240.0.5")} < set(
        names.get_values_for_type(x509.IPAddress)
    )
    assert _certificate(tmp_path, pki.CA) != _certificate(directory, pki.CA)


def test_keys_are_for_root_alone(directory: Path) -> None:
    for path in directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


@pytest.mark.parametrize(("client", "trusted"), [("admin", True), ("node-1-server", False)])
def test_mutual_tls_under_strict_verification(directory: Path, client: str, trusted: bool) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=directory / "ca.crt")
    server.verify_mode = ssl.CERT_REQUIRED
    server.verify_flags |= ssl.VERIFY_X509_STRICT
    server.load_cert_chain(directory / "apiserver.crt", directory / "apiserver.key")
    user = ssl.create_default_context(cafile=directory / "ca.crt")
    user.verify_flags |= ssl.VERIFY_X509_STRICT
    user.load_cert_chain(directory / f"{client}.crt", directory / f"{client}.key")

    to_server, to_user = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_side = server.wrap_bio(to_server, to_user, server_side=True)
    user_side = user.wrap_bio(to_user, to_server, server_hostname="10.240.0.2")

    def shake() -> None:
        for _ in range(6):
            for side in (user_side, server_side):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue

    if trusted:
        shake()
        assert server_side.getpeercert()
    else:
        with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
            shake()


def test_what_exists_is_never_made_again(directory: Path) -> None:
    before = {path: path.read_bytes() for path in directory.iterdir()}
    pki.ensure(directory, [*pki.control_plane_identities([IPV4]), *pki.node_identities(1, [IPV4])])
    assert {path: path.read_bytes() for path in directory.iterdir()} == before


def test_a_key_without_certificate_is_the_rest_of_a_crash(tmp_path: Path) -> None:
    identity = pki.Identity("someone", "someone")
    (tmp_path / "ca.key").write_bytes(b"half")
    (tmp_path / "someone.key").write_bytes(b"half")
    pki.ensure(tmp_path, [identity])
    assert _certificate(tmp_path, "someone").issuer == _certificate(tmp_path, "ca").subject
    ssl.create_default_context().load_cert_chain(tmp_path / "someone.crt", tmp_path / "someone.key")


def test_a_new_node_joins_the_same_authority(directory: Path) -> None:
    pki.ensure(directory, pki.node_identities(2, [IPV4]))
    certificate = _certificate(directory, "node-2-server")
    certificate.verify_directly_issued_by(_certificate(directory, "ca"))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("10.240.0.12")]
