"""Resource quantities: `100m`, `1.5`, `64Mi`, `1e3`. Upstream: apimachinery's api/resource."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from typing import Literal, Self

Format = Literal["decimal", "binary", "exponent"]

_PATTERN = re.compile(r"([+-]?)(\d+(?:\.\d*)?|\.\d+)(|[numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)", re.ASCII)
_DECIMAL_SUFFIXES = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_NAMES = {exponent: suffix for suffix, exponent in _DECIMAL_SUFFIXES.items()}
_BINARY_SUFFIXES = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_NANO = 1_000_000_000
_EXACT = 18  # digits; where there are more, upstream takes what is above _MOST to be that
_MOST = (1 << 63) - 1
_LONGEST = 128


@dataclass(frozen=True, order=True)
class Quantity:
    """An amount, exact to a billionth. Compares by amount; `str` gives upstream's canonical form."""

    nanos: int
    """The amount times 10⁹."""
    format: Format = field(default="decimal", compare=False)

    @classmethod
    def parse(cls, text: str | float) -> Self:
        """From a string, or from a number as JSON may have it. Raises ValueError."""
        if isinstance(text, int) and abs(text) > _MOST:  # int's str refuses what is very long
            text = _MOST if text > 0 else -_MOST
        match = _PATTERN.fullmatch(str(text))
        if match is None:
            raise ValueError(
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
            )
        sign, digits, suffix = match.groups()
        if len(digits) + len(suffix) > _LONGEST:
            raise ValueError(f"a quantity may have at most {_LONGEST} characters")
        amount = Decimal(sign + digits)
        form: Format = "decimal"
        if suffix in _BINARY_SUFFIXES:
            amount *= 1 << _BINARY_SUFFIXES[suffix]
            form = "binary"
        elif suffix in _DECIMAL_SUFFIXES:
            amount = amount.scaleb(_DECIMAL_SUFFIXES[suffix])
        else:
            exponent = int(suffix[1:])
            if abs(exponent) > 30:
                raise ValueError(f"the exponent of quantity {text!r} is out of range")
            amount = amount.scaleb(exponent)
            form = "exponent"
        # What is finer than a billionth is rounded up, away from zero.
        nanos = int(abs(amount * _NANO).to_integral_value(ROUND_CEILING))
        if len(digits) > _EXACT:
            nanos = min(nanos, _MOST * _NANO)
        return cls(-nanos if amount < 0 else nanos, form)

    @property
    def value(self) -> int:
        """The amount as an integer, rounded up."""
        return -(-self.nanos // _NANO)

    @property
    def milli_value(self) -> int:
        """The amount in thousandths (CPU), rounded up."""
        return -(-self.nanos // (_NANO // 1000))

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(self.nanos + other.nanos, self._format_with(other))

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(self.nanos - other.nanos, self._format_with(other))

    def _format_with(self, other: Quantity) -> Format:
        """Zero has no format of its own to keep."""
        return self.format if self.nanos else other.format

    def __str__(self) -> str:
        if self.nanos == 0:
            return "0"
        whole, rest = divmod(abs(self.nanos), _NANO)
        sign = "-" if self.nanos < 0 else ""
        if self.format == "binary" and not rest and whole >= 1024:
            shift, suffix = next(
                (
                    (bits, name)
                    for name, bits in reversed(_BINARY_SUFFIXES.items())
                    if not whole % (1 << bits)
                ),
                (0, ""),
            )
            return f"{sign}{whole >> shift}{suffix}"
        mantissa, exponent = abs(self.nanos), -9
        while mantissa % 1000 == 0 and exponent < 18:
            mantissa, exponent = mantissa // 1000, exponent + 3
        if self.format == "exponent":
            return f"{sign}{mantissa}" + (f"e{exponent}" if exponent else "")
        return f"{sign}{mantissa}{_DECIMAL_NAMES[exponent]}"


def canonical(text: str | float) -> str:
    """The form in which upstream stores a quantity: `1000m` → `1`, `0.5` → `500m`, `1024Ki` → `1Mi`.

    Raises ValueError.
    """
    return str(Quantity.parse(text))
