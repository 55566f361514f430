"""What is wrong with which field, in upstream's words: the causes of `Invalid`.

The messages are those of apimachinery's `util/validation/field`, since clients and people match on them.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator
from dataclasses import dataclass

import msgspec

from wellhead.text import printable, quoted

_LONGEST = 8 * 1024  # characters of a value


@dataclass(frozen=True)
class Cause:
    """One entry of `details.causes`: a field's path, a machine-readable reason, a message for people.

    The constructors give upstream's wording; `field.Invalid`, `field.Required` … are their models.
    """

    field: str
    reason: str
    message: str

    @classmethod
    def required(cls, field: str, detail: str = "") -> Cause:
        return cls(field, "FieldValueRequired", "Required value" + (f": {detail}" if detail else ""))

    @classmethod
    def invalid(cls, field: str, value: object, detail: str) -> Cause:
        return cls(field, "FieldValueInvalid", f"Invalid value: {shown(value)}: {detail}")

    @classmethod
    def duplicate(cls, field: str, value: object, detail: str = "") -> Cause:
        message = f"Duplicate value: {shown(value)}" + (f": {detail}" if detail else "")
        return cls(field, "FieldValueDuplicate", message)

    @classmethod
    def not_supported(cls, field: str, value: object, supported: Iterable[str]) -> Cause:
        # Upstream sorts sets, and names lists as they are.
        choices = supported if isinstance(supported, tuple | list) else sorted(supported)
        values = ", ".join(f'"{choice}"' for choice in choices)
        return cls(
            field, "FieldValueNotSupported", f"Unsupported value: {shown(value)}: supported values: {values}"
        )

    @classmethod
    def forbidden(cls, field: str, detail: str) -> Cause:
        return cls(field, "FieldValueForbidden", f"Forbidden: {detail}")

    @classmethod
    def not_found(cls, field: str, value: object) -> Cause:
        return cls(field, "FieldValueNotFound", f"Not found: {shown(value)}")

    @classmethod
    def too_long(cls, field: str, limit: int) -> Cause:
        """`limit` in bytes."""
        return cls(field, "FieldValueTooLong", f"Too long: may not be more than {limit} bytes")

    @classmethod
    def too_many(cls, field: str, actual: int, limit: int) -> Cause:
        return cls(
            field, "FieldValueTooMany", f"Too many: {actual}: must have at most {_count(limit, 'item')}"
        )

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def one_of(field: str, value: str | None, supported: Collection[str]) -> list[Cause]:
    """The cause that speaks against a value that is none of those supported."""
    return [] if value in supported else [Cause.not_supported(field, value or "", supported)]


def duplicates(values: Iterable[object], at: str) -> list[Cause]:
    """The causes that speak against values of a list at `at` that are there already."""
    seen: set[bytes] = set()
    causes = []
    for index, value in enumerate(values):
        same = msgspec.json.encode(value, order="sorted")
        if same in seen:
            causes.append(Cause.duplicate(f"{at}[{index}]", value))
        seen.add(same)
    return causes


def repeated(values: Iterable[Hashable]) -> Iterator[bool]:
    """Of each value, whether it is there already."""
    seen: set[Hashable] = set()
    for value in values:
        yield value in seen
        seen.add(value)


def shortened(text: str, longest: int = _LONGEST) -> str:
    """The text, or as much of it as a message can bear."""
    return text if len(text) <= longest else f"{text[:longest]}... ({len(text)} characters)"


def shown(value: object) -> str:
    """A value as upstream's messages show it: strings quoted, numbers and booleans bare, the rest as JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return quoted(shortened(value))
    return printable(shortened(msgspec.json.encode(value).decode()), lines=True)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
