"""A request as this server has it: what each answer says in its headers, and who hears that it begins."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from wellhead.apiserver.audit.trail import Trail

AUDIT_ID = "Audit-Id"


class Exchange(web.BaseRequest):
    """aiohttp's request. Streams and WebSockets begin their answers themselves: all pass the hook here."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.answer_headers: dict[str, str] = {}
        self.trail: Trail | None = None
        """What the audit log gets to know, of a request whose answer may go on for long."""

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        response.headers.update(self.answer_headers)
        if self.trail is not None:
            await self.trail.answering(response.status)


def exchange(message, payload, protocol, writer, task) -> Exchange:  # type: ignore[no-untyped-def]
    """For `web.Server`: its `request_factory`."""
    return Exchange(message, payload, protocol, writer, task, task.get_loop())
