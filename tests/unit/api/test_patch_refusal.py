"""What is said of patches that make no object of the kind: upstream's code and words."""

from __future__ import annotations

import pytest

from wellhead.api.errors import Undecodable
from wellhead.api.patch.refusal import as_go_prints, refused, refused_strategic


def test_of_a_merge_patch_its_result_is_shown() -> None:
    error = Undecodable("Deployment", "v1", 'strict decoding error: unknown field "spec.x"')
    invalid = refused(error, {"spec": {"x": 1}})
    assert invalid.CODE == 422
    assert invalid.message == (
        ' "" is invalid: patch: Invalid value: "{\\"spec\\":{\\"x\\":1}}": '
        'strict decoding error: unknown field "spec.x"'
    )


@pytest.mark.parametrize(
    ("given", "wanted", "said"),
    [
        ("string", "int32", "unrecognized type: int32"),
        ("string", "bool", "unrecognized type: bool"),
        ("bool", "string", "unrecognized type: string"),
        ("number", "string", "cannot convert int64 to string"),
    ],
)
def test_of_a_strategic_merge_patch_the_patch_is_shown(given: str, wanted: str, said: str) -> None:
    why = f"json: cannot unmarshal {given} into Go struct field DeploymentSpec.spec.x of type {wanted}"
    invalid = refused_strategic(Undecodable("Deployment", "v1", why), {"spec": {"x": "y"}})
    assert invalid.message == f' "" is invalid: patch: Invalid value: "map[spec:map[x:y]]": {said}'


def test_values_as_go_prints_them() -> None:
    value = {"b": [1, "x y", None], "a": {"t": True, "f": False}, "c": 1.5}
    assert as_go_prints(value) == "map[a:map[f:false t:true] b:[1 x y <nil>] c:1.5]"
