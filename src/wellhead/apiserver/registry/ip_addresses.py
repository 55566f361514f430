"""The IPAddresses of Services: written with the Service, in one transaction, and put right at every start.

Upstream: createIPAddress in pkg/registry/core/service/ipallocator, and ipallocator/controller/repairip.go.
"""

from __future__ import annotations

from typing import NamedTuple

from wellhead.api.kinds.ipaddress import ip_address_of
from wellhead.api.kinds.service.allocation import holdings
from wellhead.api.meta import Key, Obj
from wellhead.api.ranges import Address
from wellhead.api.resources import IPADDRESSES
from wellhead.storage.cache import Collection
from wellhead.storage.encoding import encode
from wellhead.storage.store import StoreKey, Write


class Around(NamedTuple):
    """Writes that belong into the transaction of another one: those before it, and those after it.

    Whoever watches sees an address taken before the Service has it, and the Service gone before its address.
    """

    before: tuple[Write, ...] = ()
    after: tuple[Write, ...] = ()


ALONE = Around()


def address_writes(addresses: Collection, service: Key, new: Obj | None, old: Obj | None) -> Around:
    """The IPAddresses that come and go when a Service's `old` state becomes `new`; None: it is not there.

    `addresses` are those that exist. One that somebody has deleted need not be deleted again.
    """
    after, before = holdings(new).addresses, holdings(old).addresses
    gone = [(address, addresses.get("", str(address))) for address in before - after]
    return Around(
        tuple(creation(address, service) for address in after - before),
        tuple(Write(key_of(address), None, item.revision) for address, item in gone if item is not None),
    )


def creation(address: Address, service: Key) -> Write:
    """The write that makes an address's IPAddress, if there is none."""
    return Write(key_of(address), encode(ip_address_of(address, service)), 0)


def key_of(address: Address | str) -> StoreKey:
    """Where an address's IPAddress is stored."""
    return StoreKey(IPADDRESSES.storage_prefix, "", str(address))
