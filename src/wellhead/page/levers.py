"""What can be changed, and by which commands: those that are shown are those that are run. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wellhead.api.names import PRESERVE_CLIENT_IP_ANNOTATION
from wellhead.page.errors import CannotAsk
from wellhead.page.values import Entity, Lever, Node, Pull, Service
from wellhead.paths.parties.wellhead import FORWARDER, PROXY
from wellhead.paths.reading import Obj, table, text
from wellhead.paths.world import World

Command = tuple[str, ...]
"""A program with its arguments; no shell reads it."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_MOST_REPLICAS = 100
_DEFAULT = "default"
"""How the default class is chosen: a Service has no `loadBalancerClass` then."""


@dataclass(frozen=True)
class Where:
    """Where levers are pulled."""

    entities: Mapping[str, Entity]
    world: Callable[[], World]
    cluster: str = ""
    """The name of a cluster of this machine, whose nodes can be killed; empty for any other."""


def levers(cluster: str) -> tuple[Lever, ...]:
    """All that there are."""
    found = [each.lever for each in _LEVERS.values()]
    return tuple(each for each in found if cluster or each.id != _KILL)


def commands(pull: Pull, where: Where) -> tuple[Command, ...]:
    """What is to be run, one after the other. Raises CannotAsk: there is no such lever, object or value."""
    known = levers(where.cluster)
    lever = next((each for each in known if each.id == pull.lever), None)
    if lever is None:
        raise CannotAsk(f"there is no lever {pull.lever!r}; there are {', '.join(each.id for each in known)}")
    if lever.choices and pull.value not in lever.choices:
        raise CannotAsk(f"{lever.title}: one of {', '.join(lever.choices)}, not {pull.value!r}")
    entity = where.entities.get(pull.object)
    if not isinstance(entity, Service if lever.of == "service" else Node):
        raise CannotAsk(f"there is no {lever.of} {pull.object!r}")
    namespace = entity.namespace if isinstance(entity, Service) else "default"
    for each in (entity.name, namespace):
        if _NAME.fullmatch(each) is None:
            raise CannotAsk(f"{each!r} is no name that a command is made with")
    return _LEVERS[lever.id].make(entity, pull.value, where)


def shown(found: tuple[Command, ...]) -> str:
    """As a person would type them."""
    return " && ".join(map(shlex.join, found))


def _service(entity: Entity) -> Service:
    assert isinstance(entity, Service)
    return entity


def _patch(service: Service, patch: str) -> Command:
    return ("kubectl", "-n", service.namespace, "patch", "service", service.name, "-p", patch)


def _external(entity: Entity, value: str, where: Where) -> tuple[Command, ...]:
    service = _service(entity)
    if service.type not in ("NodePort", "LoadBalancer") and not service.external_ips:
        raise CannotAsk(
            f"externalTrafficPolicy is for Services that are reached from outside: {service.name} is of type "
            f"{service.type} and has no external IP"
        )
    return (_patch(service, f'{{"spec":{{"externalTrafficPolicy":"{value}"}}}}'),)


def _internal(entity: Entity, value: str, where: Where) -> tuple[Command, ...]:
    return (_patch(_service(entity), f'{{"spec":{{"internalTrafficPolicy":"{value}"}}}}'),)


def _preserve(entity: Entity, value: str, where: Where) -> tuple[Command, ...]:
    service = _service(entity)
    wanted = f"{PRESERVE_CLIENT_IP_ANNOTATION}={value}"
    return (("kubectl", "-n", service.namespace, "annotate", "service", service.name, wanted, "--overwrite"),)


def _class(entity: Entity, value: str, where: Where) -> tuple[Command, ...]:
    """A class can only be given along with the type, and goes with it."""
    service = _service(entity)
    if service.type == "ExternalName" or service.headless:
        raise CannotAsk(
            f"{service.name} is {'headless' if service.headless else 'an alias'}: nobody balances it"
        )
    class_ = f',"loadBalancerClass":"{value}"' if value != _DEFAULT else ""
    found = _patch(service, f'{{"spec":{{"type":"LoadBalancer"{class_}}}}}')
    if service.type != "LoadBalancer":
        return (found,)
    return (_patch(service, '{"spec":{"type":"NodePort","loadBalancerClass":null}}'), found)


def _replicas(entity: Entity, value: str, where: Where) -> tuple[Command, ...]:
    if not (value.isascii() and value.isdigit() and len(value) < 4 and int(value) <= _MOST_REPLICAS):
        raise CannotAsk(f"replicas: a number from 0 to {_MOST_REPLICAS}, not {value!r}")
    service = _service(entity)
    kind, name = workload(where.world(), service)
    if _NAME.fullmatch(name) is None:
        raise CannotAsk(f"{name!r} is no name that a command is made with")
    return (("kubectl", "-n", service.namespace, "scale", kind, name, f"--replicas={value}"),)


def workload(world: World, service: Service) -> tuple[str, str]:
    """(kind, name) of what makes a Service's pods. Raises CannotAsk: it can't be told."""
    selector = table(world.service(service.namespace, service.name), "spec", "selector")
    for kind in ("Deployment", "StatefulSet"):
        for obj in world.all(kind) if selector else ():
            labels = table(obj, "spec", "template", "metadata", "labels")
            same = text(obj, "metadata", "namespace") == service.namespace
            if same and all(labels.get(key) == value for key, value in selector.items()):
                return kind.lower(), text(obj, "metadata", "name")
    for endpoint in service.endpoints:
        _, _, path = endpoint.pod.partition("/")
        namespace, _, name = path.partition("/")
        owner = _owner(world.get("Pod", namespace, name)) if name else None
        if owner is not None:
            return owner
    raise CannotAsk(f"which workload makes the pods of {service.name} can't be told from the objects")


def _owner(pod: Obj | None) -> tuple[str, str] | None:
    for each in (table(pod, "metadata").get("ownerReferences") or []) if pod is not None else []:
        if text(each, "kind") in ("ReplicaSet", "StatefulSet", "ReplicationController"):
            return text(each, "kind").lower(), text(each, "name")
    return None


def _drain(entity: Entity, value: str, where: Where) -> tuple[Command, ...]:
    if value != "drain":
        return (("kubectl", "uncordon", entity_name(entity)),)
    return (
        (
            "kubectl",
            "drain",
            entity_name(entity),
            "--ignore-daemonsets",
            "--delete-emptydir-data",
            "--force",
            "--timeout=60s",
        ),
    )


def _kill(entity: Entity, value: str, where: Where) -> tuple[Command, ...]:
    signal = "-STOP" if value == "kill" else "-KILL"
    inside = ("sh", "-c", f"kill {signal} -1")
    return (("wellhead", "exec", "--name", where.cluster, entity_name(entity), "--", *inside),)


def entity_name(entity: Entity) -> str:
    return str(entity.name)


Make = Callable[[Entity, str, Where], tuple[Command, ...]]


@dataclass(frozen=True)
class _Lever:
    lever: Lever
    make: Make


_KILL = "kill"
_ON_SERVICE = "kubectl -n <namespace> patch service <name> -p"
_LEVERS = {
    each.lever.id: each
    for each in (
        _Lever(
            Lever(
                id="external-traffic-policy",
                title="externalTrafficPolicy",
                of="service",
                choices=("Cluster", "Local"),
                command=_ON_SERVICE + """ '{"spec":{"externalTrafficPolicy":"<value>"}}'""",
            ),
            _external,
        ),
        _Lever(
            Lever(
                id="internal-traffic-policy",
                title="internalTrafficPolicy",
                of="service",
                choices=("Cluster", "Local"),
                command=_ON_SERVICE + """ '{"spec":{"internalTrafficPolicy":"<value>"}}'""",
            ),
            _internal,
        ),
        _Lever(
            Lever(
                id="preserve-client-ip",
                title="Keep the client's address under Cluster",
                of="service",
                choices=("true", "false"),
                command="kubectl -n <namespace> annotate service <name> "
                f"{PRESERVE_CLIENT_IP_ANNOTATION}=<value> --overwrite",
                note="Only wellhead's own proxy reads this annotation.",
            ),
            _preserve,
        ),
        _Lever(
            Lever(
                id="load-balancer-class",
                title="loadBalancerClass",
                of="service",
                choices=(_DEFAULT, FORWARDER, PROXY),
                command=_ON_SERVICE + """ '{"spec":{"type":"LoadBalancer","loadBalancerClass":"<value>"}}'""",
                note="It can't be changed while the type is LoadBalancer: the Service becomes a NodePort in "
                "between, and gets a new address.",
            ),
            _class,
        ),
        _Lever(
            Lever(
                id="replicas",
                title="Replicas of the workload behind it",
                of="service",
                command="kubectl -n <namespace> scale deployment <name> --replicas=<value>",
            ),
            _replicas,
        ),
        _Lever(
            Lever(
                id="drain",
                title="Drain",
                of="node",
                choices=("drain", "uncordon"),
                command="kubectl <value> <name>",
                note="Pods of nobody's, which come back nowhere, are deleted, too.",
            ),
            _drain,
        ),
        _Lever(
            Lever(
                id=_KILL,
                title="Kill",
                of="node",
                choices=("kill", "restart"),
                command="wellhead exec --name <cluster> <name> -- sh -c 'kill -STOP -1'",
                note="A killed node hangs, and answers nobody any more. Restarted, all its processes begin "
                "anew.",
            ),
            _kill,
        ),
    )
}
