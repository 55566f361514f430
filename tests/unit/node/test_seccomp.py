"""Which profile a container gets, and what of a profile holds on which machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.node import pods
from wellhead.node.pods.seccomp import Machine, ProfileError, Profiles, resolved

KILLS = {"defaultAction": "SCMP_ACT_KILL"}
HERE = Machine((6, 1), "x86_64")


@pytest.fixture
def profiles(tmp_path: Path) -> Profiles:
    (tmp_path / "default.json").write_text('{"defaultAction": "SCMP_ACT_ERRNO"}')
    (tmp_path / "seccomp/of").mkdir(parents=True)
    (tmp_path / "seccomp/of/mine.json").write_text(json.dumps(KILLS))
    (tmp_path / "secret.json").write_text(json.dumps(KILLS))
    (tmp_path / "seccomp/out.json").symlink_to("../secret.json")
    (tmp_path / "seccomp/empty.json").write_text("{}")
    return Profiles(tmp_path / "seccomp", default=tmp_path / "default.json")


def _action(profiles: Profiles, own: Any = None, of_pod: Any = None, **context: Any) -> str | None:
    container = pods.container("main", securityContext={**context, "seccompProfile": own})
    pod = pods.pod(container, securityContext={"seccompProfile": of_pod})
    found = profiles.of(pod, container, ())
    return None if found is None else str(found["defaultAction"])


DEFAULT = {"type": "RuntimeDefault"}
UNCONFINED = {"type": "Unconfined"}


def _local(name: str | None) -> dict[str, Any]:
    return {"type": "Localhost", "localhostProfile": name}


def test_nobody_is_confined_who_does_not_ask_unless_that_is_configured(profiles: Profiles) -> None:
    assert _action(profiles) is None
    everybody = Profiles(profiles.local, by_default=True, default=profiles.default)
    assert _action(everybody) == "SCMP_ACT_ERRNO"
    assert _action(everybody, UNCONFINED) is None


def test_the_containers_profile_wins_over_the_pods(profiles: Profiles) -> None:
    assert _action(profiles, of_pod=DEFAULT) == "SCMP_ACT_ERRNO"
    assert _action(profiles, UNCONFINED, DEFAULT) is None
    assert _action(profiles, _local("of/mine.json"), DEFAULT) == "SCMP_ACT_KILL"


def test_a_privileged_container_is_not_confined(profiles: Profiles) -> None:
    assert _action(profiles, DEFAULT, DEFAULT, privileged=True) is None


@pytest.mark.parametrize(
    "name", ["missing.json", "../secret.json", "out.json", "empty.json", "of", None, "a\0b"]
)
def test_a_profile_that_is_none_is_refused(profiles: Profiles, name: str | None) -> None:
    with pytest.raises(ProfileError):
        _action(profiles, _local(name))


def test_a_machine_without_the_default_profile_says_where_it_should_be(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=str(tmp_path / "none.json")):
        _action(Profiles(default=tmp_path / "none.json"), DEFAULT)


def _names(*calls: dict[str, Any], capabilities: tuple[str, ...] = (), machine: Machine = HERE) -> list[str]:
    found = resolved({**KILLS, "syscalls": list(calls)}, capabilities, machine)
    return [name for call in found["syscalls"] for name in call["names"]]


def _call(name: str, **conditions: Any) -> dict[str, Any]:
    return {"names": [name], "action": "SCMP_ACT_ALLOW", "comment": "", **conditions}


def test_a_call_may_depend_on_capabilities() -> None:
    calls = (
        _call("bpf", includes={"caps": ["CAP_BPF", "CAP_SYS_ADMIN"]}),
        _call("clone", excludes={"caps": ["CAP_SYS_ADMIN", "CAP_BPF"]}),
    )
    assert _names(*calls) == ["clone"]
    assert _names(*calls, capabilities=("CAP_SYS_ADMIN",)) == []
    assert _names(*calls, capabilities=("CAP_BPF", "CAP_SYS_ADMIN")) == ["bpf"]


def test_a_call_may_depend_on_the_processor_and_the_kernel() -> None:
    calls = (
        _call("arch_prctl", includes={"arches": ["amd64", "x32"]}),
        _call("sync_file_range2", excludes={"arches": ["amd64"]}),
        _call("ptrace", includes={"minKernel": "4.8"}),
        _call("old", excludes={"minKernel": "4.8"}),
    )
    assert _names(*calls) == ["arch_prctl", "ptrace"]
    assert _names(*calls, machine=Machine((4, 7), "aarch64")) == ["sync_file_range2", "old"]
    assert _names({"name": "read", "action": "SCMP_ACT_ALLOW"}) == ["read"]


def test_the_processor_decides_the_architectures_and_the_runtime_hears_nothing_else() -> None:
    document = {
        **KILLS,
        "defaultErrnoRet": 0,
        "defaultErrno": "EPERM",
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": []},
        ],
        "syscalls": [_call("read", args=[{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}], errno="EPERM")],
    }
    assert resolved(document, (), HERE) == {
        **KILLS,
        "defaultErrnoRet": 0,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": [
            {
                "names": ["read"],
                "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}],
            }
        ],
    }
    own = {**KILLS, "architectures": ["SCMP_ARCH_ARM"], "flags": ["SECCOMP_FILTER_FLAG_LOG"]}
    assert resolved(own, (), HERE) == {**own, "syscalls": []}
