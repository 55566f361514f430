"""What a valid slice of a pool of devices is.

Upstream: validateResourceSliceSpec in pkg/apis/resource/validation.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from wellhead.api.errors import Cause
from wellhead.api.formats import dns_label, dns_subdomain, qualified_name
from wellhead.api.kinds.device_claims import duplicate_keys, each_of, of_form, of_name, of_taint
from wellhead.api.kinds.pod.scheduling import validate_node_selector
from wellhead.api.kinds.storage.csi import driver_name
from wellhead.api.meta import Obj
from wellhead.api.quantity import Quantity

_MAX_DEVICES, _MAX_ADVANCED_DEVICES = 128, 64
_MAX_POOL_NAME = 253
_MAX_COUNTER_SETS = 8
_MAX_COUNTERS = 32
_MAX_CONSUMED_SETS = 2
_MAX_ATTRIBUTES = 32
_MAX_VALUE = 64
_MAX_TAINTS = 16
_MAX_OPTIONS = 10
_MAX_BINDINGS = 4
_PLACES = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")
_ANY_NODE: tuple[str, Obj] = ("nodeSelector", {})
_ONE_PLACE = f"exactly one of {', '.join(f'`{place}`' for place in _PLACES)} is required"
_ONE_DEVICE_PLACE = (
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is "
    "set to true in the ResourceSlice spec"
)
_NO_DEVICE_PLACE = (
    "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in "
    "the ResourceSlice spec"
)
_ONE_POLICY = (
    'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'
)
_VALUES = ("bool", "int", "string", "version", "bools", "ints", "strings", "versions")
_NUMBER, _PRERELEASE, _BUILD = (
    "(0|[1-9][0-9]*)",
    "(0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)",
    "[0-9a-zA-Z-]+",
)
_VERSION = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_PRERELEASE}(\.{_PRERELEASE})*)?(\+{_BUILD}(\.{_BUILD})*)?", re.ASCII
)


def validate_slice(spec: Obj) -> Iterator[Cause]:
    yield from driver_name(spec.get("driver") or "", "spec.driver")
    yield from _of_pool(spec.get("pool") or {}, "spec.pool")
    yield from _of_places(spec)
    counters, devices = spec.get("sharedCounters"), spec.get("devices")
    if counters and devices:
        yield Cause.invalid("spec", "", "only one of `sharedCounters` or `devices` is allowed")
    devices = devices or ()
    advanced = any(device.get("taints") or device.get("consumesCounters") for device in devices)
    most, own_places = _MAX_ADVANCED_DEVICES if advanced else _MAX_DEVICES, spec.get("perDeviceNodeSelection")
    yield from each_of(
        devices, most, "spec.devices", lambda each, place: _of_device(each, place, bool(own_places))
    )
    if len(devices) <= most:
        yield from duplicate_keys([device.get("name") or "" for device in devices], "spec.devices")
    counters = counters or ()
    yield from each_of(counters, _MAX_COUNTER_SETS, "spec.sharedCounters", _of_counter_set)
    yield from duplicate_keys([each.get("name") or "" for each in counters], "spec.sharedCounters")


def of_pool_name(name: str, at: str) -> Iterator[Cause]:
    """Subdomains with slashes between them."""
    if not name:
        yield Cause.required(at)
        return
    if len(name.encode()) > _MAX_POOL_NAME:
        yield Cause.too_long(at, _MAX_POOL_NAME)
    for part in name.split("/"):
        yield from of_form(part, at, dns_subdomain)


def _of_pool(pool: Obj, at: str) -> Iterator[Cause]:
    yield from of_pool_name(pool.get("name") or "", f"{at}.name")
    if (count := pool.get("resourceSliceCount") or 0) <= 0:
        yield Cause.invalid(f"{at}.resourceSliceCount", count, "must be greater than zero")
    if (generation := pool.get("generation") or 0) < 0:
        yield Cause.invalid(f"{at}.generation", generation, "must be greater than or equal to zero")


def _of_places(spec: Obj) -> Iterator[Cause]:
    node, selector = spec.get("nodeName"), spec.get("nodeSelector")
    if node:
        yield from of_form(node, "spec.nodeName", dns_subdomain)
    elif node is not None:
        yield Cause.invalid("spec.nodeName", node, "must be either unset or set to a non-empty string")
    if selector is not None:
        yield from validate_node_selector(selector, "spec.nodeSelector")
        terms = selector.get("nodeSelectorTerms")
        if len(terms or ()) != 1:
            text = "must have exactly one node selector term"
            yield Cause.invalid("spec.nodeSelector.nodeSelectorTerms", terms, text)
    for field in ("allNodes", "perDeviceNodeSelection"):
        if spec.get(field) is False:
            yield Cause.invalid(f"spec.{field}", False, "must be either unset or set to true")
    found = [f"`{place}`" for place in _PLACES if spec.get(place) or (place, spec.get(place)) == _ANY_NODE]
    if not found:
        yield Cause.required("spec", _ONE_PLACE)
    elif len(found) > 1:
        text = f"{_ONE_PLACE}, but multiple fields are set"
        yield Cause.invalid("spec", f"{{{', '.join(found)}}}", text)


def _of_counter_set(counters: Obj, at: str) -> Iterator[Cause]:
    yield from _of_counters(counters, "name", at)


def _of_counters(holder: Obj, field: str, at: str) -> Iterator[Cause]:
    name, counters = holder.get(field) or "", holder.get("counters") or {}
    if not name:
        yield Cause.required(f"{at}.{field}")
    else:
        yield from of_form(name, f"{at}.{field}", dns_label)
    if not counters:
        yield Cause.required(f"{at}.counters")
    elif len(counters) > _MAX_COUNTERS:
        yield Cause.too_many(f"{at}.counters", len(counters), _MAX_COUNTERS)
    else:
        for each in counters:
            yield from of_form(each, f"{at}.counters", dns_label)


def _of_device(device: Obj, at: str, own_places: bool) -> Iterator[Cause]:
    yield from of_form(device.get("name") or "", f"{at}.name", dns_label)
    attributes, capacity = device.get("attributes") or {}, device.get("capacity") or {}
    if (number := len(attributes) + len(capacity)) > _MAX_ATTRIBUTES:
        text = f"the total number of attributes and capacities must not exceed {_MAX_ATTRIBUTES}"
        yield Cause.invalid(at, number, text)
    for name, attribute in attributes.items():
        yield from of_name(name, f"{at}.attributes")
        yield from _of_attribute(attribute, f"{at}.attributes[{name}]")
    shared = bool(device.get("allowMultipleAllocations"))
    for name, each in capacity.items():
        yield from of_name(name, f"{at}.capacity")
        if (policy := each.get("requestPolicy")) is None:
            continue
        here = f"{at}.capacity[{name}].requestPolicy"
        if not shared:
            yield Cause.forbidden(here, "allowMultipleAllocations must be true")
        else:
            yield from _of_policy(policy, Quantity.parse(each.get("value", "0")), here)
    yield from each_of(device.get("taints") or (), _MAX_TAINTS, f"{at}.taints", of_taint)
    consumed, here = device.get("consumesCounters") or (), f"{at}.consumesCounters"
    yield from each_of(
        consumed, _MAX_CONSUMED_SETS, here, lambda each, place: _of_counters(each, "counterSet", place)
    )
    if len(consumed) <= _MAX_CONSUMED_SETS:
        yield from duplicate_keys([each.get("counterSet") or "" for each in consumed], here)
    yield from _of_device_places(device, at, own_places)
    yield from of_bindings(device, at)


def of_bindings(holder: Obj, at: str) -> Iterator[Cause]:
    """Conditions that a claim waits for before its pod is bound, and those that end the waiting."""
    fields = ("bindingConditions", "bindingFailureConditions")
    for field, other in (fields, fields[::-1]):
        names, here = holder.get(field) or [], f"{at}.{field}"
        if len(names) > _MAX_BINDINGS:
            yield Cause.too_many(here, len(names), _MAX_BINDINGS)
            continue
        for index, name in enumerate(names):
            yield from of_form(name, f"{here}[{index}]", qualified_name)
        yield from duplicate_keys(names, here)
        if not names and holder.get(other):
            yield Cause.invalid(here, None, f"{field} are required to use {other}")


def _of_device_places(device: Obj, at: str, own: bool) -> Iterator[Cause]:
    node, selector, everywhere = (device.get(field) for field in _PLACES[:3])
    if not own:
        if any(each is not None for each in (node, selector, everywhere)):
            yield Cause.invalid(at, None, _NO_DEVICE_PLACE)
        return
    if node:
        yield from of_form(node, f"{at}.nodeName", dns_subdomain)
    elif node is not None:
        yield Cause.invalid(f"{at}.nodeName", node, "must not be empty")
    if selector is not None:
        yield from validate_node_selector(selector, f"{at}.nodeSelector")
    if everywhere is False:
        yield Cause.invalid(f"{at}.allNodes", False, "must be either unset or set to true")
    found = [f"`{place}`" for place in _PLACES[:3] if device.get(place)]
    if not found:
        yield Cause.required(at, _ONE_DEVICE_PLACE)
    elif len(found) > 1:
        yield Cause.invalid(at, f"{{{', '.join(found)}}}", _ONE_DEVICE_PLACE)


def _of_attribute(attribute: Obj, at: str) -> Iterator[Cause]:
    found = [field for field in _VALUES if attribute.get(field) is not None]
    for field in found:
        value = attribute[field]
        texts = value if isinstance(value, list) else [value]
        for index, text in enumerate(texts if field.startswith(("string", "version")) else ()):
            place = f"{at}.{field}[{index}]" if isinstance(value, list) else f"{at}.{field}"
            if field.startswith("version") and not _VERSION.fullmatch(text):
                problem = "must be a string compatible with semver.org spec 2.0.0"
                yield Cause.invalid(place, text, problem)
            if len(text.encode()) > _MAX_VALUE:
                yield Cause.too_long(place, _MAX_VALUE)
    if len(found) != 1:
        yield Cause.invalid(at, attribute if found else "", "exactly one value must be specified")


def _of_policy(policy: Obj, capacity: Quantity, at: str) -> Iterator[Cause]:
    """How a shared capacity may be asked for."""
    values, span = policy.get("validValues") or [], policy.get("validRange")
    if values and span is not None:
        yield Cause.forbidden(at, _ONE_POLICY)
        return
    kind = "validValues" if values else "validRange"
    if not values and span is None:
        return
    if policy.get("default") is None:
        yield Cause.required(f"{at}.default", f"required when {kind} is defined")
        return
    usual = Quantity.parse(policy["default"])
    if values:
        yield from _of_options(
            [Quantity.parse(each) for each in values], usual, capacity, f"{at}.validValues"
        )
    else:
        yield from _of_range(span or {}, usual, capacity, f"{at}.validRange")


def _of_options(options: list[Quantity], usual: Quantity, capacity: Quantity, at: str) -> Iterator[Cause]:
    for index, (one, other) in enumerate(itertools.pairwise(options), 1):
        if one > other:
            yield Cause.invalid(f"{at}[{index}]", str(other), "values must be sorted in ascending order")
    if len(options) > _MAX_OPTIONS:
        yield Cause.too_many(at, len(options), _MAX_OPTIONS)
        return
    for index, option in enumerate(options):
        if option > capacity:
            text = f"option is larger than capacity value: {capacity}"
            yield Cause.invalid(f"{at}[{index}]", str(option), text)
    yield from duplicate_keys([str(option.value) for option in options], at)
    if usual not in options:
        text = "default value is not valid according to the requestPolicy"
        yield Cause.invalid(at, str(usual), text)


def _of_range(span: Obj, usual: Quantity, capacity: Quantity, at: str) -> Iterator[Cause]:
    if span.get("min") is None:
        yield Cause.required(f"{at}.min", "required when validRange is defined")
        return
    least = Quantity.parse(span["min"])
    if least > capacity:
        yield Cause.invalid(f"{at}.min", str(least), f"min is larger than capacity value: {capacity}")
    if usual < least:
        yield Cause.invalid(f"{at}.min", str(usual), f"default is less than min: {least}")
    most = None if span.get("max") is None else Quantity.parse(span["max"])
    if most is not None:
        for wrong, value, text in (
            (least > most, least, f"min is larger than max: {most}"),
            (most > capacity, most, f"max is larger than capacity value: {capacity}"),
            (usual > most, usual, f"default is more than max: {most}"),
        ):
            if wrong:
                yield Cause.invalid(f"{at}.max", str(value), text)
    if span.get("step") is not None:
        yield from _of_step(Quantity.parse(span["step"]), least, usual, most, capacity, f"{at}.step")


def _of_step(
    step: Quantity, least: Quantity, usual: Quantity, most: Quantity | None, capacity: Quantity, at: str
) -> Iterator[Cause]:
    if least + step > capacity:
        text = f"one step {least + step} is larger than capacity value: {capacity}"
        yield Cause.invalid(at, str(step), text)
    if step.value == 0:  # which upstream divides by
        yield Cause.invalid(at, str(step), "must be greater than zero")
        return
    for value in (usual, *(() if most is None else (most,))):
        if (value.value - least.value) % step.value:
            text = f"value is not a multiple of a given step ({step}) from ({least})"
            yield Cause.invalid(at, str(value), text)
