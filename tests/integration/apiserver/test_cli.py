"""Which Service ranges the command line takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.integration.apiserver.pki import Pki
from wellhead import component
from wellhead.apiserver import main
from wellhead.cli import apiserver


def invoke(pki: Pki, ranges: str, advertised: str = "192.0.2.1") -> Result:
    files = {
        "--tls-cert-file": "server.crt",
        "--tls-private-key-file": "server.key",
        "--client-ca-file": "ca.crt",
        "--kubelet-client-certificate": "admin.crt",
        "--kubelet-client-key": "admin.key",
        "--service-account-key-file": "service-account.key",
    }
    arguments = [part for flag, name in files.items() for part in (flag, str(Path(pki.directory) / name))]
    arguments += ["--storage", "memory:", "--bind-address", "::1", "--advertise-address", advertised]
    return CliRunner().invoke(apiserver.command, [*arguments, "--service-cluster-ip-range", ranges])


@pytest.mark.parametrize(
    ("ranges", "advertised"),
    [
        ("10.0.0.0/16", "192.0.2.1"),
        ("10.0.0.0/16,fd00:10::/112", "192.0.2.1"),
        ("fd00:10::/64,10.0.0.0/16", "2001:db8::1"),
    ],
)
def test_one_range_or_one_of_each_family(
    pki: Pki, monkeypatch: pytest.MonkeyPatch, ranges: str, advertised: str
) -> None:
    given: list[str] = []

    def take(config: main.Config) -> None:
        given.extend(map(str, config.service_cluster_ip_ranges))

    monkeypatch.setattr(apiserver, "run", take)
    monkeypatch.setattr(component, "run", lambda *_, **__: None)
    result = invoke(pki, ranges, advertised)
    assert result.exit_code == 0, result.output
    assert given == ranges.split(",")


@pytest.mark.parametrize(
    ("ranges", "problem"),
    [
        ("10.0.0.0/16,10.1.0.0/16", "must be of different IP families"),
        ("10.0.0.0/16,fd00:10::/112,fd00:11::/112", "must not hold more than two values"),
        ("fd00::/48", "the mask must be >= 64"),
        ("10.0.0.0/30", "at least 8 addresses"),
        ("10.0.0.1/16", "has host bits set"),
        ("fd00:10::/112,10.0.0.0/16", "must be of the family of the first --service-cluster-ip-range"),
    ],
)
def test_other_ranges_are_refused(pki: Pki, ranges: str, problem: str) -> None:
    result = invoke(pki, ranges)
    assert result.exit_code == 2
    assert problem in " ".join(result.output.replace("│", " ").split())
