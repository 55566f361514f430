"""Who a container's processes are, and what they may do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.unit.node import pods
from wellhead.node.pods import security
from wellhead.node.pods.security import SecurityError
from wellhead.node.runtime import oci
from wellhead.node.runtime.oci import DEFAULT_CAPABILITIES, User

EVERYTHING = frozenset({*DEFAULT_CAPABILITIES, "CAP_MKNOD", "CAP_NET_ADMIN", "CAP_SYS_ADMIN"})


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nweb:x:101:102::/:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\nweb:x:102:\nlogs:x:103:web\n")
    return tmp_path


def _user(rootfs: Path, image_user: str = "", of_pod: Any = None, own: Any = None) -> User:
    container = pods.container("main", securityContext=own or {})
    return security.user(pods.pod(container, securityContext=of_pod or {}), container, image_user, rootfs)


def test_a_container_is_root_unless_somebody_says_otherwise(rootfs: Path) -> None:
    assert _user(rootfs) == User(0, 0, ())
    assert _user(rootfs, "web") == User(101, 102, (103,))
    assert _user(rootfs, "101:logs") == User(101, 103, ())


def test_home_is_what_the_image_says_of_the_user_or_the_root(rootfs: Path) -> None:
    accounts = "root:x:0:0::/root:/bin/sh\nweb:x:101:102::/srv/web:/bin/sh\nshort:x:5:5\nnone:x:6:6:::\n"
    (rootfs / "etc/passwd").write_text(accounts)
    for name, home in (("", "/root"), ("0", "/root"), ("web", "/srv/web"), ("101", "/srv/web")):
        assert _user(rootfs, name).home == home
    for name in ("short", "none", "1000", "1000:102"):
        assert _user(rootfs, name).home == "/"
    assert _user(rootfs, "web", {"runAsUser": 7}).home == "/"
    assert _user(rootfs, "1000", {"runAsUser": 101}).home == "/srv/web"

    def homes(*env: str) -> list[str]:
        container = oci.Container("id", rootfs, rootfs, rootfs, ("sh",), env=env, user=_user(rootfs, "web"))
        return [each for each in oci.config(container)["process"]["env"] if each.startswith("HOME=")]

    assert homes("HOMELESS=1") == ["HOME=/srv/web"]
    assert homes("HOME=/elsewhere") == ["HOME=/elsewhere"]


def test_the_container_wins_over_the_pod_and_the_pod_over_the_image(rootfs: Path) -> None:
    assert _user(rootfs, "web", {"runAsUser": 7, "fsGroup": 9}) == User(7, 0, (9,))
    both = _user(rootfs, "", {"runAsUser": 7}, {"runAsUser": 8, "runAsGroup": 5})
    assert both == User(8, 5, ())


def test_root_is_refused_if_the_spec_says_so(rootfs: Path) -> None:
    for image_user, of_pod, why in (
        ("", {}, "image will run as root"),
        ("0", {}, "image will run as root"),
        ("web", {}, r"image has non-numeric user \(web\), cannot verify user is non-root"),
        ("101", {"runAsUser": 0}, "container's runAsUser breaks non-root policy"),
    ):
        with pytest.raises(SecurityError, match=why):
            _user(rootfs, image_user, {"runAsNonRoot": True, **of_pod})
    assert _user(rootfs, "101", {"runAsNonRoot": True}).uid == 101
    assert _user(rootfs, "web", {"runAsNonRoot": True, "runAsUser": 7}).uid == 7
    with pytest.raises(SecurityError, match="no user 'nobody'"):
        _user(rootfs, "nobody")


def test_capabilities_are_added_dropped_and_never_more_than_ours() -> None:
    default = security.capabilities({}, EVERYTHING)
    assert set(default) == set(DEFAULT_CAPABILITIES)
    added = security.capabilities({"capabilities": {"add": ["NET_ADMIN", "SYS_TIME"]}}, EVERYTHING)
    assert set(added) - set(default) == {"CAP_NET_ADMIN"}
    few = {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}
    assert security.capabilities(few, EVERYTHING) == ("CAP_NET_BIND_SERVICE",)
    assert set(security.capabilities({"privileged": True}, EVERYTHING)) == EVERYTHING


def test_only_the_privileged_make_device_nodes() -> None:
    for add in (["MKNOD"], ["ALL"], ["CAP_MKNOD", "NET_ADMIN"]):
        assert "CAP_MKNOD" not in security.capabilities({"capabilities": {"add": add}}, EVERYTHING)
    assert "CAP_MKNOD" in security.capabilities({"privileged": True}, EVERYTHING)
    asked = {"capabilities": {"add": ["MKNOD", "NET_ADMIN", "SYS_TIME"]}}
    assert security.not_given(asked, EVERYTHING) == ("CAP_MKNOD", "CAP_SYS_TIME")
    assert security.not_given({**asked, "privileged": True}, EVERYTHING) == ("CAP_SYS_TIME",)
    assert security.not_given({"capabilities": {"add": ["ALL"]}}, EVERYTHING) == ()


def test_devices_that_a_volume_holds_are_for_the_privileged_only(tmp_path: Path) -> None:
    (tmp_path / "disk").touch()

    def options(source: Path, *, privileged: bool) -> set[str]:
        mounts = (oci.Mount(source, "/data", options=("noexec",)),)
        container = oci.Container(
            "id", tmp_path, tmp_path, tmp_path, ("sh",), mounts=mounts, privileged=privileged
        )
        return set(oci.config(container)["mounts"][-1]["options"])

    assert options(tmp_path, privileged=False) == {"rbind", "rprivate", "rw", "noexec", "rnodev"}
    assert options(tmp_path / "disk", privileged=False) == {"rbind", "rprivate", "rw", "noexec", "nodev"}
    assert options(tmp_path, privileged=True) == {"rbind", "rprivate", "rw", "noexec"}


def test_what_the_kernel_tells_about_itself_is_masked_but_for_the_privileged() -> None:
    where = Path("/x")
    plain = oci.config(oci.Container("id", where, where, where, ("sh",)))
    assert "/proc/kcore" in plain["linux"]["maskedPaths"]
    assert "rlimits" not in plain["process"]
    privileged = oci.config(oci.Container("id", where, where, where, ("sh",), privileged=True))
    assert "maskedPaths" not in privileged["linux"]


def test_all_of_proc_may_be_there() -> None:
    where = Path("/nowhere")
    found = oci.config(oci.Container("id", where, where, where, ("sh",), unmasked=True))
    assert not found["linux"].keys() & {"maskedPaths", "readonlyPaths"}


def test_users_of_its_own_are_mapped_to_a_range_of_the_nodes() -> None:
    where, users = Path("/nowhere"), Path("/ns/user")
    container = oci.Container("id", where, where, where, ("sh",), namespaces={"user": users}, first_id=131072)
    found = oci.config(container)["linux"]
    assert {"type": "user", "path": "/ns/user"} in found["namespaces"]
    mapping = [{"containerID": 0, "hostID": 131072, "size": 65536}]
    assert (found["uidMappings"], found["gidMappings"]) == (mapping, mapping)


def test_a_namespace_is_joined_new_or_the_nodes() -> None:
    where = Path("/x")
    namespaces = {"network": Path("/ns/net"), "uts": None}
    found = oci.config(oci.Container("id", where, where, where, ("sh",), namespaces=namespaces))
    kinds = {each["type"]: each.get("path") for each in found["linux"]["namespaces"]}
    assert kinds == {"mount": None, "pid": None, "network": "/ns/net", "ipc": None}


def test_an_image_does_not_make_us_read_the_hosts_accounts(tmp_path: Path, rootfs: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-host"
    outside.write_text("web:x:1:1::/:\n")
    for link in (str(outside), f"../../../../../..{outside}"):
        (rootfs / "etc/passwd").unlink()
        (rootfs / "etc/passwd").symlink_to(link)
        with pytest.raises(SecurityError, match="no user 'web'"):
            _user(rootfs, "web")


def test_a_link_within_the_image_is_followed_as_a_container_would(rootfs: Path) -> None:
    (rootfs / "etc/passwd").rename(rootfs / "accounts")
    (rootfs / "etc/passwd").symlink_to("/accounts")
    assert _user(rootfs, "web") == User(101, 102, (103,))


def test_accounts_that_are_no_file_are_none(rootfs: Path) -> None:
    (rootfs / "etc/passwd").unlink()
    os.mkfifo(rootfs / "etc/passwd")
    assert _user(rootfs, "5") == User(5, 0, ())


@pytest.mark.parametrize("number", ["", "x", "-1", "²", "4294967296", "1 "])
def test_an_entry_without_a_number_is_nobodys_least_of_all_roots(rootfs: Path, number: str) -> None:
    (rootfs / "etc/passwd").write_text(f"web:x:{number}:0::/:\n")
    with pytest.raises(SecurityError, match="no user 'web'"):
        _user(rootfs, "web")
    (rootfs / "etc/group").write_text(f"web:x:{number}:\n")
    with pytest.raises(SecurityError, match="no group 'web'"):
        _user(rootfs, "5:web")
