"""The role of ingress controllers and gateways: proxies that run as pods, between a client and a Service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wellhead.paths.parties.base import Party, named
from wellhead.paths.reading import Obj, command_line, is_true, table, text
from wellhead.paths.world import World


@dataclass(frozen=True)
class Headers:
    """What a controller tells the server of its client."""

    forms: tuple[str, ...] = ("X-Forwarded-For",)
    expects_proxy_protocol: bool = False
    trusts_forwarded: bool = False
    """Whether it believes a header that it is sent itself."""
    decided_by: str = ""


@dataclass(frozen=True)
class ControllerSpec:
    """One controller."""

    name: str
    ids: tuple[str, ...]
    """What IngressClass or GatewayClass say: spec.controller, spec.controllerName."""
    classes: tuple[str, ...] = ()
    """Names of classes that mean it where there is no such object."""
    images: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    """Its Service's usual names."""
    headers: Callable[[World], Headers] = lambda _: Headers()
    cluster_ip_annotation: str = ""
    """An annotation of the Ingress or the Service that makes it dial the ClusterIP."""
    source: str = ""


class Controller(Party):
    """A controller that was found."""

    role = "controller"

    def __init__(self, spec: ControllerSpec, seen: str) -> None:
        super().__init__(spec.name, seen)
        self.spec = spec


class UnknownController(Party):
    """One that nobody knows."""

    role = "controller"

    def __init__(self, name: str) -> None:
        super().__init__(name, known=False)


def settings(world: World, *names: str) -> tuple[dict[str, str], str]:
    """A controller's ConfigMap, and what it is called."""
    found = world.config_map(*names)
    data = {key: str(value) for key, value in table(found, "data").items()}
    return data, named(found) if found is not None else ""


def argument(world: World, image: str, *flags: str) -> str:
    """The value of one of a controller's flags."""
    workload: Obj | None = world.workload_if(
        lambda each: any(
            image in text(c, "image") for c in table(each, "spec", "template", "spec").get("containers") or []
        )
    )
    workload = workload or next(iter(world.pods_running(image)), None)
    given = command_line(workload) if workload is not None else {}
    return next((given[each] for each in flags if each in given), "")


def flag(data: dict[str, str], *names: str) -> bool:
    return any(is_true(data.get(each, "")) for each in names)
