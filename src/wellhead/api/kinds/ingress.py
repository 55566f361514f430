"""Ingresses: which hosts and paths lead to which Services; controllers that people install act on them.

Upstream: pkg/apis/networking/validation, pkg/registry/networking/ingress.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause
from wellhead.api.formats import (
    canonical_ip,
    dns_label,
    dns_subdomain,
    ip_address,
    parse_ip,
    path_segment,
    port_name,
    port_number,
    wildcard_subdomain,
)
from wellhead.api.kind import Kind
from wellhead.api.meta import Obj
from wellhead.api.names import INGRESS_CLASS_ANNOTATION
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import Context, Strategy

INGRESSES = Resource(
    "networking.k8s.io",
    "v1",
    "Ingress",
    "ingresses",
    short_names=("ing",),
    subresources=frozenset({"status"}),
)


_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_BAD_PARTS = ("//", "/./", "/../", "%2f", "%2F")
_BAD_ENDS = ("/..", "/.")
_NAME_NOT_IP = "must be a DNS name, not an IP address"
_FEW_HOSTS = 3


class IngressStrategy(Strategy):
    counts_generations = True

    def default(self, obj: Obj) -> None:
        obj.setdefault("spec", {})

    def prepare_create(self, obj: Obj, context: Context) -> None:
        obj["status"] = {"loadBalancer": {}}

    def validate(self, obj: Obj) -> list[Cause]:
        spec = obj["spec"]
        rules, backend = spec.get("rules") or [], spec.get("defaultBackend")
        causes: list[Cause] = []
        if not rules and backend is None:
            text = "either `defaultBackend` or `rules` must be specified"
            causes.append(Cause.invalid("spec", rules, text))
        if backend is not None:
            causes += _of_backend(backend, "spec.defaultBackend")
        for index, rule in enumerate(rules):
            causes += _of_rule(rule, f"spec.rules[{index}]")
        for index, tls in enumerate(spec.get("tls") or ()):
            causes += _of_tls(tls, f"spec.tls[{index}]")
        if (name := spec.get("ingressClassName")) is not None:
            causes += [Cause.invalid("spec.ingressClassName", name, text) for text in dns_subdomain(name)]
        return causes

    def validate_create(self, obj: Obj) -> list[Cause]:
        causes = self.validate(obj)
        named = (obj["metadata"].get("annotations") or {}).get(INGRESS_CLASS_ANNOTATION)
        name = obj["spec"].get("ingressClassName")
        if named is not None and name is not None and named != name:
            text = "must match `ingressClassName` when both are specified"
            causes.append(Cause.invalid(f"annotations.{INGRESS_CLASS_ANNOTATION}", named, text))
        return causes

    def warnings(self, obj: Obj) -> list[str]:
        if obj["spec"].get("ingressClassName") is not None:
            return []
        if INGRESS_CLASS_ANNOTATION not in (obj["metadata"].get("annotations") or {}):
            return []
        return [
            f'annotation "{INGRESS_CLASS_ANNOTATION}" is deprecated, '
            "please use 'spec.ingressClassName' instead"
        ]

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        before = {entry.get("ip") for entry in _points(old)}
        causes: list[Cause] = []
        for index, entry in enumerate(_points(new)):
            at = f"status.loadBalancer.ingress[{index}]"
            if ip := entry.get("ip"):
                check = ip_address if ip in before else canonical_ip
                causes += [Cause.invalid(f"{at}.ip", ip, text) for text in check(ip)]
            if host := entry.get("hostname"):
                causes += [Cause.invalid(f"{at}.hostname", host, text) for text in dns_subdomain(host)]
                if parse_ip(host) is not None:
                    causes.append(Cause.invalid(f"{at}.hostname", host, _NAME_NOT_IP))
        return causes


def _points(ingress: Obj) -> Sequence[Obj]:
    return ((ingress.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()


def _of_rule(rule: Obj, at: str) -> Iterator[Cause]:
    if host := rule.get("host"):
        if parse_ip(host) is not None:
            yield Cause.invalid(f"{at}.host", host, _NAME_NOT_IP)
        yield from _of_host(host, f"{at}.host")
    http = rule.get("http")
    if http is None:
        return
    if not http.get("paths"):
        yield Cause.required(f"{at}.http.paths")
    for index, path in enumerate(http.get("paths") or ()):
        yield from _of_path(path, f"{at}.http.paths[{index}]")


def _of_host(host: str, at: str) -> Iterator[Cause]:
    check = wildcard_subdomain if "*" in host else dns_subdomain
    yield from (Cause.invalid(at, host, text) for text in check(host))


def _of_path(path: Obj, at: str) -> Iterator[Cause]:
    kind, text = path.get("pathType"), path.get("path") or ""
    if kind is None:
        yield Cause.required(f"{at}.pathType", "pathType must be specified")
        return
    if kind not in _PATH_TYPES:
        yield Cause.not_supported(f"{at}.pathType", kind, _PATH_TYPES)
    elif not text.startswith("/") and (text or kind != "ImplementationSpecific"):
        yield Cause.invalid(f"{at}.path", text, "must be an absolute path")
    if kind in ("Exact", "Prefix"):
        for part in _BAD_PARTS:
            if part in text:
                yield Cause.invalid(f"{at}.path", text, f"must not contain '{part}'")
        for end in _BAD_ENDS:
            if text.endswith(end):
                yield Cause.invalid(f"{at}.path", text, f"cannot end with '{end}'")
    yield from _of_backend(path.get("backend") or {}, f"{at}.backend")


def _of_backend(backend: Obj, at: str) -> Iterator[Cause]:
    resource, service = backend.get("resource"), backend.get("service")
    if resource is not None and service is not None:
        yield Cause.invalid(at, "", "cannot set both resource and service backends")
    elif resource is not None:
        yield from of_reference(resource, f"{at}.resource")
    elif service is None:
        yield Cause.invalid(at, "", "resource or service backend is required")
    else:
        name, port = service.get("name") or "", service.get("port") or {}
        here = f"{at}.service.name"
        if not name:
            yield Cause.required(here)
        else:
            yield from (Cause.invalid(here, name, text) for text in dns_label(name))
        called, number = port.get("name"), port.get("number")
        if called and number:
            yield Cause.invalid(at, "", "cannot set both port name & port number")
        elif called:
            where = f"{at}.service.port.name"
            yield from (Cause.invalid(where, called, text) for text in port_name(called))
        elif number:
            where = f"{at}.service.port.number"
            yield from (Cause.invalid(where, number, text) for text in port_number(number))
        else:
            yield Cause.required(at, "port name or number is required")


def of_reference(reference: Obj, at: str) -> Iterator[Cause]:
    """A reference to an object by group, kind and name."""
    if group := reference.get("apiGroup"):
        yield from (Cause.invalid(f"{at}.apiGroup", group, text) for text in dns_subdomain(group))
    for field in ("kind", "name"):
        value = reference.get(field) or ""
        if not value:
            yield Cause.required(f"{at}.{field}")
        else:
            yield from (Cause.invalid(f"{at}.{field}", value, text) for text in path_segment(value))


def _of_tls(tls: Obj, at: str) -> Iterator[Cause]:
    for index, host in enumerate(tls.get("hosts") or ()):
        yield from _of_host(host, f"{at}.hosts[{index}]")
    if name := tls.get("secretName"):
        yield from (Cause.invalid(f"{at}.secretName", name, text) for text in dns_subdomain(name))


def _hosts(rules: Sequence[Obj]) -> str:
    """The first few; upstream counts rules without a host among the rest."""
    hosts: list[str] = []
    for rule in rules:
        if len(hosts) == _FEW_HOSTS:
            return f"{','.join(hosts)} + {len(rules) - _FEW_HOSTS} more..."
        if rule.get("host"):
            hosts.append(rule["host"])
    return ",".join(hosts) or "*"


def _cells(ingress: Obj, now: datetime) -> list[Cell]:
    spec = ingress["spec"]
    addresses = {entry.get("ip") or entry.get("hostname") or "" for entry in _points(ingress)}
    return [
        cells.name(ingress),
        spec.get("ingressClassName") or cells.NONE,
        _hosts(spec.get("rules") or ()),
        ",".join(sorted(addresses - {""})),
        "80, 443" if spec.get("tls") else "80",
        cells.created(ingress, now),
    ]


_PRINTER = Printer((NAME, Column("Class"), Column("Hosts"), Column("Address"), Column("Ports"), AGE), _cells)

KIND = Kind(INGRESSES, IngressStrategy(), _PRINTER)
