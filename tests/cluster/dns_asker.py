"""Asks a DNS server for a name, one question after the other, until its input ends; then tells what it heard.

    python dns_asker.py SERVER NAME

Prints `ready`, and at the end JSON: how many questions, and for each answer how many times it came.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
from collections import Counter

import dns.exception
import dns.message

_PATIENCE = 60.0  # seconds: more than a resolver would wait
_PAUSE = 0.005  # between questions: whoever asks all the time keeps from working who is to answer


def main(server: str, name: str) -> None:
    heard: Counter[str] = Counter()
    ended = selectors.DefaultSelector()
    ended.register(sys.stdin, selectors.EVENT_READ)
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(_PATIENCE)
        client.connect((server, 53))
        print("ready", flush=True)
        while not ended.select(_PAUSE):
            heard[_ask(client, name)] += 1
    print(json.dumps(heard), flush=True)


def _ask(client: socket.socket, name: str) -> str:
    """The addresses, or what went wrong."""
    query = dns.message.make_query(name, "A")
    try:
        client.send(query.to_wire())
        reply = dns.message.from_wire(client.recv(65535))
        while not query.is_response(reply):  # a question that was answered twice
            reply = dns.message.from_wire(client.recv(65535))
    except (OSError, dns.exception.DNSException) as error:
        return repr(error)
    return " ".join(sorted(str(rdata) for rrset in reply.answer for rdata in rrset)) or reply.rcode().name


if __name__ == "__main__":
    main(*sys.argv[1:])
