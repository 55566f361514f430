"""The kernel's names for what its messages about nftables hold (linux/netfilter/nf_tables.h).

An enumeration a group of attributes, called as the kernel's without NFTA_. Members that nobody here speaks of
are left out.
"""

from __future__ import annotations

import enum


class Message(enum.IntEnum):
    """Kinds of messages (NFT_MSG_…)."""

    NEW_TABLE = 0
    GET_TABLE = 1
    DEL_TABLE = 2
    NEW_CHAIN = 3
    GET_CHAIN = 4
    DEL_CHAIN = 5
    NEW_RULE = 6
    GET_RULE = 7
    DEL_RULE = 8
    NEW_SET = 9
    GET_SET = 10
    DEL_SET = 11
    NEW_SET_ELEMENT = 12
    GET_SET_ELEMENT = 13
    DEL_SET_ELEMENT = 14
    NEW_GENERATION = 15
    GET_GENERATION = 16


class Table(enum.IntEnum):
    NAME = 1
    """The same number names the table that any message but NEW_GENERATION is about, and comes first."""
    FLAGS = 2


class Chain(enum.IntEnum):
    TABLE = 1
    NAME = 3
    HOOK = 4
    TYPE = 7


class Hook(enum.IntEnum):
    NUMBER = 1
    PRIORITY = 2


class Rule(enum.IntEnum):
    TABLE = 1
    CHAIN = 2
    HANDLE = 3
    EXPRESSIONS = 4
    COMPATIBLE = 5
    POSITION = 6
    USERDATA = 7


class Compatible(enum.IntEnum):
    """NFTA_RULE_COMPAT_…"""

    PROTOCOL = 1
    FLAGS = 2


class Extension(enum.IntEnum):
    """NFTA_MATCH_… and NFTA_TARGET_…, which are alike."""

    NAME = 1
    REVISION = 2
    INFO = 3


class Counter(enum.IntEnum):
    BYTES = 1
    PACKETS = 2


class Set(enum.IntEnum):
    TABLE = 1
    NAME = 2
    FLAGS = 3
    KEY_TYPE = 4
    KEY_LENGTH = 5
    DATA_TYPE = 6
    DATA_LENGTH = 7
    DESCRIPTION = 9
    ID = 10
    USERDATA = 13


class SetDescription(enum.IntEnum):
    SIZE = 1
    CONCAT = 2


class SetField(enum.IntEnum):
    LENGTH = 1


class Elements(enum.IntEnum):
    """NFTA_SET_ELEM_LIST_…"""

    TABLE = 1
    SET = 2
    ELEMENTS = 3


class Element(enum.IntEnum):
    KEY = 1
    DATA = 2
    FLAGS = 3
    USERDATA = 6
    KEY_END = 10


class Data(enum.IntEnum):
    VALUE = 1
    VERDICT = 2


class Verdict(enum.IntEnum):
    CODE = 1
    CHAIN = 2


class ListOf(enum.IntEnum):
    ELEMENT = 1


class Generation(enum.IntEnum):
    ID = 1


class Expression(enum.IntEnum):
    NAME = 1
    DATA = 2


class Bitwise(enum.IntEnum):
    SOURCE = 1
    DESTINATION = 2
    LENGTH = 3
    MASK = 4
    XOR = 5
    OPERATION = 6


class ByteOrder(enum.IntEnum):
    SOURCE = 1
    DESTINATION = 2
    OPERATION = 3
    LENGTH = 4
    SIZE = 5


class Compare(enum.IntEnum):
    SOURCE = 1
    OPERATION = 2
    DATA = 3


class ConnectionTracking(enum.IntEnum):
    DESTINATION = 1
    KEY = 2
    DIRECTION = 3


class DynamicSet(enum.IntEnum):
    NAME = 1
    OPERATION = 3
    KEY = 4
    DATA = 5
    TIMEOUT = 6
    FLAGS = 9


class Fib(enum.IntEnum):
    DESTINATION = 1
    RESULT = 2
    FLAGS = 3


class Immediate(enum.IntEnum):
    DESTINATION = 1
    DATA = 2


class Lookup(enum.IntEnum):
    SET = 1
    SOURCE = 2
    DESTINATION = 3
    FLAGS = 5


class Masquerade(enum.IntEnum):
    FLAGS = 1


class Meta(enum.IntEnum):
    DESTINATION = 1
    KEY = 2
    SOURCE = 3


class Nat(enum.IntEnum):
    TYPE = 1
    FAMILY = 2
    ADDRESS_MIN = 3
    ADDRESS_MAX = 4
    PORT_MIN = 5
    PORT_MAX = 6
    FLAGS = 7


class NumberGenerator(enum.IntEnum):
    DESTINATION = 1
    MODULUS = 2
    TYPE = 3
    OFFSET = 4


class Payload(enum.IntEnum):
    DESTINATION = 1
    BASE = 2
    OFFSET = 3
    LENGTH = 4


class Reject(enum.IntEnum):
    TYPE = 1
    ICMP_CODE = 2
