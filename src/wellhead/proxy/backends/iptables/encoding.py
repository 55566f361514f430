"""Rules as iptables-nft hands them to the kernel: what a line of iptables-save is as expressions of nftables.

iptables 1.8.9 writes the same bytes. Other releases write some of them another way, and read these.
Of what iptables knows this knows what stands in our own rules.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from functools import lru_cache
from ipaddress import ip_network

from wellhead.ip import Family, Protocol
from wellhead.linux.netlink import attribute, nested, u32
from wellhead.linux.nftables import attributes as nfta
from wellhead.linux.nftables import xtables
from wellhead.linux.nftables.expressions import (
    DADDR,
    IIFNAME,
    L4PROTO,
    MARK,
    SADDR,
    TH_DPORT,
    Field,
    Frame,
    bitwise,
)
from wellhead.linux.nftables.statements import ACCEPT, DROP, RETURN, Verdict, compare

_WHOLE = {4: "32", 16: "128"}
_WORD = re.compile(r'"([^"]*)"|(\S+)')
_VERDICTS = {"ACCEPT": ACCEPT.encoded, "DROP": DROP.encoded, "RETURN": RETURN.encoded}

Words = Iterator[str]


def encoded_rule(family: Family, line: str) -> bytes:
    """The attributes that say what an `-A` line does: its expressions, and what the kernel checks them by.

    Raises:
        ValueError: it has something that our rules don't.
    """
    expressions, protocol = _read(family, line)
    found = nested(nfta.Rule.EXPRESSIONS, expressions)
    if protocol is not None:  # the extensions of TCP and UDP are valid with it alone
        kind = nfta.Compatible
        found += nested(nfta.Rule.COMPATIBLE, u32(kind.PROTOCOL, protocol.number), u32(kind.FLAGS, 0))
    return found


def expressions(family: Family, line: str) -> bytes:
    """The expressions of an `-A` line alone, as the kernel dumps them, with counters at zero."""
    return _read(family, line)[0]


def _read(family: Family, line: str) -> tuple[bytes, Protocol | None]:
    """The expressions, in iptables' order: interface, protocol, addresses, matches, counter, target."""
    words = iter([quoted or plain for quoted, plain in _WORD.findall(line)][2:])
    head: dict[str, bytes] = {}
    matches: list[bytes] = []
    protocol: Protocol | None = None
    last = b""
    differs = False
    for word in words:
        if word == "!":
            differs = True
            continue
        if word == "-m":
            matches.append(_match(family, next(words), words))
        elif word == "-p":
            protocol = Protocol(next(words).upper())
            head[word] = _protocol(protocol)
        elif word == "-d":
            head[word] = _address(DADDR[family], next(words), differs)
        elif word == "-s":
            head[word] = _address(SADDR[family], next(words), differs)
        elif word == "-i":
            head[word] = _interface(next(words), differs)
        elif word == "-j":
            last = _target(family, next(words), words)
        elif word == "-g":
            last = _goto(next(words))
        elif word == "--dport" and protocol is not None:
            matches[-1] = _port(protocol, int(next(words)))
        else:
            raise ValueError(f"{word}: no word of ours: {line}")
        differs = False
    ordered = [head[each] for each in ("-i", "-p", "-s", "-d") if each in head]
    return b"".join([*ordered, *matches, xtables.COUNTER, last]), protocol


# ---- what comes before the matches


@lru_cache
def _protocol(protocol: Protocol) -> bytes:
    return L4PROTO.load(0) + compare(bytes([protocol.number]))


@lru_cache
def _interface(name: str, differs: bool) -> bytes:
    value = name[:-1].encode() if name.endswith("+") else name.encode() + b"\0"
    return IIFNAME.load(0) + compare(value, differs=differs)


def _address(field: Field, text: str, differs: bool) -> bytes:
    address, _, length = text.partition("/")
    if length == _WHOLE[field.type.size]:
        return _host(field, differs).around(_packed(address))
    return _network(field, text, differs)


@lru_cache
def _host(field: Field, differs: bool) -> Frame:
    return Frame(lambda value: field.load(0) + compare(value, differs=differs), field.type.size)


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


@lru_cache
def _network(field: Field, text: str, differs: bool) -> bytes:
    """Whole bytes are compared as such, the others through a mask."""
    network = ip_network(text)
    packed = network.network_address.packed
    count, bits = divmod(network.prefixlen, 8)
    if not bits:
        return field.load_bytes(0, count) + compare(packed[:count], differs=differs)
    masked = bitwise(0, network.netmask.packed, bytes(len(packed)))
    return field.load(0) + masked + compare(packed, differs=differs)


# ---- matches


def _match(family: Family, name: str, words: Words) -> bytes:
    known = _MATCHES.get(name)
    if known is None:
        raise ValueError(f"-m {name}: no match of ours")
    return known(family, words)


def _comment(_: Family, words: Words) -> bytes:
    next(words)
    return xtables.comment(next(words))


def _addrtype(_: Family, words: Words) -> bytes:
    option, kind = next(words), next(words)
    if kind != "LOCAL":
        raise ValueError(f"{option} {kind}: none of ours")
    return xtables.local_address(source=option == "--src-type")


def _conntrack(_: Family, words: Words) -> bytes:
    inverted = next(words) == "!"
    if inverted:
        next(words)
    return _states(next(words), inverted)


@lru_cache
def _states(names: str, inverted: bool) -> bytes:
    states = xtables.ConnectionState(0)
    for each in names.split(","):
        states |= xtables.ConnectionState[each]
    return xtables.connection(states, inverted=inverted)


def _mark(_: Family, words: Words) -> bytes:
    differs = next(words) == "!"
    if differs:
        next(words)
    return _marked(next(words), differs)


@lru_cache
def _marked(text: str, differs: bool) -> bytes:
    value, mask = (int(each, 16).to_bytes(4, "little") for each in text.split("/"))
    return MARK.load(0) + bitwise(0, mask, bytes(4)) + compare(value, differs=differs)


def _statistic(_: Family, words: Words) -> bytes:
    return _chance([next(words) for _ in range(4)][-1])


@lru_cache
def _chance(probability: str) -> bytes:
    return xtables.chance(round(float(probability) * 0x80000000))


def _recent(family: Family, words: Words) -> bytes:
    option, seconds = next(words), 0
    if option == "--rcheck":
        _, seconds, _ = next(words), int(next(words)), next(words)
    name = [next(words) for _ in range(5)][1]
    return xtables.remembered(name, family, seconds) if seconds else xtables.remember(name, family)


def _of_transport(protocol: Protocol) -> Callable[[Family, Words], bytes]:
    found = xtables.transport(protocol)
    return lambda _family, _words: found


_MATCHES: dict[str, Callable[[Family, Words], bytes]] = {
    "comment": _comment,
    "addrtype": _addrtype,
    "conntrack": _conntrack,
    "mark": _mark,
    "statistic": _statistic,
    "recent": _recent,
    **{each.lower(): _of_transport(each) for each in Protocol},
}


@lru_cache(maxsize=1024)
def _port(protocol: Protocol, port: int) -> bytes:
    if protocol is Protocol.SCTP:
        return xtables.sctp_port(port)
    return TH_DPORT.load(0) + compare(port.to_bytes(2, "big"))


# ---- targets


def _target(family: Family, name: str, words: Words) -> bytes:
    if name in _VERDICTS:
        return _VERDICTS[name]
    if name == "DNAT":
        next(words)
        address, _, port = next(words).rpartition(":")
        return xtables.dnat(_packed(address.strip("[]")), int(port))
    if name == "MARK":
        next(words)
        bits, mask = (int(each, 16) for each in next(words).split("/"))
        return xtables.mark(bits, mask)
    if name == "MASQUERADE":
        next(words)
        return xtables.masquerade(family)
    if name == "REJECT":
        for _ in range(2):
            next(words)
        return xtables.reject(family)
    return _jump(name)


def _jump(chain: str) -> bytes:
    return _jump_to(len(chain)).around(chain.encode())


@lru_cache
def _jump_to(length: int) -> Frame:
    """To chains whose names are so long."""
    return Frame(lambda name: Verdict(name.decode(), returns=True).encoded, length)


def _goto(chain: str) -> bytes:
    return Verdict(chain).encoded


_COUNTER_HEAD = xtables.COUNTER[: -len(attribute(0, bytes(8))) * 2]


def uncounted(expressions: bytes) -> bytes:
    """Expressions as the kernel dumps them, with what the counter has counted taken out."""
    at = expressions.find(_COUNTER_HEAD)
    return expressions[:at] + xtables.COUNTER + expressions[at + len(xtables.COUNTER) :]
