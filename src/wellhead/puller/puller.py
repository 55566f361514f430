"""Has pulled what pods want, once for all who want the same at a time, and says what became of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from wellhead.api.errors import ApiError, NotFound
from wellhead.api.kinds.pod import pulls
from wellhead.api.meta import Obj
from wellhead.api.resources import PODS, SECRETS
from wellhead.backoff import Backoff
from wellhead.client.informer import TypedInformer
from wellhead.client.rest import Client, ConnectionLost
from wellhead.images import reference
from wellhead.images.bounds import ImageError
from wellhead.images.programs import Stop
from wellhead.images.registry.credentials import BadCredentials, Login, keyring, lookup
from wellhead.puller.wants import Want, Wants

_log = logging.getLogger(__name__)

_AT_ONCE = 3
_LONGEST = 3600.0  # seconds of one pull, after which another's turn comes

Pull = Callable[[str, tuple[Login, ...], Stop], None]
"""Blocks, and raises ImageError."""


@dataclass
class _Job:
    """A pull that several may wait for."""

    task: asyncio.Task[str]
    stop: Stop
    waiting: int = 0


@dataclass
class _Served:
    task: asyncio.Task[None]
    want: Want


class Puller:
    """Follows `pods`, an informer of every pod's wants. `run` until cancelled, which stops all pulls."""

    def __init__(self, client: Client, pods: TypedInformer[Wants], pull: Pull) -> None:
        self._client = client
        self._pods = pods
        self._pull = pull
        self._serving: dict[tuple[str, str], _Served] = {}
        self._jobs: dict[tuple[str, tuple[Login, ...]], _Job] = {}
        self._answered: dict[str, int] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._pods.on_change(self._changed)
                await asyncio.Event().wait()
        finally:
            for job in self._jobs.values():
                job.stop.set()

    def _changed(self, old: Wants | None, new: Wants | None) -> None:
        wanted = {want.key: want for want in new.wants} if new is not None else {}
        before = {want.key for want in old.wants} if old is not None else set()
        for key in before - wanted.keys():
            if (served := self._serving.pop(key, None)) is not None:
                served.task.cancel()
        if new is None:
            if old is not None:
                self._answered.pop(old.uid, None)
            return
        if new.version <= self._answered.get(new.uid, 0):
            return  # from before our answer
        for key, want in wanted.items():
            served = self._serving.get(key)
            if served is not None and served.want != want:
                served.task.cancel()
            if served is None or served.want != want:
                assert self._group is not None
                task = self._group.create_task(self._serve(want), name=f"{want.namespace}/{want.pod}")
                self._serving[key] = _Served(task, want)

    async def _serve(self, want: Want) -> None:
        try:
            problem = await self._get(want)
            condition = pulls.failed(want.container, problem) if problem else pulls.pulled(want.container)
            await self._tell(want, condition)
        finally:
            served = self._serving.get(want.key)
            if served is not None and served.task is asyncio.current_task():
                del self._serving[want.key]
        # It may have been asked for again before we knew that our answer had arrived.
        self._changed(None, self._pods.get(want.pod, want.namespace))

    async def _get(self, want: Want) -> str:
        """Why the image can't be had; "" if it is there now."""
        try:
            logins = await self._logins(want)
        except BadCredentials as error:
            return str(error)
        key = reference.normalize(want.image), logins
        job = self._jobs.get(key)
        if job is None:
            stop = Stop()
            assert self._group is not None
            job = self._jobs[key] = _Job(self._group.create_task(self._run(want.image, logins, stop)), stop)
        job.waiting += 1
        try:
            return await asyncio.shield(job.task)
        finally:
            job.waiting -= 1
            if not job.waiting:  # everybody who wanted it has it, or is gone
                job.stop.set()
                if self._jobs.get(key) is job:
                    del self._jobs[key]

    async def _run(self, image: str, logins: tuple[Login, ...], stop: Stop) -> str:
        async with self._turns:
            limit = asyncio.get_running_loop().call_later(_LONGEST, stop.set)
            try:
                await asyncio.to_thread(self._pull, image, logins, stop)
            except ImageError as error:
                _log.info("%s: %s", image, error)
                return str(error)
            except Exception as error:  # a defect with one image must not keep others from theirs
                _log.exception("%s", image)
                return f"{type(error).__name__}: {error}"
            finally:
                limit.cancel()
        _log.info("pulled %s", image)
        return ""

    async def _logins(self, want: Want) -> tuple[Login, ...]:
        """Raises BadCredentials. A Secret that isn't there has no credentials; the agent says so."""
        found: list[Obj] = []
        backoff = Backoff(0.1, 10.0)
        for name in want.secrets:
            while True:
                try:
                    found.append(await self._client.get(SECRETS, name, want.namespace))
                except NotFound:
                    pass
                except (ApiError, ConnectionLost) as error:
                    _log.warning("secret %s/%s: %s", want.namespace, name, error)
                    await asyncio.sleep(backoff.next())
                    continue
                break
        return lookup(keyring(found), want.image)

    async def _tell(self, want: Want, condition: Obj) -> None:
        body = {"metadata": {"uid": want.uid}, "status": {"conditions": [condition]}}
        backoff = Backoff(0.05, 5.0)
        while True:
            try:
                pod = await self._client.patch(
                    PODS, want.pod, body, want.namespace, kind="strategic", subresource="status"
                )
            except ConnectionLost as error:
                _log.warning("pod %s/%s: %s", want.namespace, want.pod, error)
            except ApiError as error:
                if error.code < 500 and error.code != 429:
                    _log.info("pod %s/%s: %s", want.namespace, want.pod, error)  # another's, or gone
                    return
                _log.warning("pod %s/%s: %s", want.namespace, want.pod, error)
            else:
                self._answered[want.uid] = int(pod["metadata"]["resourceVersion"])
                return
            await asyncio.sleep(backoff.next())
