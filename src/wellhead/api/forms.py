"""Objects as structs of what somebody wants to know of them: read from JSON without the rest coming to be.

A form names the fields as the API does (`rename="camel"`). What it doesn't name is passed over: half of an
object is managedFields, and a dict takes four times as long to make.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from wellhead.api.meta import Key, Obj, key

F = TypeVar("F", bound="Form")


class Metadata(msgspec.Struct, rename="camel", gc=False):
    """What every form has of an object's metadata."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""


class Form(msgspec.Struct, gc=False):
    """An object in part. One kind's form says more of its metadata, and adds what it wants of the rest."""

    metadata: Metadata


def formed(obj: Obj | F, form: type[F]) -> F:
    """An object in its form.

    Raises:
        msgspec.ValidationError (a ValueError): a field is of another type.
    """
    return obj if isinstance(obj, form) else msgspec.convert(obj, form)


def identity(obj: Any) -> tuple[Key, str, str]:
    """Key, resourceVersion and uid of an object, as a dict or in a form."""
    if isinstance(obj, Form):
        metadata = obj.metadata
        return (metadata.namespace, metadata.name), metadata.resource_version, metadata.uid
    metadata = obj["metadata"]
    return key(obj), metadata.get("resourceVersion", ""), metadata.get("uid", "")
