"""What components say of their own health, asked on their machines."""

from __future__ import annotations

import http.client

from wellhead import ports
from wellhead.linux import namespaces

_PATIENCE = 2.0  # seconds
_STARTING_SECONDS = 15.0
_LONGEST = 300


def ask(machine_pid: int, component: str, age: float, loopback: str = "127.0.0.1") -> str:
    """Why a component that has run for `age` seconds isn't healthy; "" if it is, or tells nobody.

    `machine_pid` is the first process of its machine.
    """
    port = ports.HEALTH.get(component)
    if port is None:
        return ""
    connection = http.client.HTTPConnection(loopback, port, timeout=_PATIENCE)
    try:
        with namespaces.inside(f"/proc/{machine_pid}/ns/net", namespaces.CLONE_NEWNET):
            connection.connect()
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        return reason(response.status, response.read(100_000).decode(errors="replace"))
    except (OSError, http.client.HTTPException) as error:
        if age < _STARTING_SECONDS:
            return ""
        return f"its /healthz doesn't answer: {error or type(error).__name__}"
    finally:
        connection.close()


def reason(status: int, body: str) -> str:
    """What an answer says is wrong; "" if nothing is."""
    if status == http.client.OK:
        return ""
    failed = [line.removeprefix("[-]") for line in body.splitlines() if line.startswith("[-]")]
    return ("; ".join(failed) or f"its /healthz answers {status}: {body.strip()}")[:_LONGEST]
