"""Names to answers: what a question about the cluster domain gets, from what there is in the zone. Pure.

Where the specification leaves room it is as CoreDNS does it: an endpoint counts by its `ready` condition; a
Service that is an ExternalName of an IP address isn't served; SRV records of an answer share a weight of 100.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address

from wellhead.dns import names
from wellhead.dns.names import Fixed, NamespaceName, PodName, ServiceName
from wellhead.dns.objects import Endpoint, Port, Service
from wellhead.dns.zone import Fact, Zone

SCHEMA_VERSION = "1.1.0"
_LONGEST_CHAIN = 8  # of ExternalNames that lead to each other

Data = str | tuple[int, int, int, str]
"""An address, a name that ends with a dot, a text; or an SRV record's priority, weight, port and target."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record; `owner` is a full name that ends with a dot, or empty for the name that was asked for."""

    owner: str
    type: str
    data: Data


@dataclass(slots=True)
class Answer:
    """What is answered: whether the name exists, and records.

    `continues_at` is a name outside of the domain that the last CNAME leads to. `facts` are what it rests on.
    """

    exists: bool = True
    records: list[Record] = field(default_factory=list)
    additional: list[Record] = field(default_factory=list)
    continues_at: str = ""
    facts: set[Fact] = field(default_factory=set)


def address_type(address: str) -> str:
    """The type of the record that has this address."""
    return "A" if isinstance(ip_address(address), IPv4Address) else "AAAA"


class Answers:
    """Answers for one cluster domain (in lower case, without a dot at its end).

    `own` are the server's addresses.
    """

    def __init__(self, zone: Zone, domain: str, own: Sequence[str] = ()) -> None:
        self._zone = zone
        self._domain = domain
        self._labels = domain.split(".")
        self._own = own

    def within(self, labels: Sequence[str]) -> bool:
        """Whether a name, as labels in lower case, is in the cluster domain."""
        return list(labels[-len(self._labels) :]) == self._labels

    def answer(self, labels: Sequence[str], type: str) -> Answer:
        """The answer to a name of the domain (all labels, in lower case)."""
        found = Answer()
        self._follow(found, "", labels[: -len(self._labels)], type, _LONGEST_CHAIN)
        return found

    def reverse(self, labels: Sequence[str]) -> Answer | None:
        """The names of an address; None when we know of none, and others may. With `facts` in either case."""
        address = names.parse_reverse(labels)
        if address is None:
            return None
        found = Answer(facts={("address", address)})
        services = [f"{name}.{namespace}" for namespace, name in self._zone.services_at(address)]
        hosts = [f"{host}.{name}.{namespace}" for host, (namespace, name) in self._zone.hosts_at(address)]
        for name in services or hosts:
            found.records.append(Record("", "PTR", f"{name}.svc.{self._domain}."))
        found.exists = bool(found.records)
        return found

    def _follow(self, found: Answer, owner: str, labels: Sequence[str], type: str, left: int) -> None:
        """Add what there is at a name; `left` is how many further names may be led to."""
        match names.parse(labels):
            case None:
                found.exists = False
            case Fixed() as name:
                found.records += self._fixed(owner, name, type)
            case NamespaceName(namespace):
                found.facts.add(("namespace", namespace))
                found.exists = self._zone.has_namespace(namespace)
            case PodName(namespace, address):
                found.facts.add(("namespace", namespace))
                found.exists = self._zone.has_namespace(namespace)
                if found.exists and type == address_type(address):
                    found.records.append(Record(owner, type, address))
            case ServiceName() as name:
                self._service(found, owner, name, type, left)

    def _fixed(self, owner: str, name: Fixed, type: str) -> Iterator[Record]:
        if name.which == "dns-version" and type == "TXT":
            yield Record(owner, "TXT", SCHEMA_VERSION)
        elif name.which == "apex" and type == "NS":
            yield Record(owner, "NS", f"ns.dns.{self._domain}.")
        elif name.which == "apex" and type == "SOA":
            yield Record(owner, "SOA", "")
        elif name.which == "ns":
            yield from _addresses(owner, self._own, type)

    def _service(self, found: Answer, owner: str, name: ServiceName, type: str, left: int) -> None:
        key = name.namespace, name.service
        found.facts.add(("service", *key))
        service = self._zone.service(key)
        if service is None:
            found.exists = False
        elif service.external_name:
            if name.endpoint or name.port or _is_address(service.external_name):
                found.exists = False
            else:
                self._external(found, owner, service.external_name, type, left)
        elif service.cluster_ips and not name.endpoint:
            self._cluster_ips(found, owner, service, name, type)
        else:
            self._endpoints(found, owner, name, type)

    def _external(self, found: Answer, owner: str, target: str, type: str, left: int) -> None:
        target = target.rstrip(".") + "."
        found.records.append(Record(owner, "CNAME", target))
        if type == "CNAME":
            return
        labels = target.lower().rstrip(".").split(".")
        if not self.within(labels):
            found.continues_at = target
        elif left:
            self._follow(found, target, labels[: -len(self._labels)], type, left - 1)

    def _cluster_ips(self, found: Answer, owner: str, service: Service, name: ServiceName, type: str) -> None:
        ports = [port for port in service.ports if _is_meant(port, name)]
        # Without ports at all a Service is still there; with others than asked for, this name isn't.
        found.exists = bool(ports) or not name.port
        if type == "SRV":
            target = self._full(service.key, "")
            self._srv(found, owner, [(port.number, target) for port in ports], {target: service.cluster_ips})
        elif found.exists:
            found.records += _addresses(owner, service.cluster_ips, type)

    def _endpoints(self, found: Answer, owner: str, name: ServiceName, type: str) -> None:
        key = name.namespace, name.service
        meant: list[tuple[Endpoint, tuple[Port, ...]]] = []
        for endpoint, ports in self._zone.endpoints(key):
            if name.endpoint and endpoint.label != name.endpoint:
                continue
            fitting = tuple(port for port in ports if _is_meant(port, name))
            if fitting or not name.port:
                meant.append((endpoint, fitting))
        # Without endpoints that are ready there is no such name: the specification, 2.4.1.
        found.exists = bool(meant)
        if type == "SRV":
            targets: dict[str, list[str]] = {}
            services: list[tuple[int, str]] = []
            for endpoint, ports in meant:
                target = self._full(key, endpoint.label)
                targets.setdefault(target, []).append(endpoint.address)
                services += [(port.number, target) for port in ports]
            self._srv(found, owner, services, targets)
        else:
            found.records += _addresses(owner, (endpoint.address for endpoint, _ in meant), type)

    def _srv(
        self,
        found: Answer,
        owner: str,
        services: Sequence[tuple[int, str]],
        targets: Mapping[str, Sequence[str]],
    ) -> None:
        unique = list(dict.fromkeys(services))
        weight = max(1, 100 // len(unique)) if unique else 0
        found.records += [Record(owner, "SRV", (0, weight, port, target)) for port, target in unique]
        for target in dict.fromkeys(target for _, target in unique):
            for family in ("A", "AAAA"):
                found.additional += _addresses(target, targets[target], family)

    def _full(self, key: tuple[str, str], label: str) -> str:
        prefix = f"{label}." if label else ""
        return f"{prefix}{key[1]}.{key[0]}.svc.{self._domain}."


def _addresses(owner: str, addresses: Iterable[str], type: str) -> Iterator[Record]:
    for address in dict.fromkeys(addresses):
        if type == address_type(address):
            yield Record(owner, type, address)


def _is_meant(port: Port, name: ServiceName) -> bool:
    return not name.port or (port.name.lower(), port.protocol) == (name.port, name.protocol)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
