"""The way to a node's agent: which node a pod runs on, where its agent listens, what its errors become."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from wellhead import ports
from wellhead.api.errors import ApiError, BadRequest, InternalError, NotFound, ServiceUnavailable
from wellhead.api.meta import Obj
from wellhead.api.resources import NODES, PODS
from wellhead.apiserver.call import Call
from wellhead.apiserver.registry.registry import Registry
from wellhead.text import quoted

_CONNECT_SECONDS = 5.0
_MAX_REASON = 16 * 1024  # bytes of an agent's error
# A log that is followed is silent for as long as its container is.
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)


@dataclass(frozen=True, slots=True)
class Target:
    """A pod and the container in it that is meant, and its node's address."""

    pod: Obj
    container: str
    base: URL


def agent_tls(client_ca: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    """How to speak to agents: with a client certificate, to those that our authority vouches for.

    Raises OSError (ssl.SSLError among it) when a file can't be used.
    """
    context = ssl.create_default_context(cafile=str(client_ca))
    context.load_cert_chain(certificate, key)
    return context


def target(call: Call, registry: Registry, *, container: bool = True) -> Target:
    """Where the call's pod runs. Raises NotFound, BadRequest, ServiceUnavailable."""
    info = call.info
    pod = registry.object(PODS, info.namespace, info.name)
    chosen = _container(pod, call.query.get("container", "")) if container else ""
    node_name = pod["spec"].get("nodeName")
    if not node_name:
        raise BadRequest(f"pod {info.name} does not have a host assigned")
    node = registry.lookup(NODES, ("", node_name))
    if node is None:
        raise NotFound.of(NODES, node_name)
    return Target(pod, chosen, agent_url(node))


def agent_url(node: Obj) -> URL:
    """Where the node's agent listens. Raises ServiceUnavailable if the node doesn't say."""
    status: Obj = node.get("status") or {}
    entries = reversed(status.get("addresses") or ())
    addresses = {entry.get("type"): entry.get("address") for entry in entries}
    host = addresses.get("InternalIP") or addresses.get("Hostname")
    if not host:
        name = node["metadata"]["name"]
        raise ServiceUnavailable(f"node {name} has not said its address yet: is its agent running?")
    endpoint = (status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}
    try:
        return URL.build(scheme="https", host=host, port=endpoint.get("Port") or ports.AGENT)
    except ValueError as error:
        raise ServiceUnavailable(f"the node's address {quoted(host)} is none: {error}") from None


async def no_redirects(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """What stands between the session and the agents: a node that is taken over sends nobody elsewhere.

    To another node it would be with the API server's own certificate (CVE-2020-8559); aiohttp follows for
    WebSockets, too.
    """
    response = await handler(request)
    if 300 <= response.status < 400:
        response.close()
        raise aiohttp.ClientConnectionError("the node's agent answers with a redirect")
    return response


async def request(
    session: aiohttp.ClientSession, method: str, url: URL, **options: Any
) -> aiohttp.ClientResponse:
    """Ask a node's agent, or what runs behind an object; the answer has to be closed.

    Raises Unreachable.
    """
    try:
        return await session.request(method, url, timeout=TIMEOUT, **options)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:  # ValueError: it can't even be sent
        raise Unreachable(url, error) from error


class Unreachable(Exception):
    """Nobody answered; says so as Go's dialer does."""

    def __init__(self, url: URL, error: Exception) -> None:
        super().__init__(f"dial tcp {url.host_subcomponent}:{url.port}: {_said(error)}")


def _said(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "i/o timeout"
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno:
        # asyncio's own text hides the reason behind "Connect call failed".
        return f"connect: {os.strerror(error.os_error.errno).lower()}"
    return str(error) or type(error).__name__


def unreachable(error: Unreachable) -> InternalError:
    """What upstream says when it can't dial a kubelet, and what to look at."""
    return InternalError(f"error dialing backend: {error}: is the node's agent running?")


async def refused(response: aiohttp.ClientResponse) -> ApiError:
    """The agent's answer that isn't a success, as a Status."""
    text = (await response.content.read(_MAX_REASON)).decode(errors="replace").strip()
    return agent_error(response.status, text)


def agent_error(code: int, text: str) -> ApiError:
    """The same from the code and the text."""
    text = text or "the node's agent gave no reason"
    if code == 400:
        return BadRequest(text)
    if code == 404:
        return NotFound(text)
    if code >= 500:
        return InternalError(text)
    return ApiError(text, code=code)


def _container(pod: Obj, wanted: str) -> str:
    spec, name = pod["spec"], pod["metadata"]["name"]
    names = [
        container["name"]
        for kind in ("containers", "initContainers", "ephemeralContainers")
        for container in spec.get(kind) or ()
    ]
    if wanted:
        if wanted not in names:
            raise BadRequest(f"container {wanted} is not valid for pod {name}")
        return wanted
    containers = [container["name"] for container in spec["containers"]]
    if len(containers) == 1:
        return str(containers[0])
    choice = f"choose one of: [{' '.join(containers)}]"
    if init := [container["name"] for container in spec.get("initContainers") or ()]:
        choice += f" or one of the init containers: [{' '.join(init)}]"
    raise BadRequest(f"a container name must be specified for pod {name}, {choice}")
