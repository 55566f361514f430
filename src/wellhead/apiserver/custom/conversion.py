"""Objects of one version as another's, by a definition's webhook: ConversionReview.

Upstream: apiextensions' apiserver/conversion/webhook_converter.go. A webhook is asked before an object is
looked at, about all that are at hand together; what it answered is kept for a
while, so that looking needn't wait.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

from wellhead.api.custom.definition import Definition
from wellhead.api.custom.strategy import Converter, NotAsked, SameFields
from wellhead.api.errors import InternalError
from wellhead.api.meta import Obj, new_uid
from wellhead.apiserver.webhooks.client import NotCalled, WebhookClient
from wellhead.storage.encoding import decode, encode_json

_SECONDS = 30.0
_AT_ONCE = 500  # objects that one request carries
_AT_ONCE_BYTES = 1024 * 1024
_KEPT_BYTES = 16 * 1024 * 1024
_REVIEWS = ("v1", "v1beta1")
_FIXED = ("name", "namespace", "uid")


class WebhookConverter(Converter):
    """Of one definition, as it is now."""

    def __init__(self, definition: Definition, client: WebhookClient) -> None:
        webhook: dict[str, Any] = definition.spec.conversion.get("webhook") or {}
        self._config: dict[str, Any] = webhook.get("clientConfig") or {}
        self._versions: Sequence[str] = webhook.get("conversionReviewVersions") or ()
        self._client = client
        self._known: OrderedDict[bytes, bytes] = OrderedDict()
        self._bytes = 0

    def convert(self, obj: Obj, api_version: str) -> Obj:
        """What the webhook said when it was asked. Raises NotAsked if it wasn't."""
        if obj["apiVersion"] == api_version:
            return obj
        key = _key(obj, api_version)
        found = self._known.get(key)
        if found is None:
            raise NotAsked(self, obj, api_version)
        self._known.move_to_end(key)
        return decode(found)

    async def prepare(self, objects: Iterable[Obj], api_version: str) -> None:
        """Ask about all those that aren't known. Raises InternalError."""
        asked: list[Obj] = []
        size = 0
        for obj in objects:
            if obj["apiVersion"] == api_version or _key(obj, api_version) in self._known:
                continue
            asked.append(obj)
            size += len(encode_json(obj))
            if len(asked) >= _AT_ONCE or size >= _AT_ONCE_BYTES:
                await self._ask(asked, api_version)
                asked, size = [], 0
        if asked:
            await self._ask(asked, api_version)

    async def _ask(self, objects: list[Obj], api_version: str) -> None:
        version = next((each for each in self._versions if each in _REVIEWS), "")
        if not version:
            raise InternalError("no supported conversion review versions")
        uid = new_uid()
        review = {
            "apiVersion": f"apiextensions.k8s.io/{version}",
            "kind": "ConversionReview",
            "request": {"uid": uid, "desiredAPIVersion": api_version, "objects": objects},
        }
        failed = f"conversion webhook for {_kind(objects[0])} failed"
        try:
            answer = await self._client.post(self._config, review, _SECONDS)
        except NotCalled as error:
            why = str(error).removeprefix("failed to call webhook: ")
            raise InternalError(f"{failed}: {why}") from None
        try:
            converted = _answered(answer, review)
        except ValueError as error:
            raise InternalError(f"{failed}: {error}") from None
        if len(converted) != len(objects):
            said = f"returned {len(converted)} objects, expected {len(objects)}"
            raise InternalError(f"conversion webhook for {_kind(objects[0])} {said}")
        for index, (before, after) in enumerate(zip(objects, converted, strict=True)):
            try:
                self._keep(_key(before, api_version), encode_json(checked(before, after, api_version)))
            except ValueError as error:
                said = f"returned invalid converted object at index {index}: {error}"
                raise InternalError(f"conversion webhook for {_kind(before)} {said}") from None

    def _keep(self, key: bytes, data: bytes) -> None:
        self._known[key] = data
        self._bytes += len(data)
        while self._bytes > _KEPT_BYTES and len(self._known) > 1:
            _, lost = self._known.popitem(last=False)
            self._bytes -= len(lost)


def converter_of(definition: Definition, client: WebhookClient) -> Converter:
    """How the objects of a definition are converted."""
    if definition.spec.conversion.get("strategy") == "Webhook":
        return WebhookConverter(definition, client)
    return SameFields()


def checked(before: Obj, after: object, api_version: str) -> Obj:
    """A converted object that is still the same one, with the metadata that no conversion changes.

    Raises ValueError.
    """
    if not isinstance(after, dict):
        raise ValueError("it is no object")
    if after.get("apiVersion") != api_version:
        given = after.get("apiVersion") or ""
        raise ValueError(f"invalid groupVersion (expected {api_version}, received {given})")
    if after.get("kind") != before["kind"]:
        raise ValueError(f"invalid kind (expected {before['kind']}, received {after.get('kind') or ''})")
    metadata = after.get("metadata")
    if not isinstance(metadata, dict):
        raise ValueError("missing metadata in converted object")
    for name in _FIXED:
        expected, given = before["metadata"].get(name) or "", metadata.get(name) or ""
        if expected != given:
            shown = "UID" if name == "uid" else name
            raise ValueError(f"must have the same {shown}: {expected} != {given}")
    kept = {
        name: value for name, value in before["metadata"].items() if name not in ("labels", "annotations")
    }
    for name in ("labels", "annotations"):
        given = metadata.get(name)
        if given is None:
            continue
        if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
            raise ValueError(f"invalid metadata.{name} in converted object")
        kept[name] = given
    return {**after, "metadata": kept}


def _answered(answer: object, review: Obj) -> list[object]:
    """Raises ValueError."""
    if not isinstance(answer, dict):
        raise ValueError("the answer is no ConversionReview")
    is_v1 = review["apiVersion"].endswith("/v1")
    if is_v1 and (answer.get("apiVersion"), answer.get("kind")) != (review["apiVersion"], review["kind"]):
        given = f"{answer.get('apiVersion') or ''}, Kind={answer.get('kind') or ''}"
        raise ValueError(
            f"expected webhook response of {review['apiVersion']}, Kind=ConversionReview, got {given}"
        )
    response = answer.get("response")
    if not isinstance(response, dict):
        raise ValueError("no response provided")
    uid = review["request"]["uid"]
    if is_v1 and response.get("uid") != uid:
        raise ValueError(f'expected response.uid="{uid}", got "{response.get("uid") or ""}"')
    result = response.get("result")
    result = result if isinstance(result, dict) else {}
    if result.get("status") != "Success":
        status = result.get("status") or ""
        raise ValueError(
            str(result.get("message") or f"response.result.status was '{status}', not 'Success'")
        )
    converted = response.get("convertedObjects") or []
    if not isinstance(converted, list):
        raise ValueError("convertedObjects is no list")
    return converted


def _kind(obj: Obj) -> str:
    return f"{obj['apiVersion']}, Kind={obj['kind']}"


def _key(obj: Obj, api_version: str) -> bytes:
    """What tells an object and a version from all others."""
    digest = hashlib.blake2b(encode_json(obj), digest_size=16)
    digest.update(api_version.encode())
    return digest.digest()
