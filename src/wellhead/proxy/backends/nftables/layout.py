"""The maps and sets of a table, and how their keys are encoded.

A new connection's address leads to the *id* of a Service port and the code of a policy (`services`,
`node-ports`), the code to a chain (`policies`). That leads on to one that chooses among so many endpoints, by
a random index (`endpoints`). The code says how many they are where they are few and the policy always chooses
among the same; else two look-ups more say it (`endpoint-counts`, `picks`). With session affinity the index
leads to a slot (`slots`), and id and slot to the endpoint (`slot-endpoints`): slots stay with their
endpoints, so that what `affinity` remembers of a client is the endpoint itself.

No map with an element per Service holds verdicts. Whenever a verdict map gets an element, the kernel
validates all chains that any of its elements leads to: 10 ms at 50,000 elements on Linux 6.18, which goes to
each chain once; before it learned that, verdict maps that follow each other multiplied. Codes and three small
verdict maps cost one more look-up.

Between look-ups an id travels in the packet's priority. It is the one word of a packet that nothing else
reads before the packet has been routed, and that may be overwritten as a whole, as a map's value must; a mark
belongs to everybody, bit by bit. Forwarding sets the priority anew (from the TOS byte), and we clear it.
"""

from __future__ import annotations

import sys
from functools import cache, lru_cache
from struct import Struct

from wellhead.ip import Family, IPNetwork, Protocol
from wellhead.linux.nftables.expressions import DADDR, L4PROTO, PRIORITY, TH_DPORT, Random
from wellhead.linux.nftables.objects import ElementKey, Set, SetFlag
from wellhead.linux.nftables.objects import Table as NftTable
from wellhead.linux.nftables.types import (
    CLASSID,
    INET_PROTO,
    INET_SERVICE,
    INTEGER,
    IPV4_ADDR,
    IPV6_ADDR,
)
from wellhead.linux.numbers import SERVICE_PORTS, Table
from wellhead.proxy.claims.sets import (
    CLUSTER_IPS,
    HAIRPINS,
    NODE_PORT_ADDRESSES,
    RETURNING,
    claim_sets,
)
from wellhead.services.endpointslice import EndpointAddress

TABLE = Table.PROXY

CODE_MASK = 0x3FFF
"""The lowest bits, what comes next: a policy, a number of endpoints, an endpoint's slot; 0: nothing yet."""
LOCAL = 0x4000
"""Choose among the endpoints of this node."""
_NUMBER_SHIFT = 15
FIRST_NUMBER = SERVICE_PORTS.start >> _NUMBER_SHIFT
MAX_NUMBER = SERVICE_PORTS[-1] >> _NUMBER_SHIFT
NUMBER_AND_SCOPE_MASK = 0xFFFFFFFF & ~CODE_MASK
NUMBER_MASK = NUMBER_AND_SCOPE_MASK & ~LOCAL
MAX_ENDPOINTS = 12_000
"""Of one Service port; codes above are affinity timeouts'."""
MAX_TIMEOUTS = (CODE_MASK - MAX_ENDPOINTS) // 2
_AFFINITY_SIZE = 1 << 20

SERVICES = "services"
NODE_PORTS = "node-ports"
POLICIES = "policies"
ENDPOINT_COUNTS = "endpoint-counts"
PICKS = "picks"
ENDPOINTS = "endpoints"
AFFINITY = "affinity"
SLOT_COUNTS = "slot-counts"
SLOT_PICKS = "slot-picks"
SLOTS = "slots"
SLOT_ENDPOINTS = "slot-endpoints"
SOURCE_RANGES = "source-ranges"
SERVICE_RANGES = "service-ranges"
INSIDE = "inside"

_PROTOCOL = {each: bytes((each.number, 0, 0, 0)) for each in Protocol}
_WORD = Struct("=I")
_PORT = Struct("!Hxx")


@cache
def table(family: Family) -> NftTable:
    """The table of a family, with every set and map of it."""
    return NftTable(family, TABLE, _sets(family))


def _sets(family: Family) -> tuple[Set, ...]:
    address = IPV4_ADDR if family is Family.IPV4 else IPV6_ADDR
    frontend = (address, INET_PROTO, INET_SERVICE)
    node_port = (INET_PROTO, INET_SERVICE)
    numgen = (INET_PROTO, CLASSID, INTEGER)
    return (
        Set(SERVICES, frontend, (CLASSID,)),
        Set(NODE_PORTS, node_port, (CLASSID,)),
        Set(POLICIES, (CLASSID,), "verdict"),
        Set(ENDPOINT_COUNTS, (CLASSID,), (CLASSID,)),
        Set(PICKS, (CLASSID,), "verdict"),
        Set(
            ENDPOINTS,
            numgen,
            (address, INET_SERVICE),
            described=((L4PROTO, PRIORITY, Random(2)), (DADDR[family], TH_DPORT)),
        ),
        Set(
            AFFINITY,
            (CLASSID, address),
            (CLASSID,),
            SetFlag.DYNAMIC | SetFlag.TIMEOUT,
            size=_AFFINITY_SIZE,
        ),
        Set(SLOT_COUNTS, (CLASSID,), (CLASSID,)),
        Set(SLOT_PICKS, (CLASSID,), "verdict"),
        Set(SLOTS, (CLASSID, INTEGER), (CLASSID,), described=((PRIORITY, Random(2)), (PRIORITY,))),
        Set(SLOT_ENDPOINTS, (INET_PROTO, CLASSID), (address, INET_SERVICE)),
        Set(SOURCE_RANGES, (CLASSID, address), flags=SetFlag.INTERVAL),
        Set(CLUSTER_IPS, (address,)),
        Set(SERVICE_RANGES, (address,), flags=SetFlag.INTERVAL),
        Set(NODE_PORT_ADDRESSES, (address,), flags=SetFlag.INTERVAL),
        Set(HAIRPINS, (address, address)),
        Set(INSIDE, (address,), flags=SetFlag.INTERVAL),
        Set(RETURNING, (address,)),
        *claim_sets(family),
    )


def port_id(number: int, rest: int = 0) -> bytes:
    """The id of a Service port: which, and in `rest` among which of its endpoints, and what comes next."""
    return _WORD.pack(number << _NUMBER_SHIFT | rest)


def split_id(packed: bytes) -> tuple[int, bool, int]:
    """Number, local, code: the reverse of `port_id`."""
    (value,) = _WORD.unpack(packed)
    return value >> _NUMBER_SHIFT, bool(value & LOCAL), value & CODE_MASK


def word(value: int) -> bytes:
    return _WORD.pack(value)


@lru_cache(maxsize=1024)
def indexes(count: int) -> tuple[bytes, ...]:
    """The numbers below `count`, as the kernel draws them."""
    return tuple(map(word, range(count)))


def transport(protocol: Protocol) -> bytes:
    return _PROTOCOL[protocol]


def frontend_key(address: bytes, protocol: Protocol, number: int) -> bytes:
    return address + _PROTOCOL[protocol] + _PORT.pack(number)


def node_port_key(protocol: Protocol, number: int) -> bytes:
    return _PROTOCOL[protocol] + _PORT.pack(number)


def endpoint_data(endpoint: EndpointAddress) -> bytes:
    return endpoint.packed + _port(endpoint.port)


_port = lru_cache(maxsize=1024)(_PORT.pack)  # there are few


def source_range(number: int, network: IPNetwork) -> ElementKey:
    """The key of clients in `network` for a Service port."""
    # In interval sets of several fields, numbers are in network order.
    packed_id = port_id(number)[:: -1 if sys.byteorder == "little" else 1]
    return ElementKey(
        SOURCE_RANGES,
        packed_id + network.network_address.packed,
        packed_id + network.broadcast_address.packed,
    )
