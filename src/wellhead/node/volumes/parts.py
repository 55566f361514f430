"""A part of a volume (subPath), for a container that must not see the rest.

Whoever writes to the volume may put a link where the part was, between our look at it and the runtime's mount
(CVE-2021-25741). So the part is opened beneath its volume, what was opened is mounted in a place of ours, and
the runtime gets that place.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from wellhead.linux import mounts, paths


def pin(volume: Path, part: str, place: Path) -> None:
    """Mount `part` of the volume at `place`, which is made. A part that isn't there becomes a directory.

    Raises:
        OSError: EXDEV if the part is outside of the volume, by a link or a `..`.
    """
    # A hostPath may well be a link; whoever may name one could have named its target.
    with paths.directory(volume, links=True) as top:
        found = _open(top, part)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            if stat.S_ISDIR(os.fstat(found).st_mode):
                place.mkdir()
            else:
                place.touch(exist_ok=False)
            mounts.mount(paths.self_path(found), place, flags=mounts.MS_BIND | mounts.MS_REC)
        finally:
            os.close(found)


def _open(top: int, part: str) -> int:
    try:
        return paths.open_at(top, part, os.O_PATH, paths.BENEATH | paths.NO_MAGICLINKS)
    except FileNotFoundError:
        # For whom the volume is, the part is: its mode, and its group by the volume's setgid bit.
        return paths.open_directory(top, part, stat.S_IMODE(os.fstat(top).st_mode))
