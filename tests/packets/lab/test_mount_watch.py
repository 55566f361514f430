"""A machine's own mounts are put back when somebody takes them away or lays something above them."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.packets.lab.supervised import SLEEPER, Supervise, Supervised, component
from tests.packets.lab.test_network_watch import on, put_back
from tests.patience import until

SECLUDED = ["node-1", "secluded", ["sleep"], None]
CACHE = "/var/cache/wellhead/images"
OWN = f"/proc /sys /sys/fs/cgroup /run {CACHE}"
HARMS = (
    "umount -l /sys",
    "umount -l /sys/fs/cgroup",
    "mount -t tmpfs none /sys",
    "mount -o remount,rw /proc && umount -l /proc",
    "mount -t tmpfs none /proc",
    f"umount {CACHE}",
    f"mount -o remount,bind,rw {CACHE}",
    f"mount -t tmpfs none {CACHE}",
)


def mounted(lab: Supervised) -> str:
    """What is at the places of a machine's own mounts, and whether that can be written, numbers left out."""
    return on(
        lab, "node-1", f"for at in {OWN}; do findmnt -rno TARGET,FSTYPE,VFS-OPTIONS -M $at | tail -n 1; done"
    )


def test_what_somebody_unmounts_is_put_back(supervise: Supervise) -> None:
    lab = supervise(SLEEPER)
    before = lab.running()
    well = mounted(lab)
    assert "ro," in well.splitlines()[-1]
    for number, harm in enumerate(HARMS, 1):
        on(lab, "node-1", harm)
        until(lambda: put_back(lab), lambda found, number=number: len(found) >= number)  # type: ignore[misc]
        until(lambda: mounted(lab), lambda found: found == well)
    on(lab, "node-1", "test -e /proc/1/comm && test -e /sys/class/net/eth0")
    # None of this is a reason to start anybody anew.
    assert component(lab.running(), "sleeper").pid == component(before, "sleeper").pid


def test_who_has_lost_its_run_directory_is_started_again(supervise: Supervise) -> None:
    lab = supervise(SLEEPER)
    pid, well = component(lab.running(), "sleeper").pid, mounted(lab)
    on(lab, "node-1", "umount -l /run")
    lab.until(lambda s: component(s, "sleeper").pid not in (0, pid))
    until(lambda: mounted(lab), lambda found: found == well)


@pytest.mark.parametrize("harm", ["umount -l {root}", "umount -l {kept}", "mount -t tmpfs none {root}"])
def test_what_hides_the_clusters_files_is_put_back(supervise: Supervise, harm: str) -> None:
    lab = supervise(SECLUDED)
    lab.running()
    root, kept = lab.cluster.root, lab.cluster.directory / "kept"
    (lab.cluster.directory / "secret").touch()
    (kept / "state").touch()
    seen = f"find {root} -type f"
    until(lambda: on(lab, "node-1", seen).split(), lambda found: found == [str(kept / "state")])
    # The supervisor has taken a turn since: it has seen that, too.
    lab.write([SECLUDED, SLEEPER])
    lab.tell(signal.SIGHUP)
    lab.until(lambda s: len(s.components) == 2 and component(s, "sleeper").pid > 0)
    pid = component(lab.running(), "secluded").pid
    on(lab, "node-1", harm.format(root=root, kept=kept))
    until(lambda: on(lab, "node-1", seen).split(), lambda found: found == [str(kept / "state")])
    lab.until(lambda s: component(s, "secluded").pid not in (0, pid))


def test_no_machine_can_write_what_images_are_made_of(supervise: Supervise) -> None:
    lab = supervise(SLEEPER)
    lab.running()
    assert on(lab, "node-1", f"touch {CACHE}/ours 2>&1 || echo refused").endswith("refused\n")
    assert not Path(CACHE, "ours").exists()
