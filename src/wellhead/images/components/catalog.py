"""Which images of components there are, and what is in each beside Python and wellhead."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Programs:
    """Programs of a Debian package: paths with wildcards. `links` are what its set-up would make."""

    package: str
    files: tuple[str, ...]
    links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Component:
    """One image. Its entry point is `wellhead`, unless `entrypoint` says otherwise."""

    name: str
    summary: str
    programs: tuple[Programs, ...] = ()
    entrypoint: tuple[str, ...] = ("/usr/bin/wellhead",)
    cmd: tuple[str, ...] = ("--help",)
    user: str = "0:0"

    @property
    def repository(self) -> str:
        """The image's name, without a tag."""
        return f"wellhead-{self.name}"


_ALTERNATIVES = tuple(
    (f"usr/sbin/{family}{verb}", f"{family}-nft{verb}")
    for family in ("iptables", "ip6tables")
    for verb in ("", "-save", "-restore")
)
NFTABLES = Programs("nftables", ("usr/sbin/nft",))
IPTABLES = Programs(
    "iptables",
    (
        "usr/sbin/xtables-*-multi",
        "usr/sbin/ip*tables-legacy*",
        "usr/sbin/ip*tables-nft*",
        "usr/lib/*/xtables/*.so",
    ),
    _ALTERNATIVES,
)
HAPROXY = Programs("haproxy", ("usr/sbin/haproxy",))
BIRD = Programs("bird2", ("usr/sbin/bird",))

COMPONENTS = (
    Component("proxy", "The service proxy of a node.", (NFTABLES, IPTABLES), cmd=("proxy", "--help")),
    Component(
        "cloud",
        "The LoadBalancer controller, and a node's BGP speaker.",
        (NFTABLES, HAPROXY, BIRD),
        cmd=("cloud", "--help"),
    ),
    Component("policy", "What enforces NetworkPolicies on a node.", (NFTABLES,), cmd=("policy", "--help")),
    Component(
        "trace",
        "The helper on a node that `wellhead trace` speaks to.",
        (NFTABLES, IPTABLES),
        entrypoint=(),
        cmd=("/usr/bin/sleep", "infinity"),
    ),
    Component("explain", "The instruments that read: explain and snapshot.", user="65534:65534"),
)


def component(name: str) -> Component:
    """The one of that name. Raises KeyError."""
    return {each.name: each for each in COMPONENTS}[name]
