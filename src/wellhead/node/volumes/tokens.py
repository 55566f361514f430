"""Service-account tokens for pods: bound to the pod, renewed when four fifths of their life are over."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from wellhead.api.meta import Obj, parse_time
from wellhead.api.resources import SERVICEACCOUNTS
from wellhead.client.rest import Client
from wellhead.node.volumes.content import Token

_RENEW_AT = 0.8
_RENEW_AFTER_AT_MOST = 24 * 3600.0


@dataclass(frozen=True)
class _Held:
    token: str
    renew_at: float  # the loop's time


class PodTokens:
    """The tokens of one pod."""

    def __init__(self, client: Client, pod: Obj) -> None:
        self._client = client
        self._metadata: Obj = pod["metadata"]
        self._account = pod["spec"].get("serviceAccountName") or "default"
        self._held: dict[Token, _Held] = {}

    async def get(self, wanted: Token) -> str:
        """The token, a new one if it is time. Raises ApiError, ConnectionLost."""
        now = asyncio.get_running_loop().time()
        held = self._held.get(wanted)
        if held is None or held.renew_at <= now:
            held = await self._request(wanted)
            self._held[wanted] = held
        return held.token

    def renewal(self) -> float | None:
        """Seconds until the first token should be renewed; None if there is none."""
        if not self._held:
            return None
        return min(held.renew_at for held in self._held.values()) - asyncio.get_running_loop().time()

    async def _request(self, wanted: Token) -> _Held:
        spec: Obj = {
            "expirationSeconds": wanted.seconds,
            "boundObjectRef": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": self._metadata["name"],
                "uid": self._metadata["uid"],
            },
        }
        if wanted.audience:
            spec["audiences"] = [wanted.audience]
        body: Obj = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        answer = await self._client.create_subresource(
            SERVICEACCOUNTS, self._account, self._metadata["namespace"], "token", body
        )
        status = answer["status"]
        life = _seconds_until(status["expirationTimestamp"])
        after = min(life * _RENEW_AT, _RENEW_AFTER_AT_MOST)
        return _Held(status["token"], asyncio.get_running_loop().time() + after)


def _seconds_until(time: str) -> float:
    moment = parse_time(time)
    return (moment - moment.now(moment.tzinfo)).total_seconds()
