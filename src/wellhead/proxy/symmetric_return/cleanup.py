"""Removing everything that the symmetric return has left: in this kernel, and on this node's Node object."""

from __future__ import annotations

import asyncio
import logging

from wellhead.api.errors import ApiError
from wellhead.client.connection import load
from wellhead.client.kubeconfig import KubeconfigError
from wellhead.client.rest import Client, ConnectionLost
from wellhead.proxy.marks import Marks
from wellhead.proxy.symmetric_return.controller import withdraw
from wellhead.proxy.symmetric_return.kernel import remove_all

log = logging.getLogger(__name__)

_SECONDS = 5


async def clean_up(kubeconfig: str | None, master: str | None, node_name: str, marks: Marks) -> None:
    """Withdraw the announcement, if the API server can be reached, and remove the rest.

    Raises:
        wellhead.proxy.symmetric_return.kernel.ReturnPathError: something is left.
    """
    await _withdraw(kubeconfig, master, node_name)
    await asyncio.to_thread(remove_all, marks)


async def _withdraw(kubeconfig: str | None, master: str | None, node_name: str) -> None:
    try:
        connection = load(kubeconfig, master)
    except KubeconfigError as error:
        log.debug("no way to see what node %s has announced: %s", node_name, error)
        return
    try:
        async with asyncio.timeout(_SECONDS), Client(connection, user_agent="wellhead-proxy") as client:
            await withdraw(client, node_name)
    except (ApiError, ConnectionLost, TimeoutError) as error:
        log.warning("node %s may still announce that it returns symmetrically: %s", node_name, error)
