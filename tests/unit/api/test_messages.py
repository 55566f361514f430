"""Messages and numbers: what others wrote is in them only as far as it can be printed, or fits."""

from __future__ import annotations

import pytest

from wellhead.api.errors import BadRequest, Cause, Invalid
from wellhead.api.numbers import parse_int64, parse_uint64


def test_messages_and_causes_are_printable() -> None:
    assert BadRequest("\x1b[2J\ud800").message == "\\x1b[2J\\ud800"
    error = Invalid.of("", "Pod", "a", [Cause.required("data[\x1b]"), Cause("b", "", "\x07")])
    assert [(cause.field, cause.message) for cause in error.causes] == [
        ("data[\\x1b]", "Required value"),
        ("b", "\\x07"),
    ]
    assert "\x1b" not in error.message


def test_an_error_has_bounds() -> None:
    causes = [Cause.invalid(f"a[{index}]", "x" * 10_000, "bad") for index in range(1000)]
    error = Invalid.of("", "Pod", "a", causes)
    assert len(error.causes) == 101
    assert error.causes[-1].message == "and 900 more"
    assert len(error.message) < 200_000


@pytest.mark.parametrize(
    "text", ["²", "٣", "1_0", " 1", "1 ", "", "+", "0x1", "1.0", "9" * 5000, str(1 << 64)]
)
def test_numbers_are_ascii_digits_and_fit_64_bits(text: str) -> None:
    with pytest.raises(ValueError, match=r"strconv\.ParseInt"):
        parse_int64(text)
    with pytest.raises(ValueError, match=r"strconv\.ParseUint"):
        parse_uint64(text)


def test_numbers_of_go() -> None:
    assert (parse_int64("-0012"), parse_int64("+3"), parse_uint64("18446744073709551615")) == (
        -12,
        3,
        2**64 - 1,
    )
