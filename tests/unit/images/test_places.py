"""Which addresses a registry may lead us to."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from wellhead.images.bounds import ImageError
from wellhead.images.registry import places


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "169.254.169.254",
     "::ffff:169.254.169.254", "fe80::1", "224.0.0.1", "ff02::1"],
)  # fmt: skip
def test_nobody_is_sent_to_loopback_or_link_local(address: str) -> None:
    assert places.refusal(ip_address(address))


@pytest.mark.parametrize("address", ["192.0.2.1", "10.0.0.1", "2001:db8::1", "fd00::1"])
def test_a_registry_may_be_anywhere_else(address: str) -> None:
    assert places.refusal(ip_address(address)) is None


def test_what_a_configuration_names(tmp_path: Path) -> None:
    file = tmp_path / "registries.conf"
    file.write_text(
        '[[registry]]\nprefix = "a.example"\nlocation = "localhost:5000/x"\n'
        '[[registry.mirror]]\nlocation = "[::1]:5001"\n'
        '[[registry]]\nprefix = "b.example"\n'
    )
    found = places.configured(file)
    assert found == {("localhost", 5000), ("::1", 5001), ("b.example", 443), ("b.example", 80)}
    assert places.configured(tmp_path / "missing") == frozenset()
    file.write_text("[[registry")
    with pytest.raises(ImageError, match=r"registries\.conf"):
        places.configured(file)


def test_an_images_own_registry() -> None:
    assert places.of_image("localhost:5000/x") == {("localhost", 5000)}
    assert places.of_image("x") == {("docker.io", 443), ("docker.io", 80)}
