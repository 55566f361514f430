"""The formats that a schema may ask of a string (kube-openapi's strfmt); others are not looked at."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import date

from wellhead.api import formats
from wellhead.api.cel.functions.kubernetes import is_url
from wellhead.api.cel.functions.standard import duration, timestamp

_UUID = "[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?%s[0-9a-fA-F]{3}-?%s[0-9a-fA-F]{3}-?[0-9a-fA-F]{12}"
_ANY = "[0-9a-fA-F]"
_EMAIL = re.compile(r"[^\s@<>\"(),:;\[\]\\]+@[A-Za-z0-9](?:[-A-Za-z0-9.]*[A-Za-z0-9])?", re.ASCII)
_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[-A-Za-z0-9]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[-A-Za-z0-9]{0,61}[A-Za-z0-9])?\.?"
)
_WORDY = re.compile(
    r"([0-9]+)\s*(ns|us|µs|ms|s|m|h|d|w|nanos?|micros?|millis?|secs?|seconds?|mins?|minutes?|hrs?|hours?|days?|weeks?)"
)


def _parses(read: Callable[[str], object]) -> Callable[[str], bool]:
    def parses(text: str) -> bool:
        try:
            read(text)
        except (ValueError, OverflowError):
            return False
        return True

    return parses


def _pattern(text: str) -> Callable[[str], bool]:
    compiled = re.compile(text, re.ASCII)
    return lambda value: compiled.fullmatch(value) is not None


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _is_duration(text: str) -> bool:
    if _parses(duration)(text):
        return True
    return bool(text) and not _WORDY.sub("", text).strip() and _WORDY.search(text) is not None


def _is_date(text: str) -> bool:
    return re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII) is not None and _parses(date.fromisoformat)(
        text
    )


def _is_host(text: str) -> bool:
    return 0 < len(text) < 256 and _HOST.fullmatch(text) is not None


def _digits(text: str) -> str:
    return re.sub("[ -]", "", text)


def _is_isbn10(text: str) -> bool:
    code = _digits(text)
    if re.fullmatch(r"[0-9]{9}[0-9X]", code) is None:
        return False
    return sum((10 - at) * (10 if char == "X" else int(char)) for at, char in enumerate(code)) % 11 == 0


def _is_isbn13(text: str) -> bool:
    code = _digits(text)
    if re.fullmatch(r"[0-9]{13}", code) is None:
        return False
    return sum((3 if at % 2 else 1) * int(char) for at, char in enumerate(code)) % 10 == 0


def _is_credit_card(text: str) -> bool:
    code = _digits(text)
    if re.fullmatch(r"[0-9]{13,19}", code) is None:
        return False
    total = 0
    for at, char in enumerate(reversed(code)):
        number = int(char) * (2 if at % 2 else 1)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


_BYTE = "(25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})"
_CHECKS: dict[str, Callable[[str], bool]] = {
    "bsonobjectid": _pattern("[0-9a-f]{24}"),
    "uri": is_url,
    "email": lambda text: _EMAIL.fullmatch(text) is not None,
    "hostname": _is_host,
    "ipv4": _parses(ipaddress.IPv4Address),
    "ipv6": _parses(ipaddress.IPv6Address),
    "cidr": lambda text: not formats.cidr(text),
    "mac": _pattern("(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}|(?:[0-9a-fA-F]{2}[:-]){7}[0-9a-fA-F]{2}"),
    "uuid": _pattern(_UUID % (_ANY, _ANY)),
    "uuid3": _pattern(_UUID % ("3", _ANY)),
    "uuid4": _pattern(_UUID % ("4", "[89abAB]")),
    "uuid5": _pattern(_UUID % ("5", "[89abAB]")),
    "isbn": lambda text: _is_isbn10(text) or _is_isbn13(text),
    "isbn10": _is_isbn10,
    "isbn13": _is_isbn13,
    "creditcard": _is_credit_card,
    "ssn": _pattern("[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}"),
    "hexcolor": _pattern("#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "rgbcolor": _pattern(rf"rgb\(\s*{_BYTE}\s*,\s*{_BYTE}\s*,\s*{_BYTE}\s*\)"),
    "byte": _is_base64,
    "password": lambda _text: True,
    "date": _is_date,
    "duration": _is_duration,
    "date-time": _parses(timestamp),
    "datetime": _parses(timestamp),
    "k8s-short-name": lambda text: not formats.dns_label(text),
    "k8s-long-name": lambda text: not formats.dns_subdomain(text),
}


def is_of_format(text: str, name: str) -> bool:
    """Whether a string is of the format; any is of one that isn't known."""
    check = _CHECKS.get(name)
    return check is None or check(text)


def is_recognized(name: str, type: str) -> bool:
    """Whether a schema of this type ('': of none) may ask for the format, and gets what it asks for.

    Upstream: GetUnrecognizedFormats in apiextensions' pkg/apiserver/validation/formats.go.
    """
    if type in ("", "string"):
        return name in _CHECKS or name.replace("-", "") in _CHECKS
    return name in {"integer": ("int32", "int64"), "number": ("float", "double")}.get(type, ())
