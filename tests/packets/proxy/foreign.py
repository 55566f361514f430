"""Others' masquerading on the node of a packet test, in the shapes that are met with."""

from __future__ import annotations

from collections.abc import Callable

from tests.packets.proxy.world import Host

Undo = Callable[[], None]

_EVERYTHING = "-t nat -A POSTROUTING -j MASQUERADE"
_KUBE_ROUTER = "-t nat -A POSTROUTING -s {pods} ! -d {nodes} -j MASQUERADE --random-fully"
"""Its sets of pods and of nodes written out."""
_IP_MASQ_AGENT = """\
*nat
:IP-MASQ-AGENT - [0:0]
-A POSTROUTING -m comment --comment "ip-masq-agent: ensure nat POSTROUTING directs all non-LOCAL destination traffic to our custom IP-MASQ-AGENT chain" -m addrtype ! --dst-type LOCAL -j IP-MASQ-AGENT
-A IP-MASQ-AGENT -d {links} -m comment --comment "ip-masq-agent: local traffic is not subject to MASQUERADE" -j RETURN
-A IP-MASQ-AGENT -d {nodes} -m comment --comment "ip-masq-agent: local traffic is not subject to MASQUERADE" -j RETURN
-A IP-MASQ-AGENT -m comment --comment "ip-masq-agent: outbound traffic is subject to MASQUERADE (must be last in chain)" -j MASQUERADE
COMMIT
"""  # noqa: E501 - as they are
_FLANNEL = """\
*nat
:FLANNEL-POSTRTG - [0:0]
-I POSTROUTING 1 -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG
-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG -s {own} -d {own} -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG ! -s {own} -d {pods} -m comment --comment "flanneld masq" -j MASQUERADE
-A FLANNEL-POSTRTG -s {own} ! -d {own} -m comment --comment "flanneld masq" -j MASQUERADE
COMMIT
"""
"""As where its network is but the node's own: a second network, or a wrong one in its ConfigMap."""
_CALICO = """\
*nat
:cali-POSTROUTING - [0:0]
:cali-nat-outgoing - [0:0]
-I POSTROUTING 1 -m comment --comment "cali:O3lYWMrLQYEMJtB5" -j cali-POSTROUTING
-A cali-POSTROUTING -m comment --comment "cali:Z-c7XtVd2Bq7s_hA" -j cali-nat-outgoing
-A cali-nat-outgoing -s {pods} ! -d {nodes} -m comment --comment "cali:flqWnvo8yq4ULQLa" -j MASQUERADE --random-fully
COMMIT
"""  # noqa: E501 - as they are
_PLACES = (
    {"links": "169.254.0.0/16", "nodes": "10.240.0.0/24", "own": "10.244.1.0/24", "pods": "10.244.0.0/16"},
    {
        "links": "fe80::/10",
        "nodes": "fd00:10:240::/64",
        "own": "fd00:10:244:1::/64",
        "pods": "fd00:10:244::/48",
    },
)


def nft(host: Host) -> Undo:
    """A table of its own, which masquerades whatever leaves, as late as masquerading is done."""
    chain = "chain out { type nat hook postrouting priority srcnat; masquerade; }\n"
    text = "".join(f"table {each} cni {{\n{chain}}}\n" for each in ("ip", "ip6"))
    host.run("nft -f -", text)

    def undo() -> None:
        for each in ("ip", "ip6"):
            host.run(f"nft delete table {each} cni")

    return undo


def _rule(variant: str, text: str = _EVERYTHING) -> Callable[[Host], Undo]:
    def install(host: Host) -> Undo:
        programs = (f"iptables-{variant}", f"ip6tables-{variant}")
        rules = [(each, text.format(**places)) for each, places in zip(programs, _PLACES, strict=True)]
        for program, rule in rules:
            host.run(f"{program} -w {rule}")

        def undo() -> None:
            for program, rule in rules:
                host.run(f"{program} -w {rule.replace('-A', '-D', 1)}")

        return undo

    return install


def _chains(text: str, variant: str) -> Callable[[Host], Undo]:
    def install(host: Host) -> Undo:
        for program, places in zip(("iptables", "ip6tables"), _PLACES, strict=True):
            host.run(f"{program}-{variant}-restore --noflush --wait=30", text.format(**places))

        def undo() -> None:
            for program in ("iptables", "ip6tables"):
                saved = host.run(f"{program}-{variant}-save -t nat").splitlines()
                names = [each.split()[0] for each in text.splitlines() if each.startswith(":")]
                jumps = [each for each in saved if each.startswith("-A POSTROUTING") and names[0][1:] in each]
                lines = [f"-D{each.removeprefix('-A')}" for each in jumps]
                lines += [f"-F {each[1:]}" for each in names] + [f"-X {each[1:]}" for each in names]
                restored = "\n".join(["*nat", *lines, "COMMIT", ""])
                host.run(f"{program}-{variant}-restore --noflush --wait=30", restored)

        return undo

    return install


FOREIGN: dict[str, Callable[[Host], Undo]] = {
    "nft": nft,
    "iptables-nft": _rule("nft"),
    "iptables-legacy": _rule("legacy"),
    "ip-masq-agent": _chains(_IP_MASQ_AGENT, "nft"),
    "flannel": _chains(_FLANNEL, "legacy"),
    "kube-router": _rule("legacy", _KUBE_ROUTER),
    "Calico": _chains(_CALICO, "nft"),
}
