"""Rules in their backend's own words, and whose they are: what a handle in the kernel's trace stands for.

A table of nftables is listed with its handles. A rule that iptables made is shown by nft without most of
what it says, so the two lists of a chain are laid side by side: the same rules in the same order.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable
from typing import NamedTuple

from wellhead.linux.libnftables import Output
from wellhead.linux.nft import NftError
from wellhead.linux.numbers import Table

Lister = Callable[[str, Output], str]
"""Runs a command of nft in a place, and answers what it lists."""

Program = Callable[..., str]
"""Runs a program there, by its words, and answers what it prints."""

_FAMILIES = {1: "inet", 2: "ip", 5: "netdev", 7: "bridge", 10: "ip6"}
_IPTABLES = {2: "iptables-nft-save", 10: "ip6tables-nft-save"}
_IPTABLES_TABLES = frozenset({"raw", "mangle", "nat", "filter", "security"})
_CHAIN = re.compile(r"^\s*chain (\S+) \{")
_RULE = re.compile(r"^\s*(.*?)\s*# handle (\d+)$")
_HOOK = re.compile(r"^\s*type \w+ hook ")
_COMMENT = re.compile(r'--comment (?:"([^"]*)"|(\S+))|comment "([^"]*)"')
_SERVICE = re.compile(r"\b([a-z0-9][-a-z0-9]*/[a-z0-9][-a-z0-9.]*)(?=[: ]|$)")

_CHAIN_OWNERS = (
    ("KUBE-", "service proxy (iptables)"),
    ("FLANNEL-", "flannel"),
    ("CNI-", "CNI plugin"),
    ("cali-", "Calico"),
    ("CILIUM_", "Cilium"),
    ("KUBE-ROUTER", "kube-router"),
    ("WEAVE", "Weave Net"),
    ("IP-MASQ-AGENT", "ip-masq-agent"),
    ("DOCKER", "Docker"),
)
_TABLE_OWNERS = {
    Table.PROXY: "service proxy (nftables)",
    Table.CLAIMS: "service proxy (iptables)",
    Table.RETURN: "symmetric return",
    Table.FORWARDER: "packet forwarder",
    Table.NODE: "node agent",
    Table.POLICY: "NetworkPolicies",
    Table.TRACE: "wellhead trace",
    Table.EDGE: "edge",
    "kube-proxy": "kube-proxy (nftables)",
    "flannel-ipv4": "flannel",
    "flannel-ipv6": "flannel",
    "calico": "Calico",
    "kindnet": "kindnet",
    "firewalld": "firewalld",
}


class Rule(NamedTuple):
    """One rule that a packet met."""

    table: str
    """`ip nat`, `ip wellhead`."""
    chain: str
    text: str
    """In nft's words, or in iptables'; '' where it can't be listed any more."""

    @property
    def owner(self) -> str:
        """The party that made it, as far as names tell."""
        name = self.table.partition(" ")[2]
        if name in _TABLE_OWNERS:
            return _TABLE_OWNERS[name]
        found = [owner for prefix, owner in _CHAIN_OWNERS if prefix in self.chain or prefix in self.text]
        return found[0] if found else f"table {self.table}"

    @property
    def service(self) -> str:
        """namespace/name of the Service that its comment names."""
        comment = next(
            (part for match in _COMMENT.finditer(self.text) for part in match.groups() if part), ""
        )
        named = _SERVICE.search(comment)
        return named[1] if named else ""

    @property
    def refuses(self) -> bool:
        """Whether it answers with an error, where the kernel's trace says only that it drops."""
        return "REJECT" in self.text or re.search(r"\breject\b", self.text) is not None


Key = tuple[int, str, str, int]
"""(family, table, chain, handle)"""

Listings = list[tuple[str, dict[str, dict[int, str]]]]
"""Tables of one name, by their full names: chain → handle → text."""


def texts(
    wanted: Iterable[Key], run: Lister, program: Program, known: dict[tuple[int, str], Listings]
) -> dict[Key, Rule]:
    """The rules of these handles. `run` lists by libnftables, `program` runs a program; what is `known`
    isn't listed again.
    """
    found: dict[Key, Rule] = {}
    by_table: dict[tuple[int, str], list[Key]] = {}
    for key in wanted:
        by_table.setdefault(key[:2], []).append(key)
    for (family, table), keys in by_table.items():
        if (family, table) not in known:
            known[family, table] = _listings(family, table, run, program)
        listings = known[family, table]
        for key in keys:
            _, _, chain, handle = key
            name, text = next(
                (
                    (name, chains[chain][handle])
                    for name, chains in listings
                    if handle in chains.get(chain, {})
                ),
                (f"{_FAMILIES.get(family, 'inet')} {table}", ""),
            )
            found[key] = Rule(name, chain, text)
    return found


def _listings(family: int, table: str, run: Lister, program: Program) -> Listings:
    """The tables of that name that the packet can have met. The trace says its family, not the table's."""
    found = []
    for of_table in dict.fromkeys((_FAMILIES.get(family, "inet"), "inet")):
        name = f"{of_table} {table}"
        if table in _IPTABLES_TABLES and family in _IPTABLES and of_table != "inet":
            # Not by the library: iptables' extensions are loaded once for a process, for one family.
            listed = by_chain(program("nft", "-a", "list", "table", of_table, table))
            found.append((name, beside(listed, program(_IPTABLES[family], "-t", table))))
            continue
        try:
            found.append((name, by_chain(run(f"list table {name}", Output.HANDLE | Output.TERSE))))
        except NftError:
            continue  # there is none, or no longer
    return found


def by_chain(listing: str) -> dict[str, dict[int, str]]:
    """Chain → handle → text, in the order of the rules, of what `nft -a list table` prints."""
    chains: dict[str, dict[int, str]] = {}
    current: dict[int, str] | None = None
    for line in listing.splitlines():
        if match := _CHAIN.match(line):
            current = chains[match[1]] = {}
        elif line.strip() == "}":
            current = None
        elif current is not None and not _HOOK.match(line) and (match := _RULE.match(line)):
            current[int(match[2])] = match[1]
    return chains


def beside(listed: dict[str, dict[int, str]], saved: str) -> dict[str, dict[int, str]]:
    """The same chains with iptables' words, where both lists have as many rules."""
    rules: dict[str, list[str]] = {}
    for line in saved.splitlines():
        if line.startswith("-A "):
            rules.setdefault(line.split(" ", 2)[1], []).append(line)
    words: dict[str, dict[int, str]] = {}
    for chain, handles in listed.items():
        own = rules.get(chain, [])
        words[chain] = dict(zip(handles, own, strict=True)) if len(own) == len(handles) else handles
    return words


def run_program(*command: str) -> str:
    """What a program prints, in the network namespace of the calling thread; '' if it can't be run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
