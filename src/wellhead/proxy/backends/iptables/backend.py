"""The iptables backend: what the view says, in force in both families."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Iterable, Mapping
from time import perf_counter

from wellhead.ip import Family, IPNetwork
from wellhead.proxy.backends.base import BackendError
from wellhead.proxy.backends.iptables import names, rules
from wellhead.proxy.backends.iptables import saved as saving
from wellhead.proxy.backends.iptables.claims import Claims, remove_claims
from wellhead.proxy.backends.iptables.commands import Commands, Variant
from wellhead.proxy.backends.iptables.native import NativeTables
from wellhead.proxy.backends.iptables.node_rules import JUMPS
from wellhead.proxy.backends.iptables.port_rules import Chain, Rules
from wellhead.proxy.backends.iptables.ruleset import Ruleset, RulesetConfig
from wellhead.proxy.backends.iptables.saved import Saved
from wellhead.proxy.backends.iptables.transaction import (
    TABLES,
    apply_to,
    differing,
    new_chains,
    removal,
    restore_input,
)
from wellhead.proxy.metrics import Metrics, family_label, of_family
from wellhead.services.node_view import ViewDiff

log = logging.getLogger(__name__)

_MANY = 500
"""So many rules of chains that aren't there yet are worth loading by themselves."""


class IptablesBackend:
    """iptables mode. One instance programs the network namespace that its process is in."""

    mode = "iptables"

    def __init__(
        self,
        families: Iterable[Family],
        variant: Variant = "auto",
        config: RulesetConfig | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        metrics = metrics or Metrics()
        families = tuple(families)
        self._tables = [_FamilyTables(each, variant, config, metrics) for each in families]
        self._claims = Claims(families, config or RulesetConfig())
        self._begun = False

    async def apply(self, diff: ViewDiff) -> None:
        """Take in what changed and restore the chains that this changes, in one call for each family."""
        for each in self._tables:
            each.ruleset.update(diff)
        if self._begun:
            await _all((self._claims.apply(diff), *(each.sync() for each in self._tables)))
            return
        await self._claims.apply(diff)
        with self._claims.deaf():
            await _all(each.sync() for each in self._tables)
        self._begun = True

    async def check(self) -> bool:
        """Compare every chain of ours with what it should be, and restore those that others changed."""
        for each in self._tables:
            each.forget()
        return any(await _all((self._claims.check(), *(each.sync() for each in self._tables))))

    async def changed(self) -> None:
        """Put the claims back whenever others change them. Of everything else iptables tells nobody."""
        await self._claims.keep()

    async def set_service_ranges(self, ranges: tuple[IPNetwork, ...]) -> None:
        """Nothing depends on them: an address that no Service has is no matter of ours in this mode."""

    async def remove_leftovers(self) -> None:
        """Remove what a proxy that used the other variant of iptables left: both would translate."""
        others = [each.remove_other_variant() for each in self._tables]
        await _all((self._claims.remove_leftovers(), *others))

    async def cleanup(self) -> None:
        """Remove our chains and the jumps to them, in both families and both variants."""
        await remove_all()

    def close(self) -> None:
        """Let go of the sockets. What is in force stays."""
        self._claims.close()
        for each in self._tables:
            each.close()


class _FamilyTables:
    """One family: what its tables should hold, and what they are known to hold."""

    def __init__(
        self, family: Family, variant: Variant, config: RulesetConfig | None, metrics: Metrics
    ) -> None:
        self.ruleset = Ruleset(family, config)
        self._family = family
        self._commands = Commands(family, variant)
        self._metrics = metrics
        self._held: Saved | None = None
        self._native: NativeTables | None = None
        self._native_known = False

    def forget(self) -> None:
        """Look at the kernel again before the next change."""
        self._held = None
        if self._native is not None:
            self._native.forget()

    async def sync(self) -> bool:
        """Restore what differs. Returns whether anything did."""
        started = perf_counter()
        changed: Iterable[Chain] = self.ruleset.take_changed()
        full = self._held is None
        held = self._held
        self._held = None  # should this fail half-way, the next sync compares everything
        if held is None:
            held = await self._read()
            changed = {*held.chains, *self.ruleset.chains()}
        wanted: dict[Chain, Rules | None] = {chain: self.ruleset.rules(chain) for chain in changed}
        changes = differing(wanted, held)
        done = await self._change_natively(changes, held)
        rest = {chain: rules for chain, rules in changes.items() if chain not in done}
        text = restore_input(rest, held)
        if text:
            log.debug("%s: restoring %d chains", self._commands, len(rest))
            if self._native is not None:
                self._native.forget()
            try:
                await self._commands.restore(text)
            except BackendError as error:
                of_family(self._metrics.restore_failures, self._family).inc()
                if not full:
                    of_family(self._metrics.partial_restore_failures, self._family).inc()
                if "-m recent" in text and not await self._can_remember_clients():
                    self.ruleset.do_without_affinity()
                    raise BackendError(
                        f"{self._commands}: this kernel has no xt_recent: ClientIP affinity is left out"
                    ) from error
                raise
        apply_to(held, rest)
        self._held = held
        self._measure(held, changes, perf_counter() - started, full)
        return bool(changes or text)

    async def _read(self) -> Saved:
        """What the kernel holds."""
        native = await self._natively()
        if native is not None:
            wanted = {chain: self.ruleset.rules(chain) or () for chain in self.ruleset.chains()}
            try:
                held = await asyncio.to_thread(native.read, TABLES, wanted, JUMPS)
            except OSError as error:
                log.debug("%s: reading by netlink: %s; reading text", self._commands, error)
                held = None
            if held is not None:
                return held
        return await asyncio.to_thread(saving.parse, await self._commands.save(*TABLES))

    async def _change_natively(self, changes: Mapping[Chain, Rules | None], held: Saved) -> set[Chain]:
        """Make those of `changes` that netlink is quicker for, and note them in `held`. Returns which."""
        native = await self._natively()
        if native is None:
            return set()
        done: set[Chain] = set()
        try:
            fresh = new_chains(changes, held)
            if sum(map(len, fresh.values())) >= _MANY:
                await asyncio.to_thread(native.load, fresh)
                held.chains |= fresh
                done.update(fresh)
            rest = {chain: rules for chain, rules in changes.items() if chain not in done}
            if held.jumps == JUMPS and rest and await asyncio.to_thread(native.change, rest, held):
                apply_to(held, rest)
                done.update(rest)
        except (OSError, ValueError) as error:
            log.info("%s: by netlink: %s; restoring text", self._commands, error)
        return done

    async def _natively(self) -> NativeTables | None:
        """The way by netlink, where there is one: iptables-nft's, on a kernel that lets us."""
        if not self._native_known:
            self._native_known = True
            if await self._commands.writes_nftables():
                with contextlib.suppress(OSError):
                    self._native = NativeTables(self._family)
        return self._native

    def close(self) -> None:
        """Let go of the socket. What is in force stays."""
        if self._native is not None:
            self._native.close()
            self._native, self._native_known = None, False

    async def _can_remember_clients(self) -> bool:
        """Whether the kernel takes a rule with a `recent` match, tried on a chain that nothing leads to."""
        match = rules.recent(self._family, names.CANARY, "--set")
        lines = ("*nat", f":{names.CANARY} - [0:0]", rules.rule(names.CANARY, match), "COMMIT", "")
        end = ("*nat", f":{names.CANARY} - [0:0]", f"-X {names.CANARY}", "COMMIT", "")
        try:
            await self._commands.restore("\n".join(lines))
            await self._commands.restore("\n".join(end))
        except BackendError:
            return False
        return True

    def _measure(self, held: Saved, changes: dict[Chain, Rules | None], seconds: float, full: bool) -> None:
        metrics, family = self._metrics, family_label(self._family)
        kind = metrics.full_sync_duration if full else metrics.partial_sync_duration
        of_family(kind, self._family).observe(seconds)
        for table in TABLES:
            written = sum(len(rules or ()) for chain, rules in changes.items() if chain.table == table)
            total = sum(len(rules) for chain, rules in held.chains.items() if chain.table == table)
            metrics.iptables_rules_written.labels(ip_family=family, table=table).set(written)
            metrics.iptables_rules.labels(ip_family=family, table=table).set(total)

    async def remove_other_variant(self) -> None:
        other = await self._commands.other(self._family)
        if not other.missing():
            await _remove(other)


async def remove_all() -> None:
    """Remove the chains and jumps that this proxy or kube-proxy made, in both families and both variants.

    Rules in other people's chains are left alone: a chain of ours that they lead to stays behind, empty.
    `net.ipv4.conf.all.route_localnet` stays as it is, since others may count on it too.

    Raises:
        BackendError: some could not be removed.
    """
    found = [Commands(family, variant) for family in Family for variant in ("nft", "legacy", "auto")]
    await _all((remove_claims(), *(_remove(each) for each in found if not each.missing())))


async def _remove(commands: Commands) -> None:
    held = saving.parse(await commands.save())
    if text := removal(held):
        log.info("%s: removing %d chains", commands, len(held.chains))
        await commands.restore(text)
    for chain in sorted(held.referenced):
        log.warning("%s: left %s empty in %s: others' rules lead to it", commands, chain.name, chain.table)


async def _all(attempts: Iterable[Awaitable[bool | None]]) -> list[bool | None]:
    """Make every attempt, one after the other, whatever becomes of the ones before.

    Raises:
        BackendError: some failed.
    """
    results: list[bool | None] = []
    errors: list[str] = []
    for attempt in attempts:
        try:
            results.append(await attempt)
        except BackendError as error:
            errors.append(str(error))
    if errors:
        raise BackendError("; ".join(errors))
    return results
