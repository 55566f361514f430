"""What volumes and claims have in common: access modes, volume modes, classes, sizes.

Upstream: ValidatePersistentVolumeSpec and ValidatePersistentVolumeClaimSpec in
pkg/apis/core/validation/validation.go, pkg/apis/core/helper.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wellhead.api import meta
from wellhead.api.errors import Cause
from wellhead.api.formats import dns_subdomain
from wellhead.api.meta import AnyObj, Obj
from wellhead.api.names import CLASS_ANNOTATION
from wellhead.api.quantity import Quantity

ONE_POD = "ReadWriteOncePod"
_SHORT = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", ONE_POD: "RWOP"}
_VOLUME_MODES = ("Block", "Filesystem")


def class_of(obj: AnyObj) -> str:
    """The class of a volume or a claim; "" for none."""
    named = meta.annotations(obj).get(CLASS_ANNOTATION)
    return str(named if named is not None else (obj.get("spec") or {}).get("storageClassName") or "")


def has_class(claim: AnyObj) -> bool:
    """Whether a claim says anything about its class; "" is a word, too."""
    return CLASS_ANNOTATION in meta.annotations(claim) or claim["spec"].get("storageClassName") is not None


def size_of(quantities: Obj | None) -> int:
    """The storage in a ResourceList, in bytes."""
    text = (quantities or {}).get("storage")
    return Quantity.parse(text).value if text is not None else 0


def short(modes: Iterable[str] | None) -> str:
    """As kubectl shows them: RWO,ROX."""
    named = set(modes or ())
    return ",".join(abbreviation for mode, abbreviation in _SHORT.items() if mode in named)


def validate_access_modes(modes: Iterable[str], at: str) -> Iterator[Cause]:
    modes = list(modes)
    for mode in modes:
        if mode not in _SHORT:
            yield Cause.not_supported(at, mode, set(_SHORT))
    if ONE_POD in modes and any(mode in _SHORT and mode != ONE_POD for mode in modes):
        yield Cause.forbidden(at, "may not use ReadWriteOncePod with other access modes")


def validate_volume_mode(mode: str | None, at: str) -> Iterator[Cause]:
    if mode is not None and mode not in _VOLUME_MODES:
        yield Cause.not_supported(at, mode, _VOLUME_MODES)


def validate_class_name(name: str | None, at: str) -> Iterator[Cause]:
    for problem in dns_subdomain(name) if name else ():
        yield Cause.invalid(at, name, problem)


def validate_size(text: str | float, at: str, *, positive: bool = True) -> Iterator[Cause]:
    try:
        amount = Quantity.parse(text)
    except ValueError as error:
        yield Cause.invalid(at, text, str(error))
        return
    if amount.nanos < 0 and not positive:
        yield Cause.invalid(at, str(amount), "must be greater than or equal to 0")
    elif amount.nanos <= 0 and positive:
        yield Cause.invalid(at, str(amount), "must be greater than zero")
