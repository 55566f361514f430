"""Everything that the table of one family should hold, kept current by single changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from wellhead.ip import Family, IPNetwork
from wellhead.linux.nftables.content import Content, replace_ranges
from wellhead.linux.nftables.intervals import intervals
from wellhead.linux.nftables.objects import Chain, Element, ElementKey, Table, Transaction
from wellhead.linux.nftables.statements import Verdict
from wellhead.proxy.backends.nftables import layout
from wellhead.proxy.backends.nftables.adoption import adopted_placement
from wellhead.proxy.backends.nftables.dispatch import PREPARED, Dispatch, pick, timeout_of
from wellhead.proxy.backends.nftables.numbers import Numbers, OutOfNumbers, Placement, place
from wellhead.proxy.backends.nftables.port_elements import PortElements, compile_port
from wellhead.proxy.backends.nftables.skeleton import Surroundings, base_chains, chains_for
from wellhead.proxy.claims import sets
from wellhead.proxy.claims.sets import BRIDGES, bridges_of_node, networks_of_node
from wellhead.proxy.claims.settings import SourceClaims
from wellhead.proxy.marks import Marks
from wellhead.services.names import PortKey
from wellhead.services.node import Detector, LocalNode
from wellhead.services.node_ports import NodePortAddresses, node_port_networks
from wellhead.services.node_view import ViewDiff
from wellhead.services.view import PortView

_NOTHING = PortElements([], [], [])


@dataclass(frozen=True, slots=True)
class NftablesConfig:
    """What of the proxy's configuration shows in its rules."""

    service_ranges: tuple[IPNetwork, ...] = ()
    """Where ClusterIPs come from: an address in there that no Service has is dropped."""
    node_port_addresses: NodePortAddresses = "primary"
    marks: Marks = field(default_factory=Marks)
    drop_invalid: bool = True
    """Whether packets that conntrack calls INVALID are dropped."""
    claims: SourceClaims = "auto"


class Ruleset:
    """The content of one family's table. A change costs what it changes."""

    def __init__(self, family: Family, config: NftablesConfig | None = None) -> None:
        self.family = family
        self._config = config or NftablesConfig()
        self._surroundings = self._surroundings_with(None)
        self._views: dict[PortKey, PortView] = {}
        self._placements: dict[PortKey, Placement] = {}
        self._numbers = Numbers()
        self._shared: dict[ElementKey, int] = {}
        self._dispatches: dict[str, Dispatch] = {}  # by chain
        self._chains = {each.name: each for each in base_chains(self._surroundings)}
        self._node_elements: tuple[Element, ...] = ()
        self._node_elements_from: tuple[NftablesConfig, LocalNode | None] = (self._config, None)
        self._adopted = Content()

    # ---- what there should be

    @property
    def table(self) -> Table:
        return layout.table(self.family)

    @property
    def chains(self) -> Mapping[str, Chain]:
        """Every chain, callees before callers."""
        return self._chains

    def elements(self) -> Iterator[Element]:
        """Every element, compiled from nothing."""
        yield from self._node_elements
        for dispatch in self._dispatches.values():
            yield dispatch.element
        seen: set[ElementKey] = set()
        for key, view in self._views.items():
            compiled = compile_port(view, self._placements[key])
            yield from compiled.own
            for each in compiled.shared:
                if each.id not in seen:
                    seen.add(each.id)
                    yield each

    # ---- changes

    def adopt(self, held: Content) -> None:
        """Number the ports that come with the next update as `held` does, so that little needs changing."""
        self._adopted = held
        for each, value in held.elements.items():
            if each.set in (layout.SERVICES, layout.NODE_PORTS) and isinstance(value, bytes):
                # A port that the table does not know must not take the number of one that comes after it.
                self._numbers.pass_over(layout.split_id(value)[0])
            if each.set == layout.PICKS and isinstance(value, Verdict):
                timeout = timeout_of(value.chain, each.key)
                if timeout is not None:
                    self._numbers.timeouts.setdefault(*timeout)

    def update(self, diff: ViewDiff) -> Transaction:
        """Take in a change of the view, and say what it changes in the table.

        Raises:
            OutOfNumbers: see `numbers.Numbers`.
        """
        transaction = Transaction()
        self._set_node(diff.node, transaction)
        if not self._dispatches:
            for count in range(1, PREPARED + 1):
                self._set_dispatch(pick(count), transaction)
        refused: OutOfNumbers | None = None
        for key, (_, view) in diff.ports.items():
            if key.family is self.family:
                try:
                    self._set_port(key, view, transaction)
                except OutOfNumbers as error:
                    refused = error  # the others are served all the same
        self._adopted = Content()
        if refused is not None:
            raise refused
        return transaction

    def set_service_ranges(self, ranges: tuple[IPNetwork, ...], node: LocalNode | None) -> Transaction:
        """Note where ClusterIPs come from now."""
        transaction = Transaction()
        self._config = replace(self._config, service_ranges=ranges)
        self._set_node_elements(node, transaction)
        return transaction

    def _set_node(self, node: LocalNode, transaction: Transaction) -> None:
        self._set_node_elements(node, transaction)
        surroundings = self._surroundings_with(node.detector(self.family))
        if surroundings == self._surroundings:
            return
        self._surroundings = surroundings
        for chain in base_chains(surroundings):
            self._set_chain(chain, transaction)
        for dispatch in self._dispatches.values():
            for chain in chains_for(dispatch, surroundings):
                self._set_chain(chain, transaction)

    def _surroundings_with(self, detector: Detector | None) -> Surroundings:
        config = self._config
        return Surroundings(
            self.family,
            detector,
            marks=config.marks,
            drop_invalid=config.drop_invalid,
            claims=config.claims,
        )

    def _set_chain(self, chain: Chain, transaction: Transaction) -> None:
        old = self._chains.get(chain.name)
        if old == chain:
            return
        self._chains[chain.name] = chain
        if old is None:
            transaction.add_chains.append(chain)
        else:
            transaction.replace_rules.append(chain)

    def _set_node_elements(self, node: LocalNode | None, transaction: Transaction) -> None:
        config, before = self._node_elements_from
        if config is self._config and before is node:
            return  # with many nodes these are many, and most syncs are about Services
        self._node_elements_from = (self._config, node)
        old = self._node_elements
        new = tuple(self._compile_node_elements(node))
        self._node_elements = new
        replace_ranges(self.table, [each.id for each in old], new, transaction)
        _change(_plain(old), _plain(new), transaction)

    def _compile_node_elements(self, node: LocalNode | None) -> Iterator[Element]:
        ranges = [each for each in self._config.service_ranges if each.version == self.family]
        yield from intervals(layout.SERVICE_RANGES, ranges)
        answering = node_port_networks(self._config.node_port_addresses, self.family, node)
        without_loopback = tuple(_outside_loopback(answering, self.family))
        yield from intervals(sets.NODE_PORT_ADDRESSES, without_loopback)
        inside = [each for each in node.inside if each.version == self.family] if node else []
        yield from intervals(layout.INSIDE, inside)
        if node is not None and self._config.claims != "none":
            for name, networks in networks_of_node(node, self.family):
                yield from intervals(name, networks)
            yield from bridges_of_node(node)

    def _set_port(self, key: PortKey, view: PortView | None, transaction: Transaction) -> None:
        placement = self._placements.get(key)
        old = compile_port(self._views[key], placement) if placement is not None else _NOTHING
        if view is None:
            if placement is not None:
                self._numbers.release(placement.number)
                del self._views[key], self._placements[key]
            _change(old.own, (), transaction)
            self._change_shared(old.shared, (), transaction)
            return
        seconds = view.affinity_seconds
        timeout_code = 0 if seconds is None else self._numbers.timeout_code(seconds)
        placement = place(placement or self._first_placement(view), view, timeout_code)
        new = compile_port(view, placement)
        for dispatch in new.dispatches:
            if dispatch.chain not in self._dispatches:
                self._set_dispatch(dispatch, transaction)
        self._views[key] = view
        self._placements[key] = placement
        _change(old.own, new.own, transaction)
        self._change_shared(old.shared, new.shared, transaction)

    def _set_dispatch(self, dispatch: Dispatch, transaction: Transaction) -> None:
        """Have the chain that a code leads to. One that nothing needs any more stays until the next start."""
        self._dispatches[dispatch.chain] = dispatch
        for chain in chains_for(dispatch, self._surroundings):
            self._set_chain(chain, transaction)
        transaction.add_elements.append(dispatch.element)

    def _first_placement(self, view: PortView) -> Placement:
        adopted = adopted_placement(self._adopted, view) if self._adopted.exists else None
        if adopted is None:
            return Placement(self._numbers.take())
        number = self._numbers.take(adopted.number)
        if number != adopted.number:
            return Placement(number)
        return adopted

    def _change_shared(
        self, old: Iterable[Element], new: Iterable[Element], transaction: Transaction
    ) -> None:
        counts = self._shared
        for each in new:
            count = counts.get(each.id, 0)
            counts[each.id] = count + 1
            if not count:
                transaction.add_elements.append(each)
        for each in old:
            count = counts[each.id] - 1
            if count:
                counts[each.id] = count
            else:
                del counts[each.id]
                transaction.delete_elements.append(each.id)


def _outside_loopback(networks: Iterable[IPNetwork], family: Family) -> Iterator[IPNetwork]:
    """Networks without the loopback addresses: what is sent to a pod from there never arrives."""
    loopback = family.loopback
    for each in networks:
        if not each.overlaps(loopback):
            yield each
        elif each.prefixlen < loopback.prefixlen:
            yield from each.address_exclude(loopback)  # type: ignore[arg-type]


def _plain(elements: Iterable[Element]) -> list[Element]:
    """Those that are no ranges."""
    return [each for each in elements if each.id.set == BRIDGES]


def _change(old: Sequence[Element], new: Iterable[Element], transaction: Transaction) -> None:
    """Note the difference between two lists of elements that nobody else has."""
    if not old:
        transaction.add_elements += new
        return
    before = {each.id: each for each in old}
    for each in new:
        former = before.pop(each.id, None)
        if former is None:
            transaction.add_elements.append(each)
        elif former.data != each.data:
            transaction.delete_elements.append(each.id)
            transaction.add_elements.append(each)
    transaction.delete_elements += before
