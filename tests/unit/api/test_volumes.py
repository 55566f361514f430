"""Paths in a pod's spec: what could lead a node out of a volume is refused before any node sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.api.objects import create, named, problems
from wellhead.api.errors import Invalid
from wellhead.api.formats import local_path
from wellhead.api.meta import Obj
from wellhead.api.resources import DEPLOYMENTS, PODS

FIELD = {"fieldRef": {"fieldPath": "metadata.name"}}


def _pod(container: Obj | None = None, **spec: Any) -> Obj:
    return named("p", spec={"containers": [{"name": "c", "image": "busybox", **(container or {})}], **spec})


def _with_volume(**source: Any) -> Obj:
    return _pod(volumes=[{"name": "v", **source}])


def _refusal(pod: Obj) -> list[str]:
    try:
        create(PODS, pod)
    except Invalid as refused:
        return problems(refused)
    return []


def _config_map(path: str) -> Obj:
    return _with_volume(configMap={"name": "n", "items": [{"key": "k", "path": path}]})


def _secret(path: str) -> Obj:
    return _with_volume(secret={"secretName": "n", "items": [{"key": "k", "path": path}]})


def _downward(path: str) -> Obj:
    return _with_volume(downwardAPI={"items": [{"path": path, **FIELD}]})


def _projected(**source: Any) -> Obj:
    return _with_volume(projected={"sources": [source]})


FILES: dict[str, Callable[[str], Obj]] = {
    "configMap.items[0].path": _config_map,
    "secret.items[0].path": _secret,
    "downwardAPI.path": _downward,
    "projected.sources[0].configMap.items[0].path": lambda path: _projected(
        configMap={"name": "n", "items": [{"key": "k", "path": path}]}
    ),
    "projected.sources[0].secret.items[0].path": lambda path: _projected(
        secret={"name": "n", "items": [{"key": "k", "path": path}]}
    ),
    "projected.sources[0].downwardAPI.path": lambda path: _projected(
        downwardAPI={"items": [{"path": path, **FIELD}]}
    ),
    "projected.path": lambda path: _projected(serviceAccountToken={"path": path}),
    "projected.sources[0].clusterTrustBundle.path": lambda path: _projected(
        clusterTrustBundle={"path": path, "name": "b"}
    ),
}

BAD_PATHS = [
    ("", "Required value"),
    ("/etc/passwd", 'Invalid value: "/etc/passwd": must be a relative path'),
    ("..", "Invalid value: \"..\": must not contain '..'"),
    ("../x", "Invalid value: \"../x\": must not contain '..'"),
    ("a/../../x", "Invalid value: \"a/../../x\": must not contain '..'"),
    ("..data/x", "Invalid value: \"..data/x\": must not start with '..'"),
    ("./.", 'Invalid value: "./.": must name a file'),
    ("a\0b", 'Invalid value: "a\\x00b": must not contain a NUL character'),
    ("x" * 256, f'Invalid value: "{"x" * 256}": filenames must be less than or equal to 255 bytes'),
    ("é" * 128, f'Invalid value: "{"é" * 128}": filenames must be less than or equal to 255 bytes'),
    ("x/" * 2048, f'Invalid value: "{"x/" * 2048}": must be less than or equal to 4095 bytes'),
]


@pytest.mark.parametrize(("path", "problem"), BAD_PATHS)
@pytest.mark.parametrize("field", FILES)
def test_a_file_of_a_volume_stays_in_it(field: str, path: str, problem: str) -> None:
    assert f"spec.volumes[0].{field}: {problem}" in _refusal(FILES[field](path))


@pytest.mark.parametrize("path", ["a", "deep/er/file", ".hidden", "a..b", "a/..b", "a//b/", "é"])
@pytest.mark.parametrize("field", FILES)
def test_an_odd_but_harmless_path_is_allowed(field: str, path: str) -> None:
    assert _refusal(FILES[field](path)) == []


def test_a_template_is_held_to_the_same() -> None:
    labels = {"app": "a"}
    template = {"metadata": {"labels": labels}, "spec": _config_map("../x")["spec"]}
    deployment = named("d", spec={"selector": {"matchLabels": labels}, "template": template})
    with pytest.raises(Invalid, match=r"must not contain '\.\.'") as refused:
        create(DEPLOYMENTS, deployment)
    assert problems(refused.value)[0].startswith("spec.template.spec.volumes[0].configMap.items[0].path: ")


@pytest.mark.parametrize(
    ("pod", "problem"),
    [
        (
            _with_volume(hostPath={"path": "/var/../etc"}),
            "spec.volumes[0].hostPath.path: Invalid value: \"/var/../etc\": must not contain '..'",
        ),
        (
            _with_volume(hostPath={"path": "/a\0b"}),
            'spec.volumes[0].hostPath.path: Invalid value: "/a\\x00b": must not contain a NUL character',
        ),
        (
            _with_volume(hostPath={"path": "/x", "type": "Odd"}),
            'spec.volumes[0].hostPath.type: Unsupported value: "Odd": supported values: "", "BlockDevice", '
            '"CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"',
        ),
        (
            _with_volume(configMap={"name": "n", "items": [{"key": "k", "path": "x", "mode": 0o1000}]}),
            "spec.volumes[0].configMap.items[0].mode: Invalid value: 512: "
            "must be a number between 0 and 0777 (octal), both inclusive",
        ),
        (
            _with_volume(secret={"secretName": "n", "defaultMode": -1}),
            "spec.volumes[0].secret.defaultMode: Invalid value: -1: "
            "must be a number between 0 and 0777 (octal), both inclusive",
        ),
        (
            _with_volume(emptyDir={"mode": 0o2000}),
            "spec.volumes[0].emptyDir.mode: Invalid value: 1024: "
            "must be a number between 0 and 01777 (octal), both inclusive",
        ),
        (
            _with_volume(configMap={"name": "n", "items": [{"key": "k", "path": "x", "user": 2**31}]}),
            "spec.volumes[0].configMap.items[0].user: Invalid value: 2147483648: "
            "must be between 0 and 2147483647, inclusive",
        ),
        (
            _pod(securityContext={"supplementalGroups": [1, -1]}),
            "spec.securityContext.supplementalGroups[1]: Invalid value: -1: "
            "must be between 0 and 2147483647, inclusive",
        ),
        (
            _pod({"securityContext": {"runAsUser": -1}}),
            "spec.containers[0].securityContext.runAsUser: Invalid value: -1: "
            "must be between 0 and 2147483647, inclusive",
        ),
        (
            _with_volume(secret={"secretName": "n", "items": [{"key": "", "path": "x"}]}),
            "spec.volumes[0].secret.items[0].key: Required value",
        ),
        (
            _with_volume(downwardAPI={"items": [{"path": "x"}]}),
            "spec.volumes[0].downwardAPI: Required value: one of fieldRef and resourceFieldRef is required",
        ),
        (
            _projected(serviceAccountToken={"path": "t", "expirationSeconds": 599}),
            "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 599: "
            "may not specify a duration less than 10 minutes",
        ),
        (
            _projected(configMap={"name": "n"}, secret={"name": "n"}),
            "spec.volumes[0].projected.sources[0]: Forbidden: may not specify more than 1 volume type per "
            "source",
        ),
        (
            _with_volume(
                projected={
                    "sources": [
                        {"serviceAccountToken": {"path": "t"}},
                        {"downwardAPI": {"items": [{"path": "t", **FIELD}]}},
                    ]
                }
            ),
            'spec.volumes[0].projected: Invalid value: "t": conflicting duplicate paths',
        ),
    ],
)
def test_what_is_wrong_with_a_volume_is_said(pod: Obj, problem: str) -> None:
    assert problem in _refusal(pod)


@pytest.mark.parametrize(
    ("mount", "problem"),
    [
        ({"subPath": "/etc"}, 'subPath: Invalid value: "/etc": must be a relative path'),
        ({"subPath": "a/../.."}, "subPath: Invalid value: \"a/../..\": must not contain '..'"),
        ({"subPathExpr": "/$(X)"}, 'subPathExpr: Invalid value: "/$(X)": must be a relative path'),
        ({"subPathExpr": "../$(X)"}, "subPathExpr: Invalid value: \"../$(X)\": must not contain '..'"),
        ({"subPath": "a\0"}, 'subPath: Invalid value: "a\\x00": must not contain a NUL character'),
        (
            {"bindMountOptions": ["noexec", "dev"]},
            'bindMountOptions[1]: Unsupported value: "dev": supported values: "nodev", "noexec", "nosuid"',
        ),
        ({"mountPath": "/a\0"}, 'mountPath: Invalid value: "/a\\x00": must not contain a NUL character'),
    ],
)
def test_a_part_of_a_volume_stays_in_it(mount: Obj, problem: str) -> None:
    mounted = {"name": "v", "mountPath": "/v", **mount}
    refused = _refusal(_pod({"volumeMounts": [mounted]}, volumes=[{"name": "v"}]))
    place = "volumeMounts" if problem.startswith("subPath:") else "volumeMounts[0]"
    assert f"spec.containers[0].{place}.{problem}" in refused


@pytest.mark.parametrize("field", ["workingDir", "terminationMessagePath"])
def test_a_path_in_a_container_ends_where_it_is_written_to_end(field: str) -> None:
    (refused,) = _refusal(_pod({field: "/dev/null\0x"}))
    assert refused.startswith(f"spec.containers[0].{field}: ")
    assert refused.endswith("must not contain a NUL character")


def test_a_variables_file_stays_in_its_volume() -> None:
    reference = {"volumeName": "v", "path": "../x", "key": "K"}
    entry = {"name": "A", "valueFrom": {"fileKeyRef": reference}}
    (refused,) = _refusal(_pod({"env": [entry]}, volumes=[{"name": "v"}]))
    assert refused.startswith("spec.containers[0].env[0].valueFrom.fileKeyRef.path: ")


@given(st.text(st.sampled_from("./a\0"), min_size=1, max_size=12))
def test_what_is_a_local_path_names_something_below(text: str) -> None:
    if not local_path(text):
        names = [name for name in text.split("/") if name not in ("", ".")]
        assert names
        assert ".." not in names
        assert not names[0].startswith("..")
        assert not text.startswith("/")
        assert "\0" not in text
