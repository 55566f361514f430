"""`wellhead dns`: what it makes of its options."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

import pytest
from click.testing import CliRunner

from wellhead import component
from wellhead.cli import dns
from wellhead.dns.main import Config


def configured(monkeypatch: pytest.MonkeyPatch, *options: str) -> Config | str:
    """The configuration that the component is run with, or why it isn't."""
    found: list[Config] = []
    monkeypatch.setattr(dns, "run", found.append)
    monkeypatch.setattr(component, "run", lambda *_, **__: None)
    result = CliRunner().invoke(dns.command, options)
    return found[0] if found else result.output


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("192.0.2.53", ("192.0.2.53", 53)),
        ("192.0.2.53:5353", ("192.0.2.53", 5353)),
        ("2001:db8::53", ("2001:db8::53", 53)),
        ("[2001:db8::53]", ("2001:db8::53", 53)),
        ("[2001:db8::53]:5353", ("2001:db8::53", 5353)),
    ],
)
def test_a_resolver_is_an_address_with_a_port_or_without(
    monkeypatch: pytest.MonkeyPatch, given: str, asked: tuple[str, int]
) -> None:
    config = configured(monkeypatch, "--forward", given)
    assert isinstance(config, Config)
    assert config.upstreams == (asked,)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--forward", "resolver.example"], "does not appear to be an IPv4 or IPv6 address"),
        (["--forward", "192.0.2.53:0"], "'0' is no port"),
        (["--forward", "192.0.2.53:65536"], "'65536' is no port"),
        (["--forward", "[2001:db8::53"], "does not appear"),
        (["--forward", "127.0.0.1:53"], "that is this server itself"),
        (["--bind-address", "0.0.0.0"], "give each address that clients ask"),
        (["--bind-address", "::"], "give each address that clients ask"),
        (["--service-cluster-ip", "fd00:10::a"], "a --bind-address for each"),
        (["--cluster-domain", "."], "is no domain"),
        (["--cluster-domain", f"{'a' * 64}.local"], "is no domain"),
    ],
)
def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch, options: Sequence[str], why: str) -> None:
    refused = configured(monkeypatch, *options)
    assert isinstance(refused, str)
    assert why in " ".join(refused.split())


def test_the_domain_is_written_in_one_way(monkeypatch: pytest.MonkeyPatch) -> None:
    config = configured(monkeypatch, "--cluster-domain", "Corp.Example.", "--bind-address", "::1")
    assert isinstance(config, Config)
    assert (config.domain, config.addresses) == ("corp.example", (ip_address("::1"),))
