"""Which credentials are for an image: pkg/credentialprovider/keyring_test.go's cases among them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from wellhead.images.registry.credentials import BadCredentials, Login, auth_file, keyring, lookup

ME = Login("me", "pass")
MINE = {"auth": base64.b64encode(b"me:pass").decode()}


def modern(**auths: Any) -> dict[str, Any]:
    return _secret("kubernetes.io/dockerconfigjson", ".dockerconfigjson", {"auths": auths})


def legacy(**auths: Any) -> dict[str, Any]:
    return _secret("kubernetes.io/dockercfg", ".dockercfg", auths)


def _secret(kind: str, key: str, content: Any) -> dict[str, Any]:
    data = base64.b64encode(json.dumps(content).encode()).decode()
    return {"metadata": {"name": "s"}, "type": kind, "data": {key: data}}


def found(place: str, image: str) -> bool:
    return lookup(keyring([modern(**{place: MINE})]), image) == (ME,)


@pytest.mark.parametrize(
    ("place", "image", "matches"),
    [
        ("example.com", "example.com/a", True),
        ("https://example.com", "example.com/a/b:1", True),
        ("https://example.com/v2/", "example.com/a", True),
        ("example.com/team", "example.com/team/a", True),
        ("example.com/team", "example.com/other/a", False),
        ("example.com", "example.com:5000/a", False),
        ("example.com:5000", "example.com:5000/a", True),
        ("*.example.com", "a.example.com/x", True),
        ("*.example.com", "a.b.example.com/x", False),
        ("*.example.com", "example.com/x", False),
        ("prefix*.example.com", "prefix1.example.com/x", True),
        ("https://index.docker.io/v1/", "nginx", True),
        ("https://index.docker.io/v1/", "team/app:1", True),
        ("docker.io", "nginx", True),
        ("https://index.docker.io/v1/", "example.com/nginx", False),
    ],
)
def test_a_place_is_matched_as_the_kubelet_does(place: str, image: str, matches: bool) -> None:
    assert found(place, image) is matches


def test_the_longest_place_comes_first_and_all_are_tried() -> None:
    other = {"username": "other", "password": "x"}
    keys = keyring([modern(**{"example.com": MINE}), legacy(**{"example.com/team": other})])
    assert lookup(keys, "example.com/team/a") == (Login("other", "x"), ME)
    assert lookup(keys, "example.com/a") == (ME,)


def test_what_cannot_be_read_is_said_without_its_content() -> None:
    bad = _secret(
        "kubernetes.io/dockerconfigjson", ".dockerconfigjson", {"auths": {"x": {"auth": "hunter2"}}}
    )
    with pytest.raises(BadCredentials) as caught:
        keyring([bad])
    assert "hunter2" not in str(caught.value)
    assert keyring([{"type": "Opaque", "data": {".dockercfg": "x"}}]) == {}


def test_skopeo_gets_it_for_this_registry_alone() -> None:
    assert json.loads(auth_file("example.com/a:1", ME)) == {"auths": {"example.com": MINE}}
    assert "pass" not in repr(ME)
