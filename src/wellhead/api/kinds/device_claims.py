"""What a valid claim of devices is, and the parts that it shares with classes and slices.

Upstream: pkg/apis/resource/validation. Selectors in CEL are kept as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from wellhead.api.errors import Cause, one_of
from wellhead.api.formats import Check, dns_label, dns_subdomain, label_value, qualified_name
from wellhead.api.kinds.storage.csi import driver_name
from wellhead.api.meta import Obj

_MODES = ("All", "ExactCount")
_OPERATORS = ("Equal", "Exists")
_EFFECTS = ("NoExecute", "NoSchedule", "None")
_MAX_REQUESTS = 32
_MAX_ALTERNATIVES = 8
_MAX_OF_REST = 32  # constraints, configurations, selectors, names of requests
_MAX_EXPRESSION = 10 * 1024  # bytes
_MAX_PARAMETERS = 10 * 1024  # bytes
_MAX_IDENTIFIER = 32
_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
_ONE_KIND = "exactly one of `exactly` or `firstAvailable` is required"
_NO_REQUEST = (
    "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
)

Requests = Mapping[str, frozenset[str]]
"""The names of a claim's requests, and of the alternatives of each."""


def requests_of(devices: Obj) -> Requests:
    return {
        request.get("name") or "": frozenset(
            each.get("name") or "" for each in request.get("firstAvailable") or ()
        )
        for request in devices.get("requests") or ()
    }


def validate_claim(spec: Obj, at: str) -> Iterator[Cause]:
    """The spec of a claim, with defaults."""
    devices, here = spec.get("devices") or {}, f"{at}.devices"
    names = requests_of(devices)
    yield from _each_named(devices.get("requests") or (), _MAX_REQUESTS, f"{here}.requests", _of_request)
    yield from each_of(
        devices.get("constraints") or (),
        _MAX_OF_REST,
        f"{here}.constraints",
        lambda each, place: _of_constraint(each, place, names),
    )
    yield from each_of(
        devices.get("config") or (),
        _MAX_OF_REST,
        f"{here}.config",
        lambda each, place: of_configuration(each, place, names),
    )


def each_of(
    values: Sequence[Obj], most: int, at: str, check: Callable[[Obj, str], Iterator[Cause]]
) -> Iterator[Cause]:
    """A list of which there may be so many; if there are more, nothing else is said."""
    if len(values) > most:
        yield Cause.too_many(at, len(values), most)
        return
    for index, value in enumerate(values):
        yield from check(value, f"{at}[{index}]")


def _each_named(
    values: Sequence[Obj], most: int, at: str, check: Callable[[Obj, str], Iterator[Cause]]
) -> Iterator[Cause]:
    yield from each_of(values, most, at, check)
    if len(values) <= most:
        yield from duplicate_keys([each.get("name") or "" for each in values], at)


def duplicate_keys(keys: Sequence[str], at: str) -> Iterator[Cause]:
    """Keys of a list at `at` that are there already; upstream names the item, not its field."""
    for index, key in enumerate(keys):
        if key in keys[:index]:
            yield Cause.duplicate(f"{at}[{index}]", key)


def of_form(value: str, at: str, check: Check) -> Iterator[Cause]:
    yield from (Cause.invalid(at, value, problem) for problem in check(value))


def _of_request(request: Obj, at: str) -> Iterator[Cause]:
    yield from of_form(request.get("name") or "", f"{at}.name", dns_label)
    exactly, first = request.get("exactly"), request.get("firstAvailable") or []
    if exactly is None and not first:
        yield Cause.required(at, _ONE_KIND)
    elif exactly is not None and first:
        yield Cause.invalid(at, None, f"{_ONE_KIND}, but multiple fields are set")
    elif exactly is not None:
        yield from _of_devices(exactly, f"{at}.exactly")
    else:
        yield from _each_named(first, _MAX_ALTERNATIVES, f"{at}.firstAvailable", _of_alternative)


def _of_alternative(request: Obj, at: str) -> Iterator[Cause]:
    yield from of_form(request.get("name") or "", f"{at}.name", dns_label)
    yield from _of_devices(request, at)


def _of_devices(wanted: Obj, at: str) -> Iterator[Cause]:
    kind = wanted.get("deviceClassName") or ""
    if not kind:
        yield Cause.required(f"{at}.deviceClassName")
    else:
        yield from of_form(kind, f"{at}.deviceClassName", dns_subdomain)
    yield from each_of(wanted.get("selectors") or (), _MAX_OF_REST, f"{at}.selectors", of_selector)
    mode, count = wanted.get("allocationMode"), wanted.get("count", 0)
    yield from one_of(f"{at}.allocationMode", mode, _MODES)
    if mode == "ExactCount" and count <= 0:
        yield Cause.invalid(f"{at}.count", count, "must be greater than zero")
    if mode == "All" and count:
        text = "must not be specified when allocationMode is 'All'"
        yield Cause.invalid(f"{at}.count", count, text)
    for index, toleration in enumerate(wanted.get("tolerations") or ()):
        yield from _of_toleration(toleration, f"{at}.tolerations[{index}]")


def of_selector(selector: Obj, at: str) -> Iterator[Cause]:
    """Of a request, or of a class."""
    if selector.get("cel") is None:
        yield Cause.required(f"{at}.cel")
        return
    expression = selector["cel"].get("expression") or ""
    if not expression:
        yield Cause.required(f"{at}.cel.expression")
    elif len(expression.encode()) > _MAX_EXPRESSION:
        yield Cause.too_long(f"{at}.cel.expression", _MAX_EXPRESSION)


def _of_toleration(toleration: Obj, at: str) -> Iterator[Cause]:
    key, operator, value = (toleration.get(field) or "" for field in ("key", "operator", "value"))
    if key:
        yield from of_form(key, f"{at}.key", qualified_name)
    if operator == "Exists":
        if value:
            yield Cause.invalid(f"{at}.value", value, "must be empty for operator `Exists`")
    elif operator == "Equal":
        yield from of_form(value, f"{at}.value", label_value)
    else:
        yield from one_of(f"{at}.operator", operator, _OPERATORS)
    if effect := toleration.get("effect"):
        yield from one_of(f"{at}.effect", effect, _EFFECTS)


def of_taint(taint: Obj, at: str) -> Iterator[Cause]:
    """Of a device, or of a rule that taints devices."""
    yield from of_form(taint.get("key") or "", f"{at}.key", qualified_name)
    if value := taint.get("value"):
        yield from of_form(value, f"{at}.value", label_value)
    if not taint.get("effect"):
        yield Cause.required(f"{at}.effect")
    else:
        yield from one_of(f"{at}.effect", taint["effect"], _EFFECTS)


def _of_constraint(constraint: Obj, at: str, known: Requests) -> Iterator[Cause]:
    yield from _of_names(constraint.get("requests") or (), f"{at}.requests", known)
    for field in ("matchAttribute", "distinctAttribute"):
        if constraint.get(field) is not None:
            yield from _of_full_name(constraint[field], f"{at}.{field}")
            return
    # Upstream's words, though none is set.
    text = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'
    yield Cause.required(at, text)


def _of_names(names: Sequence[str], at: str, known: Requests) -> Iterator[Cause]:
    if len(names) > _MAX_OF_REST:
        yield Cause.too_many(at, len(names), _MAX_OF_REST)
        return
    for index, name in enumerate(names):
        yield from of_request_name(name, f"{at}[{index}]", known)
    yield from duplicate_keys(names, at)


def of_request_name(name: str, at: str, known: Requests) -> Iterator[Cause]:
    """A reference to a request, or to an alternative of one."""
    request, *alternatives = name.split("/")
    if len(alternatives) > 1:
        yield Cause.invalid(at, name, _NO_REQUEST)
        return
    for part in (request, *alternatives):
        yield from of_form(part, at, dns_label)
    if request not in known or any(each not in known[request] for each in alternatives):
        yield Cause.invalid(at, name, _NO_REQUEST)


def of_configuration(config: Obj, at: str, known: Requests | None) -> Iterator[Cause]:
    """What a driver is told; `known` is None where no requests are named, in a class."""
    if known is not None:
        yield from _of_names(config.get("requests") or (), f"{at}.requests", known)
    opaque = config.get("opaque")
    if opaque is None:
        yield Cause.required(f"{at}.opaque")
        return
    yield from driver_name(opaque.get("driver") or "", f"{at}.opaque.driver")
    parameters = opaque.get("parameters")
    if parameters is None:
        yield Cause.required(f"{at}.opaque.parameters")
    elif not isinstance(parameters, dict):
        text = "must be a valid JSON object"
        yield Cause.invalid(f"{at}.opaque.parameters", "<value omitted>", text)
    elif len(msgspec.json.encode(parameters)) > _MAX_PARAMETERS:
        yield Cause.too_long(f"{at}.opaque.parameters", _MAX_PARAMETERS)


def of_name(name: str, at: str) -> Iterator[Cause]:
    """The name of an attribute or a capacity: `memory`, `example.com/memory`."""
    parts = name.split("/")
    if len(parts) == 2 and not parts[0]:
        yield Cause.invalid(at, "", "the domain must not be empty")
    elif len(parts) == 2:
        yield from driver_name(parts[0], at)
    if len(parts) == 2 and not parts[1]:
        yield Cause.invalid(at, "", "the name must not be empty")
    elif len(parts) < 3:
        yield from _of_identifier(parts[-1], at)


def _of_full_name(name: str, at: str) -> Iterator[Cause]:
    yield from of_name(name, at)
    if "/" not in name:
        text = "a fully qualified name must be a domain and a name separated by a slash"
        yield Cause.invalid(at, name, text)


def _of_identifier(text: str, at: str) -> Iterator[Cause]:
    if len(text.encode()) > _MAX_IDENTIFIER:
        yield Cause.too_long(at, _MAX_IDENTIFIER)
    if not re.fullmatch(_IDENTIFIER, text, re.ASCII):
        yield Cause.invalid(
            at,
            text,
            "a valid C identifier must start with alphabetic character or '_', followed by a string of "
            "alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for "
            f"validation is '{_IDENTIFIER}')",
        )
