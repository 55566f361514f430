"""The image `busybox`: busybox-static with all its applets, and a shell as the default command.

Its wget is called by a program of ours: Debian's builds know no `-T` (and crash on it), and demand
certificates of an authority that no image has, where the usual builds demand none. The shell is that of
Debian's other build, which finds programs by the path: the static one's takes its own applets for them.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from wellhead.images import packages, recipe
from wellhead.images.store import Config

PACKAGES = ("busybox-static", "openssl")
"""The latter is what Debian's busybox speaks HTTPS by."""

_SHELL_PACKAGE = "busybox"
_SHELL = "/usr/lib/busybox/shell"

OPENSSL = "/usr/bin/openssl"

_WGET = """\
#!/bin/sh
# busybox's wget, with -T SECONDS, and without asking whose certificate a server has, as its usual builds.
# The shell finds it here: it is a build that has no wget of its own before its path.
seconds=
n=$#
while [ $n -gt 0 ]; do
  word=$1; shift; n=$((n - 1))
  case $word in
    --) set -- "$@" -- ;;
    --timeout=*) seconds=${word#*=} ;;
    --header | --post-data | --post-file | --output-document | --user-agent | --directory-prefix | --proxy)
      [ $n -gt 0 ] || { set -- "$@" "$word"; continue; }
      value=$1; shift; n=$((n - 1)); set -- "$@" "$word" "$value" ;;
    -- | --*) set -- "$@" "$word" ;;
    -?*)
      rest=${word#-} kept=- value= more=
      while [ -n "$rest" ]; do
        letter=${rest%"${rest#?}"}; rest=${rest#?}
        case $letter in
          T) [ -n "$rest" ] || { [ $n -gt 0 ] && { rest=$1; shift; n=$((n - 1)); }; }
             seconds=$rest; rest= ;;
          O | o | P | U | Y | t)
             kept=$kept$letter
             if [ -n "$rest" ]; then kept=$kept$rest; rest=
             elif [ $n -gt 0 ]; then value=$1 more=yes; shift; n=$((n - 1)); fi ;;
          *) kept=$kept$letter ;;
        esac
      done
      [ "$kept" = - ] || set -- "$@" "$kept"
      [ -z "$more" ] || set -- "$@" "$value" ;;
    *) set -- "$@" "$word" ;;
  esac
done
[ -n "$seconds" ] || exec busybox wget --no-check-certificate "$@"
case $seconds in *[!0-9]*) echo "wget: invalid number '$seconds'" >&2; exit 1 ;; esac
[ "$seconds" -gt 0 ] || exec busybox wget --no-check-certificate "$@"
timeout -s INT "$seconds" busybox wget --no-check-certificate "$@"
status=$?
[ $status -ne 130 ] || { echo "wget: download timed out" >&2; status=1; }
exit $status
"""

FILES = {"/usr/bin/wget": _WGET}
"""What the recipe of an image with busybox writes, besides."""


def put(tree: Path, rootfs: Path, work: Path) -> list[str]:
    """Put busybox from `tree`, where PACKAGES and their libraries are, into `rootfs`.

    Returns the packages that it used besides, as name=version.
    """
    recipe.busybox(tree, rootfs)
    used = packages.extract(packages.download([_SHELL_PACKAGE], work / "shell-archives"), work / "shell")
    shell = tree / _SHELL.lstrip("/")
    shell.parent.mkdir(parents=True)
    shutil.copy2(work / "shell/bin/busybox", shell)
    packages.copy(tree, rootfs, [_SHELL, OPENSSL, *packages.libraries(tree, [_SHELL, OPENSSL])])
    for name in ("sh", "ash"):
        (rootfs / "bin" / name).unlink()
        (rootfs / "bin" / name).symlink_to(_SHELL)
    recipe.write(rootfs, FILES)
    (rootfs / "usr/bin/wget").chmod(0o755)
    (rootfs / "bin/wget").unlink()
    (rootfs / "bin/wget").symlink_to("/usr/bin/wget")
    return used


def _assemble(work: Path, rootfs: Path) -> list[str]:
    tree = work / "tree"
    wanted = packages.with_libraries(PACKAGES)
    used = packages.extract(packages.download(wanted, work / "archives"), tree)
    recipe.skeleton(rootfs)
    return [*used, *put(tree, rootfs, work)]


RECIPE = recipe.Recipe(
    names=("docker.io/library/busybox:latest",),
    config=Config(cmd=("sh",), env=("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",)),
    files=FILES,
    assemble=_assemble,
)
