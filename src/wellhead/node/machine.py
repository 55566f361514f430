"""Which run of which machine this is: what was started before a reboot is gone, whatever files say."""

from __future__ import annotations

from pathlib import Path

from wellhead.linux import files, namespaces, trees

_FILE = "machine"


def identity() -> str:
    """Names the running machine: its kernel's boot, its pid namespace, and when its PID 1 began."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    pid_namespace = namespaces.identity("/proc/self/ns/pid")
    # The fields after the command, which may hold anything; starttime is the 22nd of all.
    started = Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19]
    return f"{boot} {pid_namespace} {started}"


def volatile_directory(root: Path) -> Path:
    """ROOT/run, emptied if it is from before a reboot."""
    directory = root / "run"
    marker = directory / _FILE
    if directory.exists() and (not marker.exists() or marker.read_text() != identity()):
        trees.remove(directory)
    directory.mkdir(parents=True, exist_ok=True)
    # In one step: an empty marker would look like another machine's, whose containers are void.
    files.write_if_different(marker, identity().encode())
    return directory
