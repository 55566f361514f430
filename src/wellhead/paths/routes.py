"""Ingresses and routes that lead to a Service, whatever kind they are of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wellhead.api.names import DEFAULT_INGRESS_CLASS_ANNOTATION, INGRESS_CLASS_ANNOTATION
from wellhead.ip import IPAddress, parse_address
from wellhead.paths.reading import Obj, number, table, tables, text, texts
from wellhead.paths.services import ServiceFacts
from wellhead.paths.world import World

_ROUTES = ("HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute")
_OTHERS = {
    # kind: the class of controller that reads it
    "IngressRoute": "traefik",
    "IngressRouteTCP": "traefik",
    "HTTPProxy": "contour",
    "VirtualServer": "nginx.org/ingress-controller",
    "VirtualService": "istio",
    "ApisixRoute": "apisix",
    "Mapping": "ambassador",
}


@dataclass(frozen=True)
class RouteTo:
    """One way that a controller or gateway leads to a Service."""

    title: str
    """`Ingress shop/web`."""
    controller: str
    """What identifies the controller: IngressClass' or GatewayClass' controller, or a class's name."""
    class_name: str
    host: str
    port: int
    address: IPAddress | None
    addresses: tuple[str, ...]
    """All that its status says, names included."""
    annotations: tuple[tuple[str, str], ...]
    backend_port: int | None = None
    backend_port_name: str = ""
    gateway: str = ""
    """namespace/name of the Gateway."""
    obj: Obj | None = None

    @property
    def shown(self) -> str:
        return (
            str(self.address)
            if self.address is not None
            else (next(iter(self.addresses), "") or self.host or "?")
        )

    @property
    def url(self) -> str:
        scheme = "https" if self.port == 443 else "http"
        return f"{scheme}://{self.host or self.shown}"

    def annotation(self, name: str) -> str:
        return dict(self.annotations).get(name, "")

    def fits(self, port: int, name: str) -> bool:
        """Whether it leads to this port of the Service."""
        if self.backend_port is None and not self.backend_port_name:
            return True
        return port == self.backend_port or bool(name and name == self.backend_port_name)

    def __hash__(self) -> int:
        return hash((self.title, self.host, self.port, self.backend_port))


def routes_to(world: World, facts: ServiceFacts) -> Iterator[RouteTo]:
    """Everything that names the Service as a backend, once for each host."""
    for obj in world.all("Ingress"):
        if (text(obj, "metadata", "namespace") or "default") == facts.namespace:
            yield from _ingress(world, obj, facts)
    for kind in _ROUTES:
        for obj in world.all(kind):
            yield from _route(world, obj, facts)
    for kind, controller in _OTHERS.items():
        for obj in world.all(kind):
            if _names(obj, facts):
                yield _other(world, obj, controller)
    yield from _stream_services(world, facts)


def _annotations(obj: Obj) -> tuple[tuple[str, str], ...]:
    return tuple((key, str(value)) for key, value in table(obj, "metadata", "annotations").items())


def _title(obj: Obj) -> str:
    return (
        f"{text(obj, 'kind')} "
        f"{text(obj, 'metadata', 'namespace') or 'default'}/{text(obj, 'metadata', 'name')}"
    )


def _status(obj: Obj) -> tuple[str, ...]:
    entries = tables(obj, "status", "loadBalancer", "ingress")
    return tuple(found for each in entries if (found := text(each, "ip") or text(each, "hostname")))


def _first(addresses: tuple[str, ...]) -> IPAddress | None:
    return next((found for each in addresses if (found := parse_address(each)) is not None), None)


def _ingress(world: World, obj: Obj, facts: ServiceFacts) -> Iterator[RouteTo]:
    spec = table(obj, "spec")
    backends: list[tuple[str, Obj]] = [
        ("", each) for each in (table(spec, "defaultBackend"), table(spec, "backend")) if each
    ]
    for rule in tables(spec, "rules"):
        backends += [(text(rule, "host"), table(path, "backend")) for path in tables(rule, "http", "paths")]
    seen: set[str] = set()
    for host, backend in backends:
        name = text(backend, "service", "name") or text(backend, "serviceName")
        if name != facts.name or host in seen:
            continue
        seen.add(host)
        class_name = text(spec, "ingressClassName") or text(
            obj, "metadata", "annotations", INGRESS_CLASS_ANNOTATION
        )
        ingress_class = world.get("IngressClass", "", class_name) or _default_class(world, class_name)
        tls_hosts = [each for entry in tables(spec, "tls") for each in texts(entry, "hosts")]
        addresses = _status(obj)
        yield RouteTo(
            _title(obj),
            text(ingress_class, "spec", "controller"),
            class_name or text(ingress_class, "metadata", "name"),
            host,
            443 if host and host in tls_hosts else 80,
            _first(addresses),
            addresses,
            _annotations(obj),
            number(backend, "service", "port", "number") or number(backend, "servicePort"),
            text(backend, "service", "port", "name"),
            obj=obj,
        )


def _default_class(world: World, class_name: str) -> Obj | None:
    if class_name:
        return None
    classes = list(world.all("IngressClass"))
    for each in classes:
        if text(each, "metadata", "annotations", DEFAULT_INGRESS_CLASS_ANNOTATION) == "true":
            return each
    return classes[0] if len(classes) == 1 else None


def _route(world: World, obj: Obj, facts: ServiceFacts) -> Iterator[RouteTo]:
    namespace = text(obj, "metadata", "namespace") or "default"
    backends = [each for rule in tables(obj, "spec", "rules") for each in tables(rule, "backendRefs")]
    fitting = [
        each
        for each in backends
        if text(each, "name") == facts.name
        and (text(each, "namespace") or namespace) == facts.namespace
        and (text(each, "kind") or "Service") == "Service"
    ]
    if not fitting:
        return
    hosts = texts(obj, "spec", "hostnames") or [""]
    for parent in tables(obj, "spec", "parentRefs"):
        if (text(parent, "kind") or "Gateway") != "Gateway":
            continue
        space, name = text(parent, "namespace") or namespace, text(parent, "name")
        gateway = world.get("Gateway", space, name)
        class_name = text(gateway, "spec", "gatewayClassName")
        gateway_class = world.get("GatewayClass", "", class_name)
        addresses = tuple(text(each, "value") for each in tables(gateway, "status", "addresses"))
        listeners = tables(gateway, "spec", "listeners")
        section = text(parent, "sectionName")
        chosen = [each for each in listeners if not section or text(each, "name") == section]
        for host in hosts[:4]:
            yield RouteTo(
                _title(obj),
                text(gateway_class, "spec", "controllerName"),
                class_name,
                host,
                (number(chosen[0], "port") if chosen else None) or 80,
                _first(addresses),
                addresses,
                _annotations(gateway or {}),
                number(fitting[0], "port"),
                gateway=f"{space}/{name}",
                obj=gateway,
            )


def _names(obj: Obj, facts: ServiceFacts) -> bool:
    """Whether a route of some other kind names the Service: by field names that they all use."""
    if (text(obj, "metadata", "namespace") or "default") != facts.namespace and text(
        obj, "kind"
    ) != "VirtualService":
        return False

    def holds(value: object, depth: int = 0) -> bool:
        if depth > 12:
            return False
        if isinstance(value, dict):
            for key, each in value.items():
                if key in ("name", "service", "serviceName", "host") and isinstance(each, str):
                    plain = each.partition(".")[0].partition(":")[0]
                    if plain == facts.name and (key != "name" or depth > 1):
                        return True
                if holds(each, depth + 1):
                    return True
        return isinstance(value, list) and any(holds(each, depth + 1) for each in value)

    return holds(table(obj, "spec"))


def _other(world: World, obj: Obj, controller: str) -> RouteTo:
    hosts = texts(obj, "spec", "hosts") or [
        text(obj, "spec", "virtualhost", "fqdn") or text(obj, "spec", "host")
    ]
    return RouteTo(
        _title(obj),
        controller,
        controller,
        hosts[0] if hosts else "",
        80,
        None,
        (),
        _annotations(obj),
        obj=obj,
    )


def _stream_services(world: World, facts: ServiceFacts) -> Iterator[RouteTo]:
    """ingress-nginx' ConfigMaps for TCP: port to namespace/name:port."""
    config = world.config_map("tcp-services", "ingress-nginx-tcp")
    for port, value in table(config, "data").items():
        where, _, rest = str(value).partition(":")
        if where == str(facts) and str(port).isdigit():
            backend = rest.partition(":")[0]
            yield RouteTo(
                f"ConfigMap {text(config, 'metadata', 'namespace')}/{text(config, 'metadata', 'name')}",
                "k8s.io/ingress-nginx",
                "nginx",
                "",
                int(port),
                None,
                (),
                (),
                int(backend) if backend.isdigit() else None,
                obj=config,
            )
