"""Which code answers which request."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp import web
from msgspec.structs import replace

from wellhead.api.errors import MethodNotAllowed, NotFound
from wellhead.api.resources import BINDINGS, COMPONENTSTATUSES
from wellhead.apiserver import discovery, issuer_discovery, usage
from wellhead.apiserver.admission.chain import Admission
from wellhead.apiserver.aggregation import proxy as aggregation
from wellhead.apiserver.aggregation.backend import Backends
from wellhead.apiserver.aggregation.documents import RemoteDocuments
from wellhead.apiserver.aggregation.services import Remotes
from wellhead.apiserver.answers import answer_json, answer_value, form_of
from wellhead.apiserver.authn import Authenticator
from wellhead.apiserver.authz import Authorizer
from wellhead.apiserver.call import Call
from wellhead.apiserver.component_statuses import component_statuses
from wellhead.apiserver.custom.kinds import CustomKinds
from wellhead.apiserver.health import Health
from wellhead.apiserver.info import RequestInfo
from wellhead.apiserver.metrics import CONTENT_TYPE, Metrics
from wellhead.apiserver.openapi import OpenAPI
from wellhead.apiserver.registry.registry import Registry
from wellhead.apiserver.subresources import eviction, logs, pods, proxy, reviews, scale, streams, token
from wellhead.apiserver.subresources.connecting import connect_options
from wellhead.apiserver.tokens import Tokens
from wellhead.apiserver.verbs.create import create
from wellhead.apiserver.verbs.delete import delete
from wellhead.apiserver.verbs.deletecollection import delete_collection
from wellhead.apiserver.verbs.get import get
from wellhead.apiserver.verbs.list import list_objects
from wellhead.apiserver.verbs.patch import patch
from wellhead.apiserver.verbs.update import update
from wellhead.apiserver.verbs.watch import watch
from wellhead.apiserver.version import version
from wellhead.apiserver.watches import Watches
from wellhead.storage.encoding import encode_json

# Their answers are others'.
_STREAMED = {"exec", "attach", "portforward", "proxy", "log"}
Handler = Callable[[Call], Awaitable[web.StreamResponse]]


_ROOTS = frozenset(
    (
        "",
        ".well-known",
        "api",
        "apis",
        "healthz",
        "livez",
        "metrics",
        "openapi",
        "openid",
        "readyz",
        "version",
    )
)
_LIST_VERBS = frozenset({"list", "watch"})
_COLLECTION_VERBS = _LIST_VERBS | {"create", "deletecollection"}
_ITEM_VERBS = frozenset({"get", "update", "patch", "delete"})


class Dispatcher:
    """Knows everything that answers need, and hands each call to its code."""

    def __init__(
        self,
        *,
        registry: Registry,
        authenticator: Authenticator,
        authorizer: Authorizer,
        admission: Admission,
        tokens: Tokens,
        agents: aiohttp.ClientSession,
        agents_tls: ssl.SSLContext,
        health: Health,
        metrics: Metrics,
        server_address: str,
        watches: Watches,
        kinds: CustomKinds,
        remotes: Remotes,
        backends: Backends,
        documents: RemoteDocuments,
    ) -> None:
        self._remotes = remotes
        self._tokens = tokens
        self._backends = backends
        self._registry = registry
        self._health = health
        self._discovery = discovery.Discovery(kinds, remotes)
        self._openapi = OpenAPI(kinds, remotes, documents)
        self._metrics = metrics
        self._server_address = server_address

        async def review(call: Call) -> web.StreamResponse:
            return await reviews.review(call, authenticator, authorizer, admission)

        async def stream(call: Call) -> web.StreamResponse:
            # A WebSocket begins with a GET; to read is not to run something (upstream's
            # AuthorizePodWebsocketUpgradeCreatePermission).
            authorizer.check(call.user, replace(call.info, verb="create"))
            await admission.connect(call, *connect_options(call))
            return await streams.stream(call, registry, agents, agents_tls)

        async def through(call: Call) -> web.StreamResponse:
            await admission.connect(call, *connect_options(call))
            return await proxy.proxy(call, registry, agents, agents_tls)

        async def measured(call: Call) -> web.StreamResponse:
            return await usage.measured(call, registry, agents)

        async def bind(call: Call) -> web.StreamResponse:
            return await pods.bind(call, registry, admission)

        async def components(call: Call) -> web.StreamResponse:
            return await component_statuses(call, health.check("storage"), agents)

        self._review = review
        self._components = components
        self._bind = bind
        self._measured = measured
        self._verbs: dict[str, Handler] = {
            "get": lambda call: get(call, registry),
            "list": lambda call: list_objects(call, registry),
            "watch": lambda call: watch(call, registry, watches),
            "create": lambda call: create(call, registry, admission),
            "update": lambda call: update(call, registry, admission, authorizer),
            "patch": lambda call: patch(call, registry, admission, authorizer),
            "delete": lambda call: delete(call, registry, admission),
            "deletecollection": lambda call: delete_collection(call, registry, admission),
        }
        self._subresources: dict[tuple[str, str], Handler] = {
            ("status", "get"): self._verbs["get"],
            ("status", "update"): self._verbs["update"],
            ("status", "patch"): self._verbs["patch"],
            ("finalize", "update"): self._verbs["update"],
            ("scale", "get"): lambda call: scale.get_scale(call, registry),
            ("scale", "update"): lambda call: scale.update_scale(call, registry, admission),
            ("scale", "patch"): lambda call: scale.patch_scale(call, registry, admission),
            ("binding", "create"): bind,
            ("eviction", "create"): lambda call: eviction.evict(call, registry, admission),
            ("token", "create"): lambda call: token.create_token(call, registry, tokens, admission),
            ("log", "get"): lambda call: logs.logs(call, registry, agents),
        }
        for subresource in ("ephemeralcontainers", "resize", "approval"):
            for verb in ("get", "update", "patch"):
                self._subresources[subresource, verb] = self._verbs[verb]
        for subresource in ("exec", "attach", "portforward"):
            for verb in ("get", "create"):
                self._subresources[subresource, verb] = stream
        for verb in ("get", "create", "update", "patch", "delete", "options"):
            self._subresources["proxy", verb] = through

    async def dispatch(self, call: Call) -> web.StreamResponse:
        """Answer the call. Raises ApiError."""
        info = call.info
        if (remote := self._remotes.of_path(info.path)) is not None:
            return await aggregation.proxy(call.http, info, call.user, remote, self._backends)
        if info.resource is None:
            return await self._path(call)
        if info.resource.custom is not None:
            _check_custom(call)
        if info.resource.deprecation:
            call.warnings.append(info.resource.deprecation)
        if call.http.method == "HEAD" and info.subresource != "proxy":
            raise MethodNotAllowed
        if info.subresource:
            handler = self._subresources.get((info.subresource, info.verb))
        elif info.verb not in info.resource.verbs or (info.verb == "create" and info.name):
            handler = None
        elif info.resource == BINDINGS:
            handler = self._bind
        elif info.resource.is_review:
            handler = self._review
        elif info.resource == COMPONENTSTATUSES:
            handler = self._components
        elif info.resource.measured:
            handler = self._measured
        elif info.verb in ("update", "patch") and not info.name:
            handler = None
        else:
            handler = self._verbs.get(info.verb)
        if handler is None:
            if not info.subresource and not _verbs_there(info).intersection(info.resource.verbs):
                raise NotFound.path()
            raise MethodNotAllowed
        if info.subresource not in _STREAMED:
            form_of(call)  # what can't be answered isn't done
        if info.verb != "watch" and not call.query.get("resourceVersion"):
            await self._registry.current()
        return await handler(call)

    async def _path(self, call: Call) -> web.StreamResponse:
        path = call.info.path
        parts = path.strip("/").split("/")
        if call.http.method not in ("GET", "HEAD"):
            raise MethodNotAllowed if self._is_served(parts) else NotFound.path()
        match parts:
            case [""]:
                return await answer_value(call, {"paths": discovery.paths(self._discovery.resources)})
            case ["healthz" | "livez" | "readyz", *_]:
                return await self._health.answer(call)
            case ["version"]:
                return await answer_value(call, version())
            case [".well-known", "openid-configuration"]:
                document = issuer_discovery.configuration(self._tokens.issuer, self._server_address)
                return await answer_json(call, encode_json(document))
            case ["openid", "v1", "jwks"]:
                keys = encode_json(issuer_discovery.key_set(self._tokens.public_key))
                return web.Response(body=keys, content_type=issuer_discovery.KEYS_TYPE)
            case ["metrics"]:
                return web.Response(body=self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})
            case ["openapi", "v3", *rest] if remote := self._remotes.of_path("/" + "/".join(rest)):
                return await aggregation.proxy(call.http, call.info, call.user, remote, self._backends)
            case ["openapi", *rest]:
                return await self._openapi.answer(call, rest)
            case ["api" | "apis" as root]:
                return await self._root(call, root)
            case ["api", group_version]:
                return await answer_value(
                    call, discovery.resource_list(self._discovery.resources, "", group_version)
                )
            case ["apis", group]:
                return await answer_value(call, discovery.group_document(self._discovery.groups(), group))
            case ["apis", group, group_version]:
                return await answer_value(
                    call, discovery.resource_list(self._discovery.resources, group, group_version)
                )
        raise NotFound.path()

    def _is_served(self, parts: list[str]) -> bool:
        """Whether there is a path that isn't a resource's."""
        if len(parts) > 1 and parts[0] in ("api", "apis"):
            group, *versions = ["", *parts[1:]] if parts[0] == "api" else parts[1:]
            return any(
                each.group == group and versions in ([], [each.version]) for each in self._discovery.resources
            )
        return parts[0] in _ROOTS

    async def _root(self, call: Call, root: str) -> web.StreamResponse:
        wanted = discovery.aggregated_version(call.http.headers.get("Accept", ""))
        if not wanted:
            document = (
                discovery.core_versions(self._discovery.resources, self._server_address)
                if root == "api"
                else discovery.group_list(self._discovery.groups())
            )
            return await answer_value(call, document, tables=False)
        data, content_type, etag = self._discovery.aggregated(root, wanted)
        headers = {"ETag": etag, "Vary": "Accept", "Content-Type": content_type}
        if call.http.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=data, headers=headers)


def _verbs_there(info: RequestInfo) -> frozenset[str]:
    """What may be done at all at a path like this one."""
    if info.name:
        return _ITEM_VERBS
    resource = info.resource
    everywhere = resource is not None and resource.namespaced and not info.namespace
    return _LIST_VERBS if everywhere else _COLLECTION_VERBS


def _check_custom(call: Call) -> None:
    """Raises MethodNotAllowed for what a definition that ends has no more."""
    resource = call.resource
    if call.info.verb == "create" and "create" not in resource.verbs:
        raise MethodNotAllowed("create not allowed while custom resource definition is terminating")
