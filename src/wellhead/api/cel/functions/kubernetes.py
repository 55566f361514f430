"""Kubernetes' own types: URLs, quantities, addresses, networks, semantic versions, formats.

Upstream: apiserver's cel/library (urls.go, quantity.go, ip.go, cidr.go, semverlib.go, format.go).
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from wellhead.api import formats
from wellhead.api.cel.functions.standard import timestamp
from wellhead.api.cel.functions.table import Function, function
from wellhead.api.cel.values import (
    MAX_INT,
    MIN_INT,
    NONE,
    EvaluationError,
    Opaque,
    Optional,
    optional,
)
from wellhead.api.quantity import Quantity as Amount

_NANO = 1_000_000_000


@dataclass(frozen=True)
class Url(Opaque):
    """An absolute URL, or an absolute path."""

    text: str
    type_name = "net.URL"

    @property
    def _parts(self) -> Any:
        return urlsplit(self.text)

    @property
    def scheme(self) -> str:
        return str(self._parts.scheme)

    @property
    def host(self) -> str:
        return str(self._parts.netloc.rpartition("@")[2])

    @property
    def hostname(self) -> str:
        host = self.host
        if host.startswith("["):
            return host[1:].partition("]")[0]
        return host.partition(":")[0]

    @property
    def port(self) -> str:
        return self.host.rpartition("]")[2].partition(":")[2]

    @property
    def escaped_path(self) -> str:
        return quote(unquote(self._parts.path), safe="/:@!$&'()*+,;=~-._")

    @property
    def query(self) -> dict[str, list[str]]:
        values: dict[str, list[str]] = {}
        for name, value in parse_qsl(self._parts.query, keep_blank_values=True):
            values.setdefault(name, []).append(value)
        return values


@dataclass(frozen=True)
class Quantity(Opaque):
    amount: Amount
    type_name = "kubernetes.Quantity"


@dataclass(frozen=True)
class Ip(Opaque):
    address: ipaddress.IPv4Address | ipaddress.IPv6Address
    type_name = "net.IP"


@dataclass(frozen=True)
class Cidr(Opaque):
    interface: ipaddress.IPv4Interface | ipaddress.IPv6Interface
    type_name = "net.CIDR"


_IDENTIFIER = r"(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    rf"(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)


@dataclass(frozen=True)
class Semver(Opaque):
    major: int
    minor: int
    patch: int
    prerelease: tuple[str, ...] = ()
    type_name = "kubernetes.Semver"

    @property
    def order(self) -> tuple[Any, ...]:
        """Semantic Versioning 2.0.0, section 11."""
        parts = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in self.prerelease)
        return (self.major, self.minor, self.patch, not parts, parts)


@dataclass(frozen=True)
class Format(Opaque):
    """A format that a string may have; `check` says what is wrong."""

    name: str
    check: Callable[[str], list[str]] = field(compare=False)
    pattern_size: int
    """How long a regular expression the check counts as."""
    type_name = "kubernetes.NamedFormat"


def _url(text: str) -> Url:
    if not is_url(text):
        raise EvaluationError(
            f"URL parse error during conversion from string: invalid URI for request: {text}"
        )
    return Url(text)


def is_url(text: str) -> bool:
    if any(ord(char) < 0x21 or char == "\x7f" for char in text):
        return False
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    if re.search("%(?![0-9A-Fa-f]{2})", text):
        return False
    if text.startswith("/"):
        return True
    return bool(parts.scheme) and (bool(parts.netloc) or text.startswith(f"{parts.scheme}:"))


def _quantity(text: str) -> Quantity:
    try:
        return Quantity(Amount.parse(text))
    except ValueError as error:
        raise EvaluationError(str(error)) from None


def _parses(read: Callable[[str], Any]) -> Callable[[str], bool]:
    def parses(text: str) -> bool:
        try:
            read(text)
        except (EvaluationError, ValueError):
            return False
        return True

    return parses


def _is_whole(value: Quantity) -> bool:
    whole, rest = divmod(value.amount.nanos, _NANO)
    return rest == 0 and MIN_INT <= whole <= MAX_INT


def _as_integer(value: Quantity) -> int:
    if not _is_whole(value):
        raise EvaluationError("cannot convert value to integer")
    return value.amount.nanos // _NANO


def _ip(text: str) -> Ip:
    address = formats.parse_ip(text)
    if address is None:
        raise EvaluationError(f'IP Address "{text}" parse error during conversion from string')
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        raise EvaluationError(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return Ip(address)


def _is_canonical(text: str) -> bool:
    return str(_ip(text).address) == text


def _is_global_unicast(value: Ip) -> bool:
    address = value.address
    return not (
        address.is_unspecified
        or address.is_loopback
        or address.is_multicast
        or address.is_link_local
        or str(address) == "255.255.255.255"
    )


def _is_link_local_multicast(value: Ip) -> bool:
    text = "224.0.0.0/24" if value.address.version == 4 else "ff02::/16"
    return value.address in ipaddress.ip_network(text)


def _cidr(text: str) -> Cidr:
    address, slash, _ = text.partition("/")
    if formats.cidr(text) or not slash:
        raise EvaluationError(f'network address parse error during conversion from string: "{text}"')
    if isinstance(parsed := formats.parse_ip(address), ipaddress.IPv6Address) and parsed.ipv4_mapped:
        raise EvaluationError(f'IPv4-mapped IPv6 address "{address}" is not allowed')
    return Cidr(ipaddress.ip_interface(text))


def _contains_ip(value: Cidr, address: Ip) -> bool:
    return address.address in value.interface.network


def _contains_cidr(value: Cidr, other: Cidr) -> bool:
    mine, theirs = value.interface.network, other.interface.network
    return mine.version == theirs.version and mine.prefixlen <= theirs.prefixlen and theirs[0] in mine


def _semver(text: str, normalize: bool = False) -> Semver:
    if normalize:
        parts = text.removeprefix("v").split(".", 2)
        parts = [_without_zeros(part) for part in parts]
        if len(parts) < 3 and any(sign in parts[-1] for sign in "+-"):
            raise EvaluationError("Short version cannot contain PreRelease/Build meta data")
        text = ".".join([*parts, *["0"] * (3 - len(parts))])
    match = _SEMVER.fullmatch(text)
    if match is None:
        raise EvaluationError(f'invalid semantic version: "{text[:64]}"')
    major, minor, patch = (int(number) for number in match.groups()[:3])
    return Semver(major, minor, patch, tuple((match[4] or "").split(".")) if match[4] else ())


def _without_zeros(part: str) -> str:
    short = part.lstrip("0")
    return short if short[:1].isdecimal() else "0" + short if len(part) > 1 else part


def _compare(a: Any, b: Any) -> int:
    return int(a > b) - int(a < b)


def _prefix(check: formats.Check) -> formats.Check:
    """A generated name's beginning: the suffix may complete it."""
    return lambda text: check(text[:-1] + "a" if text.endswith("-") else text)


def _uri(text: str) -> list[str]:
    return [] if is_url(text) else [f'parse "{text}": invalid URI for request']


_UUID = re.compile("[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}")


def _byte(text: str) -> list[str]:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return ["invalid base64"]
    return []


def _date(text: str) -> list[str]:
    ok = re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII) and _parses(timestamp)(f"{text}T00:00:00Z")
    return [] if ok else ["invalid date"]


FORMATS: dict[str, Format] = {
    name: Format(shown, check, pattern_size)
    for name, shown, check, pattern_size in (
        ("dns1123Label", "DNS1123Label", formats.dns_label, 30),
        ("dns1123Subdomain", "DNS1123Subdomain", formats.dns_subdomain, 60),
        ("dns1035Label", "DNS1035Label", formats.dns_1035_label, 30),
        ("qualifiedName", "QualifiedName", formats.qualified_name, 60),
        ("dns1123LabelPrefix", "DNS1123LabelPrefix", _prefix(formats.dns_label), 30),
        ("dns1123SubdomainPrefix", "DNS1123SubdomainPrefix", _prefix(formats.dns_subdomain), 60),
        ("dns1035LabelPrefix", "DNS1035LabelPrefix", _prefix(formats.dns_1035_label), 30),
        ("labelValue", "LabelValue", formats.label_value, 40),
        ("uri", "URI", _uri, 1103),
        (
            "uuid",
            "uuid",
            lambda text: [] if _UUID.fullmatch(text) else ["does not match the UUID format"],
            70,
        ),
        ("byte", "byte", _byte, 84),
        ("date", "date", _date, 71),
        ("datetime", "datetime", lambda text: [] if _parses(timestamp)(text) else ["invalid datetime"], 71),
    )
}


def _validate(form: Format, text: str) -> Optional:
    problems = form.check(text)
    return optional(problems) if problems else NONE


def _named(name: str) -> Optional:
    return optional(FORMATS[name]) if name in FORMATS else NONE


def _escape_key(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1")


_OPAQUE: dict[str, type] = {
    "net.URL": Url,
    "kubernetes.Quantity": Quantity,
    "net.IP": Ip,
    "net.CIDR": Cidr,
    "kubernetes.Semver": Semver,
    "kubernetes.NamedFormat": Format,
}


def _function(signature: str, call: Callable[..., Any]) -> Function:
    for short, name in (
        ("URL", "net.URL"),
        ("Quantity", "kubernetes.Quantity"),
        ("IP", "net.IP"),
        ("CIDR", "net.CIDR"),
        ("Semver", "kubernetes.Semver"),
        ("Format", "kubernetes.NamedFormat"),
    ):
        signature = re.sub(rf"(?<![\w.]){short}(?!\w)(?!\()", name, signature)
    return function(signature, call, _OPAQUE)


KUBERNETES: tuple[Function, ...] = (
    _function("url(string): URL", _url),
    _function("isURL(string): bool", is_url),
    _function("URL -> getScheme(): string", lambda url: url.scheme),
    _function("URL -> getHost(): string", lambda url: url.host),
    _function("URL -> getHostname(): string", lambda url: url.hostname),
    _function("URL -> getPort(): string", lambda url: url.port),
    _function("URL -> getEscapedPath(): string", lambda url: url.escaped_path),
    _function("URL -> getQuery(): map<string, list<string>>", lambda url: url.query),
    _function("quantity(string): Quantity", _quantity),
    _function("isQuantity(string): bool", _parses(_quantity)),
    _function("Quantity -> sign(): int", lambda a: _compare(a.amount.nanos, 0)),
    _function("Quantity -> isInteger(): bool", _is_whole),
    _function("Quantity -> asInteger(): int", _as_integer),
    _function("Quantity -> asApproximateFloat(): double", lambda a: a.amount.nanos / _NANO),
    _function("Quantity -> isGreaterThan(Quantity): bool", lambda a, b: a.amount > b.amount),
    _function("Quantity -> isLessThan(Quantity): bool", lambda a, b: a.amount < b.amount),
    _function("Quantity -> compareTo(Quantity): int", lambda a, b: _compare(a.amount, b.amount)),
    _function("Quantity -> add(Quantity): Quantity", lambda a, b: Quantity(a.amount + b.amount)),
    _function("Quantity -> add(int): Quantity", lambda a, b: Quantity(a.amount + Amount(b * _NANO))),
    _function("Quantity -> sub(Quantity): Quantity", lambda a, b: Quantity(a.amount - b.amount)),
    _function("Quantity -> sub(int): Quantity", lambda a, b: Quantity(a.amount - Amount(b * _NANO))),
    _function("ip(string): IP", _ip),
    _function("isIP(string): bool", _parses(_ip)),
    _function("ip.isCanonical(string): bool", _is_canonical),
    _function("IP -> family(): int", lambda ip: ip.address.version),
    _function("IP -> isUnspecified(): bool", lambda ip: ip.address.is_unspecified),
    _function("IP -> isLoopback(): bool", lambda ip: ip.address.is_loopback),
    _function("IP -> isLinkLocalMulticast(): bool", _is_link_local_multicast),
    _function("IP -> isLinkLocalUnicast(): bool", lambda ip: ip.address.is_link_local),
    _function("IP -> isGlobalUnicast(): bool", _is_global_unicast),
    _function("cidr(string): CIDR", _cidr),
    _function("isCIDR(string): bool", _parses(_cidr)),
    _function("CIDR -> containsIP(IP): bool", _contains_ip),
    _function("CIDR -> containsIP(string): bool", lambda net, text: _contains_ip(net, _ip(text))),
    _function("CIDR -> containsCIDR(CIDR): bool", _contains_cidr),
    _function("CIDR -> containsCIDR(string): bool", lambda net, text: _contains_cidr(net, _cidr(text))),
    _function("CIDR -> ip(): IP", lambda net: Ip(net.interface.ip)),
    _function("CIDR -> masked(): CIDR", lambda net: _cidr(str(net.interface.network))),
    _function("CIDR -> prefixLength(): int", lambda net: net.interface.network.prefixlen),
    _function("semver(string): Semver", _semver),
    _function("semver(string, bool): Semver", _semver),
    _function("isSemver(string): bool", _parses(_semver)),
    _function("isSemver(string, bool): bool", lambda text, short: _parses(lambda t: _semver(t, short))(text)),
    _function("Semver -> major(): int", lambda a: a.major),
    _function("Semver -> minor(): int", lambda a: a.minor),
    _function("Semver -> patch(): int", lambda a: a.patch),
    _function("Semver -> isGreaterThan(Semver): bool", lambda a, b: a.order > b.order),
    _function("Semver -> isLessThan(Semver): bool", lambda a, b: a.order < b.order),
    _function("Semver -> compareTo(Semver): int", lambda a, b: _compare(a.order, b.order)),
    _function("format.named(string): optional_type<Format>", _named),
    *(_function(f"format.{name}(): Format", lambda form=form: form) for name, form in FORMATS.items()),
    _function("Format -> validate(string): optional_type<list<string>>", _validate),
    _function("jsonpatch.escapeKey(string): string", _escape_key),
)

CONVERSIONS: tuple[Function, ...] = (
    _function("string(IP): string", lambda ip: str(ip.address)),
    _function("string(CIDR): string", lambda net: str(net.interface)),
)
"""Overloads of a function that the checker declares itself, and takes no more of: `string(dyn(ip))` works."""
