"""What is started in a container counts as the container's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from wellhead.node.runtime.cgroups import Cgroups, Limits, Pod
from wellhead.node.runtime.containers import Runtime


@pytest.mark.parametrize("unified", [True, False])
def test_who_is_executed_enters_the_containers_cgroups_first(tmp_path: Path, unified: bool) -> None:
    roots = {"": tmp_path / "all"} if unified else {each: tmp_path / each for each in ("cpu", "memory")}
    for root in roots.values():
        root.mkdir()
    cgroups = Cgroups(roots, unified)
    runtime = Runtime(tmp_path / "run", cgroups)
    assert runtime.within("x", "exec") == runtime.command("exec")
    cgroups.make("x", Limits())
    places = [root / "x/cgroup.procs" for root in roots.values()]
    command = runtime.within("x", "exec", "--option with blanks")
    given = runtime.command("exec", "--option with blanks")
    assert command[-len(given) :] == given
    # The same with a program that there is.
    done = subprocess.run(
        [*command[: -len(given)], "echo", "a  b", "--"], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("a  b --\n", "")
    assert [place.read_text() for place in places] == ["0\n"] * len(places)


def test_a_container_that_has_just_gone_is_no_complaint_of_the_shell(tmp_path: Path) -> None:
    cgroups = Cgroups({"": tmp_path}, True)
    cgroups.make("x", Limits())
    command = Runtime(tmp_path / "run", cgroups).within("x", "exec")
    for path in (tmp_path / "x").iterdir():
        path.unlink()
    (tmp_path / "x").rmdir()
    end = command.index("--") + 1
    done = subprocess.run([*command[:end], "echo", "on"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("on\n", "")


@pytest.mark.parametrize("unified", [True, False])
def test_the_containers_of_a_pod_have_theirs_below_its_own(tmp_path: Path, unified: bool) -> None:
    roots = {"": tmp_path / "all"} if unified else {each: tmp_path / each for each in ("cpu", "memory")}
    for root in roots.values():
        root.mkdir()
    cgroups = Cgroups(roots, unified)
    made = cgroups.make("x", Limits(), Pod("u-1", Limits(memory=4096)))
    memory = roots["" if unified else "memory"]
    assert memory / "pod-u-1/x" in made.values()
    name = "memory.max" if unified else "memory.limit_in_bytes"
    assert (memory / "pod-u-1" / name).read_text() == "4096"
    assert (memory / "pod-u-1/x" / name).read_text() == ("max" if unified else "-1")
    cgroups.apply("x", Limits(memory=1024))
    cgroups.apply_to_pod(Pod("u-1", Limits(memory=2048)))
    assert (memory / "pod-u-1/x" / name).read_text() == "1024"
    assert (memory / "pod-u-1" / name).read_text() == "2048"
    assert cgroups.left() == {"x"}
    cgroups.apply_to_pod(Pod("u-2", Limits()))
    assert not (memory / "pod-u-2").exists()


def test_in_version_1_a_containers_processors_are_its_pods_first(tmp_path: Path) -> None:
    cgroups = Cgroups({each: tmp_path / each for each in ("cpu", "memory")}, unified=False)
    for each in ("cpu", "memory"):
        (tmp_path / each).mkdir()
    few, more = Limits(cpu=200), Limits(cpu=300)
    cgroups.make("x", few, Pod("u", few))
    quota = tmp_path / "cpu/pod-u/cpu.cfs_quota_us"
    cgroups.apply("x", more)
    assert quota.read_text() == "30000"
    cgroups.apply("x", few)
    assert quota.read_text() == "30000"  # another container may still have it
    cgroups.apply_to_pod(Pod("u", Limits()))
    cgroups.apply("x", more)
    assert quota.read_text() == "-1"
