"""All volumes of one pod: made before its containers, kept current while it runs, removed with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from wellhead.api.errors import ApiError
from wellhead.api.formats import file_path, no_backsteps
from wellhead.api.meta import Obj
from wellhead.backoff import Backoff
from wellhead.client.rest import Client, ConnectionLost
from wellhead.linux import mounts, trees
from wellhead.node.references import References
from wellhead.node.volumes import atomic, claims, content, empty_dirs
from wellhead.node.volumes.content import VolumeError
from wellhead.node.volumes.tokens import PodTokens
from wellhead.waiting import comes

_log = logging.getLogger(__name__)

_HOST_PATH_KINDS: dict[str, Callable[[Path], bool]] = {
    "File": Path.is_file,
    "Directory": Path.is_dir,
    "Socket": Path.is_socket,
    "CharDevice": Path.is_char_device,
    "BlockDevice": Path.is_block_device,
}


class PodVolumes:
    """The volumes of one pod, below `directory`."""

    def __init__(
        self,
        pod: Obj,
        client: Client,
        references: References,
        directory: Path,
        allocatable: Mapping[str, str],
    ) -> None:
        self._pod = pod
        self._client = client
        self._node_name = str(pod["spec"].get("nodeName") or "")
        self._tokens = PodTokens(client, pod)
        self._references = references
        self._directory = directory
        self._allocatable = allocatable
        self._changed = asyncio.Event()
        self._mounts_changed = asyncio.Event()
        self.find_image: Callable[[Obj], Awaitable[Path]] | None = None
        """Where the files of an `image` volume's image are. Raises VolumeError, ApiError, ConnectionLost."""

    def path(self, volume: Obj) -> Path:
        """Where the volume is on the node."""
        if "hostPath" in volume:
            return Path(volume["hostPath"]["path"])
        return self._directory / str(volume["name"])

    def update(self, pod: Obj) -> None:
        """What the API says of the pod; a downward API volume may show what has changed."""
        before, self._pod = self._pod, pod
        if _shown(before) != _shown(pod):
            self._changed.set()

    async def prepare(self, pod: Obj) -> None:
        """Make every volume; one that is there already is brought up to date.

        Raises:
            VolumeError: one can't be made (now); its message names it.
        """
        self._pod = pod
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._try(volume)) for volume in pod["spec"].get("volumes") or ()]
        for problem in (task.result() for task in tasks):
            if problem is not None:
                raise problem

    async def _try(self, volume: Obj) -> VolumeError | None:
        try:
            await self._make(volume)
        except (VolumeError, atomic.BadPath, ApiError, ConnectionLost, OSError) as error:
            return VolumeError(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}')
        return None

    async def keep_current(self) -> None:
        """Until cancelled: bring files up to date when an object changes or a token should be renewed."""
        volumes = [volume for volume in self._pod["spec"].get("volumes") or () if content.sources(volume)]
        if not volumes:
            return
        unsubscribe = self._references.subscribe(content.references(self._pod, volumes), self._changed.set)
        backoff = Backoff(0.5, 120.0)
        try:
            while True:
                await comes(self._changed, self._tokens.renewal())
                self._changed.clear()
                problems = [problem for volume in volumes if (problem := await self._try(volume))]
                if problems:
                    # What is there stays: running containers are better off with old files than with none.
                    _log.warning("pod %s: %s", self._pod["metadata"]["name"], problems[0])
                    await asyncio.sleep(backoff.next())
                    self._changed.set()
                else:
                    backoff.reset()
        finally:
            unsubscribe()

    def look_at_mounts(self) -> None:
        """Somebody has changed mounts of this machine."""
        self._mounts_changed.set()

    async def keep_mounted(self, say: Callable[[str], None]) -> None:
        """Until cancelled: mount again what somebody has unmounted, and say so.

        Containers that run have their volumes all along; the next ones would find an empty directory.
        """
        volumes = [volume for volume in self._pod["spec"].get("volumes") or () if self._is_mounted(volume)]
        backoff = Backoff(0.5, 120.0)
        self._mounts_changed.set()  # before this agent was there, perhaps
        while volumes:
            await self._mounts_changed.wait()
            self._mounts_changed.clear()
            for volume in volumes:
                if await asyncio.to_thread(mounts.is_mounted, self.path(volume)):
                    continue
                problem = await self._try(volume)
                say(str(problem) if problem else f'volume "{volume["name"]}" was unmounted: mounted again')
                if problem:
                    await asyncio.sleep(backoff.next())
                    self._mounts_changed.set()
                else:
                    backoff.reset()

    def _is_mounted(self, volume: Obj) -> bool:
        in_memory = (volume.get("emptyDir") or {}).get("medium") == "Memory"
        return in_memory or "image" in volume or bool(claims.claim_of(self._pod, volume))

    async def remove(self) -> None:
        """Unmount and delete everything. What a hostPath names is not ours and stays."""
        await asyncio.to_thread(trees.remove, self._directory)

    async def _make(self, volume: Obj) -> None:
        group = ((self._pod["spec"].get("securityContext")) or {}).get("fsGroup")
        if content.sources(volume) or "projected" in volume:
            surroundings = content.Surroundings(
                self._pod, self._references.seen, self._tokens.get, self._allocatable
            )
            files = await content.files(volume, surroundings)
            await asyncio.to_thread(atomic.write, self.path(volume), files, group)
        elif "emptyDir" in volume:
            source = volume["emptyDir"] or {}
            memory = empty_dirs.memory_size(self._pod, source, self._allocatable)
            await asyncio.to_thread(empty_dirs.make, self.path(volume), source, group, memory)
        elif "hostPath" in volume:
            _check_host_path(volume["hostPath"]["path"])
            await asyncio.to_thread(_host_path, self.path(volume), volume["hostPath"].get("type") or "")
        elif "image" in volume and self.find_image is not None:
            await self._make_image(volume)
        elif claims.claim_of(self._pod, volume):
            await self._make_claimed(volume, group)
        else:
            kind = next((key for key in volume if key != "name"), "emptyDir")
            raise VolumeError(f"volumes of type {kind} are not supported by the wellhead node agent")

    async def _make_image(self, volume: Obj) -> None:
        place = self.path(volume)
        if mounts.is_mounted(place) or self.find_image is None:
            return
        rootfs = await self.find_image(volume)
        await asyncio.to_thread(_show_image, rootfs, place)

    async def _make_claimed(self, volume: Obj, group: int | None) -> None:
        place = self.path(volume)
        if mounts.is_mounted(place):
            return  # it is there, and stays
        found = await claims.find(self._client, self._pod, volume, self._node_name)
        if not found.owned_by_group:
            _check_host_path(str(found.path))
            await asyncio.to_thread(_host_path, found.path, found.kind)
        elif group is not None:
            policy = self._pod["spec"]["securityContext"].get("fsGroupChangePolicy")
            await asyncio.to_thread(
                claims.give_to_group, found.path, group, only_if_other=policy == "OnRootMismatch"
            )
        await asyncio.to_thread(claims.show, found.path, place)


def _shown(pod: Obj) -> tuple[Any, ...]:
    """What of a pod that runs may change and be shown: the kubelet shows no more than that, either."""
    metadata = pod["metadata"]
    return metadata.get("labels"), metadata.get("annotations"), pod["spec"]


def _show_image(rootfs: Path, place: Path) -> None:
    """By an overlay, as a container's, so that it shows which image is in use."""
    empty = place.with_name(f".empty-{place.name}")
    for directory in (empty, place):
        directory.mkdir(parents=True, exist_ok=True)
    flags = mounts.MS_RDONLY | mounts.MS_NODEV | mounts.MS_NOSUID | mounts.MS_NOEXEC
    mounts.mount("overlay", place, "overlay", flags, f"lowerdir={empty}:{rootfs}")


def _check_host_path(path: str) -> None:
    problems = [*no_backsteps(path), *file_path(path)]
    if not path.startswith("/"):
        problems.append("must be an absolute path")
    if problems:
        raise VolumeError(f"hostPath {path!r}: {problems[0]}")


def _host_path(path: Path, kind: str) -> None:
    if kind == "DirectoryOrCreate":
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
    elif kind == "FileOrCreate":
        path.touch(mode=0o644)
    elif kind and kind not in _HOST_PATH_KINDS:
        raise VolumeError(f"hostPath type {kind!r} is not supported")
    elif kind and not _HOST_PATH_KINDS[kind](path):
        raise VolumeError(f"hostPath type check failed: {path} is not a {kind.lower()}")
    elif not kind and not path.exists():
        path.mkdir(mode=0o755, parents=True)
