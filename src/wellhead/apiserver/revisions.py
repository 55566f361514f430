"""resourceVersion and continue, as list and watch take them (kubernetes.io/docs/reference/using-api)."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from typing import NamedTuple

import msgspec

from wellhead.api.errors import BadRequest, Cause, Gone, Invalid, PlainError, Timeout
from wellhead.api.numbers import parse_uint64
from wellhead.apiserver.call import Call
from wellhead.storage.cache import WatchCache
from wellhead.text import quoted

_FRESH_SECONDS = 3.0  # upstream's blockTimeout
_MATCHES = ("Exact", "NotOlderThan", "")


class Continue(NamedTuple):
    """Where a list in pieces goes on: after the object (namespace, name), as of `revision` (-1: now)."""

    revision: int
    namespace: str
    name: str


class _Token(msgspec.Struct):
    v: str
    rv: int
    start: str


def encode_continue(place: Continue) -> str:
    """The token that clients hand back."""
    token = _Token("meta.k8s.io/v1", place.revision, f"{place.namespace}/{place.name}")
    return base64.urlsafe_b64encode(msgspec.json.encode(token)).decode().rstrip("=")


def decode_continue(text: str) -> Continue:
    """Raises BadRequest."""
    try:
        token = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=_Token)
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
        raise BadRequest("continue key is not valid: it isn't one that this server gave") from None
    namespace, _, name = token.start.partition("/")
    if token.v != "meta.k8s.io/v1" or not name:
        raise BadRequest(
            "continue key is not valid: server does not recognize this encoded version " + quoted(token.v)
        )
    return Continue(token.rv, namespace, name)


def expired_continue(place: Continue) -> Gone:
    """The answer to a token whose revision is no longer kept; it holds one that goes on at the latest."""
    error = Gone(
        "The provided continue parameter is too old to display a consistent list result. You can start a new"
        " list without the continue parameter, or use the continue token in this response to retrieve the"
        " remainder of the results. Continuing with the provided token results in an inconsistent list -"
        " objects that were created, modified, or deleted between the time the first chunk was returned and"
        " now may show up in the list."
    )
    error.status["metadata"] = {"continue": encode_continue(place._replace(revision=-1))}
    return error


async def fresh(cache: WatchCache, revision: int) -> None:
    """Wait until the cache has come as far as a client that asks for this revision knows of.

    Where all writes are this process's own there is nothing to wait for. Raises Timeout.
    """
    if revision <= cache.revision:
        return
    if cache.shared:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FRESH_SECONDS):
                await cache.reach(revision)
                return
    raise too_large(revision, cache.revision)


def check_options(call: Call) -> None:
    """What a list, or a watch, can't be asked for, beside what its version can't. Raises BadRequest, Invalid.

    Upstream: ValidateListOptions in apimachinery's pkg/apis/meta/internalversion/validation.
    """
    match, going_on = call.query.get("resourceVersionMatch", ""), bool(call.query.get("continue"))
    initial, version = "sendInitialEvents" in call.query, call.query.get("resourceVersion", "")
    field = "resourceVersionMatch"
    call.number("timeoutSeconds")
    causes: list[Cause] = []
    if call.info.verb != "watch":
        if match and not version:
            text = f"{field} is forbidden unless resourceVersion is provided"
            causes.append(Cause.forbidden(field, text))
        if match and going_on:
            causes.append(Cause.forbidden(field, f"{field} is forbidden when continue is provided"))
        if match not in _MATCHES:
            causes.append(Cause.not_supported(field, match, _MATCHES))
        if match == "Exact" and version == "0":
            text = f'{field} "exact" is forbidden for resourceVersion "0"'
            causes.append(Cause.forbidden(field, text))
        if initial:
            text = "sendInitialEvents is forbidden for list"
            causes.append(Cause.forbidden("sendInitialEvents", text))
    else:
        if initial and match != "NotOlderThan":
            text = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            causes.append(Cause.forbidden(field, text))
        if match and not initial:
            text = f"{field} is forbidden for watch unless sendInitialEvents is provided"
            causes.append(Cause.forbidden(field, text))
        if match not in ("", "NotOlderThan"):
            causes.append(Cause.not_supported(field, match, ("NotOlderThan",)))
        if going_on:
            causes.append(Cause.forbidden(field, f"{field} is forbidden when continue is provided"))
    if causes:
        raise Invalid.of("meta.k8s.io", "ListOptions", "", causes)


def requested_revision(call: Call) -> tuple[int | None, bool]:
    """The revision that a request asks for (None: any), and whether exactly that one.

    Raises BadRequest; to a get or a watch PlainError for a version that is none.
    """
    text = call.query.get("resourceVersion", "")
    match = call.query.get("resourceVersionMatch", "")
    if text and "continue" in call.query and text != "0" and call.query["continue"]:
        raise BadRequest("specifying resource version is not allowed when using continue")
    if not text:
        return None, False
    try:
        revision = parse_uint64(text)
    except ValueError as error:
        refusal = PlainError if call.info.verb in ("get", "watch") else BadRequest
        raise refusal(f"resourceVersion: Invalid value: {quoted(text)}: {error}") from None
    # A limit with a version and no word on how to match has always meant exactly that one.
    exact = match == "Exact" or (not match and revision > 0 and bool(call.number("limit")))
    return revision, exact


def too_large(revision: int, current: int) -> Timeout:
    """Upstream's NewTooLargeResourceVersionError."""
    return Timeout(
        f"Timeout: Too large resource version: {revision}, current: {current}",
        details={
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        },
    )
