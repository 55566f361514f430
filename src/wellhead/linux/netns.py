"""A thread that lives in another network namespace, for work that blocks: netlink, nft, /proc/sys."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from wellhead.linux import namespaces

P = ParamSpec("P")
T = TypeVar("T")

_OWN_DESCRIPTOR = re.compile(r"/(?:proc/self|dev)/fd/(\d+)")


class NetnsThread:
    """Runs functions one after the other inside the network namespace at `path` (None: the caller's own).

    A thread's network namespace is its own and passes to the processes that it starts. Close it when done.

    Raises:
        OSError: there is no such namespace, or it can't be joined.
    """

    def __init__(self, path: str | None) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="netns")
        try:
            if path is not None:
                descriptor = _open(path)
                try:
                    self._executor.submit(namespaces.setns, descriptor, namespaces.CLONE_NEWNET).result()
                finally:
                    os.close(descriptor)
        except BaseException:
            self.close()
            raise

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The function's result. Cancellation stops the waiting, not the function."""
        future = self._executor.submit(function, *args, **kwargs)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Wait for what is running, and end the thread."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def _open(path: str) -> int:
    # A descriptor of this process is used as it is: the /proc mounted here may not show this process.
    if match := _OWN_DESCRIPTOR.fullmatch(path):
        return os.dup(int(match[1]))
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
