"""From the sections that a running HAProxy has to those that it should have: commands, or a reload. Pure.

Source: HAProxy 2.6's management.txt, "Unix Socket commands" and "Dynamic servers".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from wellhead.cloud.haproxy.config import server_address, server_options
from wellhead.cloud.haproxy.sections import Section, Server
from wellhead.ip import IPAddress

Sections = Mapping[str, Section]
"""The sections of one Service, by name."""


@dataclass
class Change:
    """What to do with a running HAProxy.

    `deletions` (of servers, by SECTION/SERVER) are to be tried: HAProxy keeps a server that has connections.
    `running` is what it has afterwards, if they all succeed or fail alike: a server that can't be deleted is
    still in there, not ready.
    """

    running: Sections
    commands: list[str] = field(default_factory=list)
    deletions: list[str] = field(default_factory=list)


def change(running: Sections, wanted: Sections) -> Change | None:
    """What brings HAProxy from `running` to `wanted`; None if only a reload does."""
    if running.keys() != wanted.keys():
        return None
    after: dict[str, Section] = {}
    result = Change(after)
    for name, new in wanted.items():
        servers = _servers(running[name], new, result)
        if servers is None:
            return None
        after[name] = Section(new.listener, servers)
    return result


def _servers(old: Section, new: Section, result: Change) -> dict[str, Server] | None:
    """The servers of the section afterwards; None if HAProxy can't be told of a change."""
    if old.listener != new.listener:
        return None
    after = dict(new.servers)
    for name, server in new.servers.items():
        path = f"{new.listener.name}/{name}"
        before = old.servers.get(name)
        if before is None:
            options = server_options(new.listener)
            result.commands.append(f"add server {path} {server_address(server)}{options}")
            before = Server(server.address, server.port, ready=False)  # which it then is
        if (before.address, before.port) != (server.address, server.port):
            return None
        if before.ready != server.ready:
            result.commands.append(f"set server {path} state {'ready' if server.ready else 'maint'}")
    for name, server in old.servers.items():
        if name not in new.servers:
            path = f"{new.listener.name}/{name}"
            if server.ready:
                result.commands.append(f"set server {path} state maint")
            result.deletions.append(path)
            after[name] = Server(server.address, server.port, ready=False)
    return after


def without(sections: Sections, deleted: frozenset[str]) -> Sections:
    """The sections without these servers, each by SECTION/SERVER."""
    return {
        name: Section(
            section.listener,
            {key: server for key, server in section.servers.items() if f"{name}/{key}" not in deleted},
        )
        for name, section in sections.items()
    }


def servers(
    sections: Iterable[Section], at: frozenset[IPAddress] | None = None, *, ready: bool = False
) -> frozenset[str]:
    """The servers at these addresses (None: anywhere), or only those that are ready; each SECTION/SERVER."""
    return frozenset(
        f"{section.listener.name}/{name}"
        for section in sections
        for name, server in section.servers.items()
        if (at is None or server.address in at) and (server.ready or not ready)
    )
