"""What rules are made of: the kernel's expressions (NFTA_EXPR), with the registers that join them.

A function an expression, named as nft's `--debug=netlink` prints it. Attributes are as and where the kernel
dumps them, so that a rule read back is the same bytes.

Registers are numbered as 32-bit words, 0 to 15. A key of several fields takes consecutive ones.
"""

from __future__ import annotations

from wellhead.proxy.backends.nftables.netlink import attribute, text, u32, u64

ACCEPT = 1
DROP = 0
_JUMP = -3
_GOTO = -4

EQUAL, NOT_EQUAL = 0, 1
META_MARK = 3
META_PRIORITY = 2
META_IIFNAME = 6
META_L4PROTO = 16
CT_STATE = 0
CT_STATUS = 2
FIB_SOURCE, FIB_DESTINATION = 1, 2
DYNSET_UPDATE, DYNSET_DELETE = 1, 2
_NAT_MAP_ADDRESS_AND_PORT = 3
_NAT_FULLY_RANDOM = 0x10
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2


def nested(type: int, *attributes: bytes) -> bytes:
    """As the kernel prints it: without the flag that says so."""
    return attribute(type, b"".join(attributes))


def _expression(name: str, *attributes: bytes) -> bytes:
    return nested(1, text(1, name), nested(2, *attributes))


def _register(word: int) -> int:
    """NFT_REG_1…4 where a word is at a 128-bit register's start, NFT_REG32_00… elsewhere."""
    return 1 + word // 4 if word % 4 == 0 else 8 + word


def _value(type: int, value: bytes) -> bytes:
    return nested(type, attribute(1, value))


def _verdict(code: int, chain: str = "") -> bytes:
    return nested(2, u32(1, code), text(2, chain) if chain else b"")


def meta(key: int, word: int) -> bytes:
    return _expression("meta", u32(2, key), u32(1, _register(word)))


def meta_set(key: int, word: int) -> bytes:
    return _expression("meta", u32(2, key), u32(3, _register(word)))


def network_payload(offset: int, length: int, word: int) -> bytes:
    return _payload(_NETWORK_HEADER, offset, length, word)


def destination_port(word: int) -> bytes:
    """`th dport`: at the same place in TCP, UDP and SCTP."""
    return _payload(_TRANSPORT_HEADER, 2, 2, word)


def _payload(base: int, offset: int, length: int, word: int) -> bytes:
    return _expression("payload", u32(1, _register(word)), u32(2, base), u32(3, offset), u32(4, length))


def conntrack(key: int, word: int) -> bytes:
    return _expression("ct", u32(1, _register(word)), u32(2, key))


def address_type(which: int, word: int) -> bytes:
    """`fib saddr type` or `fib daddr type`."""
    return _expression("fib", u32(1, _register(word)), u32(2, 3), u32(3, which))


def bitwise(word: int, mask: bytes, xor: bytes) -> bytes:
    return _expression(
        "bitwise",
        u32(1, _register(word)),
        u32(2, _register(word)),
        u32(3, len(mask)),
        u32(6, 0),
        _value(4, mask),
        _value(5, xor),
    )


def to_network_order(word: int) -> bytes:
    """Interval sets of several fields hold even numbers of the host's order in network order."""
    register = _register(word)
    return _expression("byteorder", u32(1, register), u32(2, register), u32(3, 1), u32(4, 4), u32(5, 4))


def compare(word: int, operator: int, value: bytes) -> bytes:
    return _expression("cmp", u32(1, _register(word)), u32(2, operator), _value(3, value))


def lookup(name: str, word: int, into: int | None = None, *, absent: bool = False) -> bytes:
    """Look the key at `word` up in a set; in a map with `into` the word where its value goes.

    The rule ends here for packets whose key is not found (or, with `absent`, is).
    """
    into_register = b"" if into is None else u32(3, _register(into))
    return _expression("lookup", text(1, name), u32(2, _register(word)), into_register, u32(5, int(absent)))


def verdict_lookup(name: str, word: int) -> bytes:
    """Look the key at `word` up in a verdict map and do what it says."""
    return _expression("lookup", text(1, name), u32(2, _register(word)), u32(3, 0), u32(5, 0))


def numgen_random(modulus: int, word: int) -> bytes:
    return _expression("numgen", u32(1, _register(word)), u32(2, modulus), u32(3, 1), u32(4, 0))


def dynset(operation: int, name: str, key: int, data: int, timeout_seconds: int = 0) -> bytes:
    """Change a dynamic map from the packet path; times are in milliseconds in the kernel."""
    return _expression(
        "dynset",
        u32(4, _register(key)),
        u32(5, _register(data)),
        u32(3, operation),
        text(1, name),
        u64(6, timeout_seconds * 1000),
        u32(9, 0),
    )


def destination_nat(nfproto: int, address: int, port: int) -> bytes:
    return _expression(
        "nat",
        u32(1, 1),
        u32(2, nfproto),
        u32(3, _register(address)),
        u32(4, _register(address)),
        u32(5, _register(port)),
        u32(6, _register(port)),
        u32(7, _NAT_MAP_ADDRESS_AND_PORT),
    )


def masquerade() -> bytes:
    """With fully random ports: without, many clients of one endpoint race for the same port."""
    return _expression("masq", u32(1, _NAT_FULLY_RANDOM))


def reject(nfproto: int) -> bytes:
    """Answer with ICMP or ICMPv6 port unreachable."""
    port_unreachable = 3 if nfproto == 2 else 4
    return _expression("reject", u32(1, 0), attribute(2, bytes([port_unreachable])))


def drop() -> bytes:
    return _expression("immediate", u32(1, 0), nested(2, _verdict(DROP)))


def jump(chain: str) -> bytes:
    return _expression("immediate", u32(1, 0), nested(2, _verdict(_JUMP, chain)))


def goto(chain: str) -> bytes:
    return _expression("immediate", u32(1, 0), nested(2, _verdict(_GOTO, chain)))


def verdict_data(chain: str, *, returns: bool) -> bytes:
    """The value of a verdict map's element (NFTA_SET_ELEM_DATA)."""
    return nested(2, _verdict(_JUMP if returns else _GOTO, chain))


def immediate(word: int, value: bytes) -> bytes:
    """A constant in a register."""
    return _expression("immediate", u32(1, _register(word)), _value(2, value))
