"""Is a string a name, a label value, a port name …? Each check returns what is wrong, in upstream's words.

The rules and the wording are apimachinery's `util/validation`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from functools import lru_cache

Check = Callable[[str], list[str]]

_DNS_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_SUBDOMAIN = _DNS_LABEL + "(\\." + _DNS_LABEL + ")*"
_SEARCH_LABEL = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SEARCH_DOMAIN = _SEARCH_LABEL + "(\\." + _SEARCH_LABEL + ")*"
_DNS_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = "(" + _QUALIFIED + ")?"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_HTTP_HEADER_NAME = "[-A-Za-z0-9]+"
_ENV_NAME = "^[ -<>-~]+$"
_MAX_PATH = 4095  # bytes, without the NUL that ends a path
_MAX_FILE_NAME = 255

_QUALIFIED_MESSAGE = (
    "must consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character"
)
_QUALIFIED_EXAMPLES = ("MyName", "my.name", "123-abc")


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.ASCII)


_dns_label, _dns_subdomain, _dns_1035 = map(_pattern, (_DNS_LABEL, _DNS_SUBDOMAIN, _DNS_1035))
_qualified, _label_value, _config_key = map(_pattern, (_QUALIFIED, _LABEL_VALUE, _CONFIG_KEY))
_env_name = _pattern(_ENV_NAME)
_search_domain = _pattern(_SEARCH_DOMAIN)


def _refused(message: str, pattern: str, *examples: str) -> str:
    # Upstream's own punctuation, the doubled blank included.
    shown = "".join(f"{'' if i == 0 else ' or '}'{example}', " for i, example in enumerate(examples))
    return f"{message} (e.g. {shown}regex used for validation is '{pattern}')"


def _longer(text: str, limit: int) -> list[str]:
    return [f"must be no more than {limit} characters"] if len(text.encode()) > limit else []


def _larger(text: str, limit: int) -> list[str]:
    """The same as upstream's newer checks say it."""
    return [f"must be no more than {limit} bytes"] if len(text.encode()) > limit else []


def dns_label(text: str) -> list[str]:
    """RFC 1123 label: most namespaced names, containers, volumes."""
    problems = _longer(text, 63)
    if not _dns_label.fullmatch(text):
        if _dns_subdomain.fullmatch(text):
            return [*problems, "must not contain dots"]
        problems.append(
            _refused(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
                "and must start and end with an alphanumeric character",
                _DNS_LABEL,
                "my-name",
                "123-abc",
            )
        )
    return problems


def dns_subdomain(text: str) -> list[str]:
    """RFC 1123 subdomain: labels with dots between."""
    return _longer(text, 253) + _no_subdomain(text)


def _no_subdomain(text: str) -> list[str]:
    problems: list[str] = []
    if not _dns_subdomain.fullmatch(text):
        problems.append(
            _refused(
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
                "'-' or '.', and must start and end with an alphanumeric character",
                _DNS_SUBDOMAIN,
                "example.com",
            )
        )
    return problems


def search_domain(text: str) -> list[str]:
    """A subdomain in whose labels there may be underscores, too: where names are looked for."""
    problems = _longer(text, 253)
    if not _search_domain.fullmatch(text):
        problems.append(
            _refused(
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' "
                "or '.', and must start and end with an alphanumeric character",
                _SEARCH_DOMAIN,
                "example.com",
            )
        )
    return problems


def wildcard_subdomain(text: str) -> list[str]:
    """`*.` and a subdomain: hosts of Ingresses."""
    problems = _longer(text, 253)
    if not text.startswith("*.") or not _dns_subdomain.fullmatch(text[2:]):
        problems.append(
            _refused(
                "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, "
                "which must consist of lower case alphanumeric characters, '-' or '.' and end with an "
                "alphanumeric character",
                "\\*\\." + _DNS_SUBDOMAIN,
                "*.example.com",
            )
        )
    return problems


def dns_1035_label(text: str) -> list[str]:
    """RFC 1035 label: starts with a letter."""
    problems = _longer(text, 63)
    if not _dns_1035.fullmatch(text):
        problems.append(
            _refused(
                "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
                "alphabetic character, and end with an alphanumeric character",
                _DNS_1035,
                "my-name",
                "abc-123",
            )
        )
    return problems


def path_segment(text: str) -> list[str]:
    """Fit for a URL path, no more: the names of kinds without a rule (leases, events)."""
    if text in (".", ".."):
        return [f"may not be '{text}'"]
    return [f"may not contain '{char}'" for char in "/%" if char in text]


_plain = _pattern("[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def is_plain_label(name: str, value: str) -> bool:
    """Whether key and value are all right, and the key without a prefix: most are, and it is quickly seen."""
    return _plain.fullmatch(name) is not None and (not value or _plain.fullmatch(value) is not None)


def qualified_name(text: str) -> list[str]:
    """`name` or `example.com/name`: label and annotation keys."""
    problems: list[str] = []
    prefix, slash, name = text.rpartition("/")
    if slash and "/" in prefix:
        return [
            "a valid label key "
            + _refused(_QUALIFIED_MESSAGE, _QUALIFIED, *_QUALIFIED_EXAMPLES)
            + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    if slash:
        if not prefix:
            problems.append("prefix part must be non-empty")
        else:
            problems += [
                f"prefix part {problem}" for problem in (*_larger(prefix, 253), *_no_subdomain(prefix))
            ]
    if not name:
        problems.append("name part must be non-empty")
    else:
        problems += [f"name part {problem}" for problem in _larger(name, 63)]
    if not _qualified.fullmatch(name):
        problems.append("name part " + _refused(_QUALIFIED_MESSAGE, _QUALIFIED, *_QUALIFIED_EXAMPLES))
    return problems


def label_value(text: str) -> list[str]:
    problems = _larger(text, 63)
    if not _label_value.fullmatch(text):
        problems.append(
            _refused(
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
                "'.', and must start and end with an alphanumeric character",
                _LABEL_VALUE,
                "MyValue",
                "my_value",
                "12345",
            )
        )
    return problems


def config_key(text: str) -> list[str]:
    """A key of a ConfigMap or Secret: also a file name."""
    problems = _longer(text, 253)
    if not _config_key.fullmatch(text):
        problems.append(
            _refused(
                "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
                _CONFIG_KEY,
                "key.name",
                "KEY_NAME",
                "key-name",
            )
        )
    if text in (".", ".."):
        problems.append(f"must not be '{text}'")
    elif text.startswith(".."):
        problems.append("must not start with '..'")
    return problems


def no_backsteps(text: str) -> list[str]:
    """No path that leads up: a volume's, on a node."""
    return ["must not contain '..'"] if ".." in text.split("/") else []


def file_path(text: str) -> list[str]:
    """Whether a file can have this name (PATH_MAX, NAME_MAX in limits.h)."""
    problems = []
    if "\0" in text:
        problems.append("must not contain a NUL character")
    encoded = text.encode(errors="surrogatepass")
    if len(encoded) > _MAX_PATH:
        problems.append(f"must be less than or equal to {_MAX_PATH} bytes")
    if any(len(name) > _MAX_FILE_NAME for name in encoded.split(b"/")):
        problems.append(f"filenames must be less than or equal to {_MAX_FILE_NAME} bytes")
    return problems


def descending_path(text: str) -> list[str]:
    """A path below a directory: a part of a volume."""
    problems = ["must be a relative path"] if text.startswith("/") else []
    return problems + no_backsteps(text) + file_path(text)


def local_path(text: str) -> list[str]:
    """A path below a directory whose names that begin with `..` are the node's own: a file of a volume."""
    problems = descending_path(text)
    first = next((name for name in text.split("/") if name not in ("", ".")), "")
    if text and not first:
        problems.append("must name a file")
    if first.startswith("..") and not text.startswith("../"):
        problems.append("must not start with '..'")
    return problems


def env_name(text: str) -> list[str]:
    if _env_name.fullmatch(text):
        return []
    if not text:
        return ["environment variable name must be non-empty"]
    return [
        "a valid environment variable name must consist only of printable ASCII characters other than '='"
    ]


def http_header_name(text: str) -> list[str]:
    if re.fullmatch(_HTTP_HEADER_NAME, text, re.ASCII):
        return []
    message = "a valid HTTP header must consist of alphanumeric characters or '-'"
    return [_refused(message, _HTTP_HEADER_NAME, "X-Header-Name")]


def port_name(text: str) -> list[str]:
    """RFC 6335, section 5.1: a container port's name, or a named target port."""
    problems = _longer(text, 15)
    if not re.fullmatch("[-a-z0-9]+", text):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", text):
        problems.append("must contain at least one letter (a-z)")
    if "--" in text:
        problems.append("must not contain consecutive hyphens")
    if text.startswith("-") or text.endswith("-"):
        problems.append("must not begin or end with a hyphen")
    return problems


def port_number(number: int) -> list[str]:
    return between(number, 1, 65535)


def between(number: int, low: int, high: int) -> list[str]:
    """Both ends included."""
    return [] if low <= number <= high else [f"must be between {low} and {high}, inclusive"]


def ip_address(text: str) -> list[str]:
    """An address in a form that all readers take for the same one."""
    address = parse_ip(text)
    if address is None and parse_ip(_without_zeros(text)) is not None:
        return ["must not have leading 0s"]
    if address is None:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    if address.version == 6 and address.ipv4_mapped is not None:
        return ["must not be an IPv4-mapped IPv6 address"]
    return []


def _without_zeros(text: str) -> str:
    """An IPv4 address without zeros before its numbers, which some read as octal."""
    return ".".join(part.lstrip("0") or "0" if part.isdecimal() else part for part in text.split("."))


def canonical_ip(text: str) -> list[str]:
    """An address in the one form that has no other (newer fields and names take no other)."""
    problems = ip_address(text)
    if problems or str(address := parse_ip(text)) == text:
        return problems
    return [f'must be in canonical form ("{address}")']


def canonical_cidr(text: str) -> list[str]:
    """A network in the one form that has no other."""
    problems = strict_cidr(text)
    if problems or str(network := ipaddress.ip_network(text)) == text:
        return problems
    return [f'must be in canonical form ("{network}")']


def strict_cidr(text: str) -> list[str]:
    """A network in a form that all readers take for the same one."""
    host, _, length = text.partition("/")
    plain = f"{_without_zeros(host)}/{_without_zeros(length)}"
    if problems := cidr(plain):
        return problems
    network = ipaddress.ip_network(plain, strict=False)
    if plain != text:
        return ["must not have leading 0s in IP or prefix length"]
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped:
        return ["must not have an IPv4-mapped IPv6 address"]
    if parse_ip(host) != network.network_address:
        return ["must not have bits set beyond the prefix length"]
    return []


def cidr(text: str) -> list[str]:
    address, slash, prefix = text.partition("/")
    try:
        ok = bool(slash) and prefix.isdecimal() and parse_ip(address) is not None
        ok = ok and ipaddress.ip_network(text, strict=False) is not None
    except ValueError:
        ok = False
    return [] if ok else ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]


def at_most_one_of_each_family(addresses: Iterable[str]) -> bool:
    """Of addresses or networks as text: whether they are at most an IPv4 and an IPv6 one."""
    families = [":" in text for text in addresses]
    return len(set(families)) == len(families)


@lru_cache(maxsize=2048)  # one write asks several times for the same few
def parse_ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address without a zone, None if it isn't one."""
    try:
        return None if "%" in text else ipaddress.ip_address(text)
    except ValueError:
        return None
