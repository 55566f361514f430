"""What is refused of claims, classes and slices of devices."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.api.objects import create, named, problems
from wellhead.api.errors import Invalid
from wellhead.api.kinds.device_slices import validate_slice
from wellhead.api.kinds.devices import DEVICECLASSES, RESOURCECLAIMS, RESOURCESLICES
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource

DEVICES: Obj = {
    "requests": [
        {"name": "r", "exactly": {"deviceClassName": "c"}},
        {"name": "f", "firstAvailable": [{"name": "a", "deviceClassName": "c"}]},
    ],
    "constraints": [{"requests": ["r", "f/a"], "matchAttribute": "a.b/c"}],
    "config": [{"requests": ["r"], "opaque": {"driver": "a.b", "parameters": {"x": "y"}}}],
}
SLICE: Obj = {
    "driver": "a.b",
    "nodeName": "n",
    "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1},
    "devices": [
        {
            "name": "d",
            "attributes": {"a": {"string": "x"}, "x.y/v": {"version": "1.2.3"}},
            "capacity": {
                "mem": {"value": "8", "requestPolicy": {"default": "2", "validRange": {"min": "1"}}}
            },
            "allowMultipleAllocations": True,
        }
    ],
}


def _refused(resource: Resource, spec: Obj) -> list[str]:
    try:
        create(resource, named("x", spec=deepcopy(spec)))
    except Invalid as refused:
        return problems(refused)
    return []


def _changed(spec: Obj, path: str, value: object) -> Obj:
    """With another value at `a.0.b`; None takes it away."""
    spec = deepcopy(spec)
    *way, last = path.split(".")
    place: Obj = spec
    for part in way:
        place = place[int(part)] if isinstance(place, list) else place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return spec


def test_these_are_valid() -> None:
    assert not _refused(RESOURCECLAIMS, {"devices": DEVICES})
    assert not _refused(RESOURCESLICES, SLICE)


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (
            "requests.0.exactly",
            None,
            "requests[0]: Required value: exactly one of `exactly` or `firstAvailable`",
        ),
        (
            "requests.0.firstAvailable",
            [{"name": "a", "deviceClassName": "c"}],
            "requests[0]: Invalid value: null: exactly one of `exactly` or `firstAvailable` is required, but",
        ),
        ("requests.1.name", "r", 'requests[1]: Duplicate value: "r"'),
        (
            "requests.1.firstAvailable",
            [{"name": f"a{n}", "deviceClassName": "c"} for n in range(9)],
            "requests[1].firstAvailable: Too many: 9: must have at most 8 items",
        ),
        ("requests.0.exactly.selectors", [{}], "requests[0].exactly.selectors[0].cel: Required value"),
        (
            "requests.0.exactly.tolerations",
            [{"operator": "Exists", "value": "x"}],
            'requests[0].exactly.tolerations[0].value: Invalid value: "x": must be empty for operator',
        ),
        (
            "requests.0.exactly.tolerations",
            [{"effect": "Odd"}],
            'requests[0].exactly.tolerations[0].effect: Unsupported value: "Odd": supported values',
        ),
        ("constraints.0.matchAttribute", None, "constraints[0]: Required value: exactly one of"),
        (
            "constraints.0.matchAttribute",
            "c",
            'constraints[0].matchAttribute: Invalid value: "c": a fully qualified name must be',
        ),
        (
            "constraints.0.matchAttribute",
            "a.b/c-d",
            'constraints[0].matchAttribute: Invalid value: "c-d": a valid C identifier must start with',
        ),
        (
            "constraints.0.requests",
            ["f/b"],
            'constraints[0].requests[0]: Invalid value: "f/b": must be the name of a request in the claim or',
        ),
        ("constraints.0.requests", ["r", "r"], 'constraints[0].requests[1]: Duplicate value: "r"'),
        ("config.0.opaque", None, "config[0].opaque: Required value"),
        ("config.0.opaque.parameters", None, "config[0].opaque.parameters: Required value"),
        (
            "config.0.opaque.driver",
            "A_b",
            'config[0].opaque.driver: Invalid value: "A_b": a lowercase RFC 1123',
        ),
        (
            "config.0.opaque.parameters",
            {"x": "y" * 10_241},
            "config[0].opaque.parameters: Too long: may not be more than 10240 bytes",
        ),
    ],
)
def test_what_is_wrong_with_a_claim_is_said(path: str, value: object, problem: str) -> None:
    (refused, *_) = _refused(RESOURCECLAIMS, {"devices": _changed(DEVICES, path, value)})
    assert refused.startswith(f"spec.devices.{problem}")


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"extendedResourceName": "cpu"}, 'spec.extendedResourceName: Invalid value: "cpu": must be a valid'),
        ({"selectors": [{"cel": {}}]}, "spec.selectors[0].cel.expression: Required value"),
        (
            {"selectors": [{"cel": {"expression": "true"}}] * 33},
            "spec.selectors: Too many: 33: must have at most",
        ),
        ({"config": [{"opaque": {"driver": "a.b"}}]}, "spec.config[0].opaque.parameters: Required value"),
    ],
)
def test_what_is_wrong_with_a_class_is_said(spec: Obj, problem: str) -> None:
    (refused, *_) = _refused(DEVICECLASSES, spec)
    assert refused.startswith(problem)


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("pool.name", "a//b", 'pool.name: Invalid value: "": a lowercase RFC 1123 subdomain must consist of'),
        ("allNodes", False, "allNodes: Invalid value: false: must be either unset or set to true"),
        (
            "allNodes",
            True,
            ' Invalid value: "{`nodeName`, `allNodes`}": exactly one of `nodeName`, `nodeSele',
        ),
        (
            "sharedCounters",
            [{"name": "s"}],
            ' Invalid value: "": only one of `sharedCounters` or `devices` is',
        ),
        (
            "devices.0.attributes.a",
            {},
            'devices[0].attributes[a]: Invalid value: "": exactly one value must be',
        ),
        (
            "devices.0.attributes.a",
            {"version": "1.2"},
            'devices[0].attributes[a].version: Invalid value: "1.2": must be a string compatible',
        ),
        (
            "devices.0.attributes.a",
            {"string": "x" * 65},
            "devices[0].attributes[a].string: Too long: may not be more than 64 bytes",
        ),
        (
            "devices.0.allowMultipleAllocations",
            None,
            "devices[0].capacity[mem].requestPolicy: Forbidden: allowMultipleAllocations must be true",
        ),
        (
            "devices.0.capacity.mem.requestPolicy.validRange",
            {"min": "3"},
            'devices[0].capacity[mem].requestPolicy.validRange.min: Invalid value: "2": default is less',
        ),
        (
            "devices.0.capacity.mem.requestPolicy.validRange",
            {"min": "1", "max": "4", "step": "2"},
            'devices[0].capacity[mem].requestPolicy.validRange.step: Invalid value: "2": value is not',
        ),
        (
            "devices.0.nodeName",
            "m",
            "devices[0]: Invalid value: null: `nodeName`, `nodeSelector` and `allNodes`",
        ),
        ("devices.0.taints", [{"key": "a"}], "devices[0].taints[0].effect: Required value"),
        (
            "devices.0.bindingConditions",
            ["a"],
            "devices[0].bindingFailureConditions: Invalid value: null: bindingFailureConditions are required",
        ),
        (
            "devices.0.consumesCounters",
            [{"counterSet": "s"}],
            "devices[0].consumesCounters[0].counters: Required value",
        ),
        (
            "devices",
            [{"name": f"d{n}"} for n in range(129)],
            "devices: Too many: 129: must have at most 128 items",
        ),
    ],
)
def test_what_is_wrong_with_a_slice_is_said(path: str, value: object, problem: str) -> None:
    refused = _refused(RESOURCESLICES, _changed(SLICE, path, value))
    assert any(each.startswith(f"spec.{problem}".replace(". ", ": ")) for each in refused), refused


_AMOUNTS = st.one_of(st.none(), st.integers(0, 9).map(str))


@given(st.fixed_dictionaries({"min": _AMOUNTS, "max": _AMOUNTS, "step": _AMOUNTS}), _AMOUNTS)
def test_any_policy_is_judged(span: Obj, usual: str | None) -> None:
    policy = {"default": usual, "validRange": span}
    list(validate_slice(_changed(SLICE, "devices.0.capacity.mem.requestPolicy", policy)))
