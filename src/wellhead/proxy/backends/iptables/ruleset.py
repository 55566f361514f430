"""Everything that the tables of one family should hold, kept current by single changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain as joined

from wellhead.ip import Family, IPNetwork, collapse
from wellhead.proxy.backends.iptables.node_rules import (
    MARK_PRESERVE,
    SHARED,
    NodeRulesConfig,
    first_rules,
    health_check_entry,
    last_rules,
    own_chains,
    with_preserving,
)
from wellhead.proxy.backends.iptables.port_rules import (
    FILTER_NODEPORTS,
    Chain,
    PortRules,
    Rules,
    Surroundings,
    compile_port,
)
from wellhead.proxy.claims.settings import SourceClaims
from wellhead.services.names import PortKey, ServiceKey
from wellhead.services.node import LocalNode
from wellhead.services.node_ports import NodePortAddresses, node_port_networks
from wellhead.services.node_view import HealthCheck, ViewDiff
from wellhead.services.view import PortView


@dataclass(frozen=True, slots=True)
class RulesetConfig:
    """What of the proxy's configuration shows in its rules."""

    node: NodeRulesConfig = field(default_factory=NodeRulesConfig)
    node_port_addresses: NodePortAddresses = ()
    claims: SourceClaims = "auto"


class Ruleset:
    """The chains of one family, each compiled when something that it depends on changes."""

    def __init__(self, family: Family, config: RulesetConfig | None = None) -> None:
        self._family = family
        self._config = config or RulesetConfig()
        self._surroundings = Surroundings(None, self._networks(None), marks=self._config.node.marks)
        self._views: dict[PortKey, PortView] = {}
        self._ports: dict[PortKey, PortRules] = {}
        self._own: dict[Chain, Rules] = dict(own_chains(self._config.node))
        self._entries: dict[Chain, dict[str, Rules]] = {chain: {} for chain in SHARED}
        self._changed: set[Chain] = {*self._own, *SHARED}
        self._preserving: set[PortKey] = set()
        self._inside: tuple[IPNetwork, ...] = ()

    def update(self, diff: ViewDiff) -> None:
        """Take in a change of the view."""
        self._set_node(diff.node)
        for key, (_, view) in diff.ports.items():
            if key.family == self._family:
                self._set_port(key, view)
        self._set_preserving(diff.node)
        for service, (_, check) in diff.health_checks.items():
            self._set_health_check(service, check)

    def do_without_affinity(self) -> None:
        """Leave affinity out, since the kernel can't do it."""
        self._surroundings = dataclasses.replace(self._surroundings, affinity=False)
        for key in [key for key, view in self._views.items() if view.affinity_seconds is not None]:
            self._set_port(key, self._views[key])

    def take_changed(self) -> set[Chain]:
        """The chains that came, went or changed since the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def chains(self) -> Iterator[Chain]:
        """Every chain that there should be."""
        yield from self._own
        yield from SHARED

    def rules(self, chain: Chain) -> Rules | None:
        """What `chain` should hold; None when it should not exist."""
        entries = self._entries.get(chain)
        if entries is None:
            return self._own.get(chain)
        # What is in order but for a few is quickly sorted.
        entries = self._entries[chain] = {key: entries[key] for key in sorted(entries)}
        networks = self._surroundings.node_port_networks
        return (
            *first_rules(self._family, chain, self._config.node),
            *joined.from_iterable(entries.values()),
            *last_rules(self._family, chain, self._config.node, networks),
        )

    def _set_node(self, node: LocalNode) -> None:
        surroundings = dataclasses.replace(
            self._surroundings,
            detector=node.detector(self._family),
            node_port_networks=self._networks(node),
        )
        if surroundings == self._surroundings:
            return
        self._surroundings = surroundings
        self._changed.update(SHARED)
        for key, view in list(self._views.items()):
            self._set_port(key, view)

    def _networks(self, node: LocalNode | None) -> tuple[IPNetwork, ...]:
        return node_port_networks(self._config.node_port_addresses, self._family, node)

    def _set_port(self, key: PortKey, view: PortView | None) -> None:
        old = self._ports.pop(key, PortRules())
        new = PortRules()
        if view is None:
            self._views.pop(key, None)
            self._preserving.discard(key)
        else:
            new = compile_port(view, self._surroundings)
            self._views[key] = view
            self._ports[key] = new
            if view.external.others.preserve:
                self._preserving.add(key)
            else:
                self._preserving.discard(key)
        for chain in {**old.chains, **new.chains}:
            self._set_chain(chain, old.chains.get(chain), new.chains.get(chain))
        for chain in {**old.entries, **new.entries}:
            self._set_entries(chain, str(key), old.entries.get(chain), new.entries.get(chain))

    def _set_preserving(self, node: LocalNode) -> None:
        """Have what it takes that clients outside keep their address for as long as any port asks for it."""
        inside: tuple[IPNetwork, ...] = ()
        if self._preserving:
            inside = tuple(each for each in node.inside if each.version == self._family)
        if inside == self._inside:
            return
        self._inside = inside
        wanted = own_chains(self._config.node)
        if inside:
            wanted = with_preserving(wanted, collapse(inside), self._config.node)
        for chain in {**wanted, MARK_PRESERVE: ()}:
            self._set_chain(chain, self._own.get(chain), wanted.get(chain))

    def _set_chain(self, chain: Chain, old: Rules | None, new: Rules | None) -> None:
        if old == new:
            return
        self._changed.add(chain)
        if new is None:
            del self._own[chain]
        else:
            self._own[chain] = new

    def _set_entries(self, chain: Chain, name: str, old: Rules | None, new: Rules | None) -> None:
        if old == new:
            return
        self._changed.add(chain)
        if new is None:
            del self._entries[chain][name]
        else:
            self._entries[chain][name] = new

    def _set_health_check(self, key: ServiceKey, check: HealthCheck | None) -> None:
        name = f"{key} health check"
        old = self._entries[FILTER_NODEPORTS].get(name)
        new = health_check_entry(key, check) if check else None
        self._set_entries(FILTER_NODEPORTS, name, old, new)
