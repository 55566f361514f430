"""The bits of packet and connection marks that a proxy uses, and what each of them says."""

from __future__ import annotations

from dataclasses import dataclass

from wellhead.linux.numbers import MASQUERADE_MARK, RETURN_MARKS

_LEAST_BITS = 6


class UnusableMask(ValueError):
    """A mask that can't be divided up. The message says why."""


@dataclass(frozen=True, slots=True)
class Marks:
    """One bit to masquerade by, and a mask: its highest bit is `arrived`, the next `preserve`, the rest a
    number.

    The number, in a packet's mark, says which peer's return path the packet takes, and in a connection's mark
    which peer it came in by. All other bits of both marks are others' and stay as they are.

    Raises:
        UnusableMask: `mask` has holes, or bits for fewer than 15 peers, or the masquerade mark among them.
    """

    masquerade: int = MASQUERADE_MARK
    """On a packet whose source is to become this node's, between the choice of an endpoint and that."""
    mask: int = RETURN_MARKS

    def __post_init__(self) -> None:
        if not 0 < self.mask < 1 << 32:
            raise UnusableMask(f"{self.mask:#x} is no mask of 32 bits")
        ones = self.mask >> self.shift
        if ones & (ones + 1):
            raise UnusableMask(f"{self.mask:#x} has holes: its bits must be neighbours")
        if ones.bit_length() < _LEAST_BITS:
            raise UnusableMask(f"{self.mask:#x} has fewer than {_LEAST_BITS} bits")
        if self.mask & self.masquerade:
            raise UnusableMask(f"{self.mask:#x} overlaps the masquerade mark, {self.masquerade:#x}")

    @property
    def shift(self) -> int:
        """The place of the lowest bit."""
        return (self.mask & -self.mask).bit_length() - 1

    @property
    def arrived(self) -> int:
        """On a packet that has just come in by a peer: for the reverse-path check."""
        return 1 << (self.mask.bit_length() - 1)

    @property
    def preserve(self) -> int:
        """On a packet whose source is to be kept if its endpoint's node returns replies symmetrically."""
        return self.arrived >> 1

    @property
    def index_mask(self) -> int:
        """The bits of the number."""
        return self.mask & ~(self.arrived | self.preserve)

    @property
    def last_index(self) -> int:
        """The greatest number there is room for; they begin with 1."""
        return self.index_mask >> self.shift

    def of(self, index: int) -> int:
        """A peer's number as the bits of a mark.

        Raises:
            ValueError: there is no room for it.
        """
        if not 0 < index <= self.last_index:
            raise ValueError(f"{index} is not in 1…{self.last_index}")
        return index << self.shift

    def index(self, mark: int) -> int:
        """The number in a mark; 0 if there is none."""
        return (mark & self.index_mask) >> self.shift
