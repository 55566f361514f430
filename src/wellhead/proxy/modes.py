"""The proxy's modes: making the backend of one, and removing what the others have left."""

from __future__ import annotations

import errno
import logging

from wellhead.ip import Family
from wellhead.linux.routes import families
from wellhead.proxy.backends.base import Backend, BackendError
from wellhead.proxy.backends.iptables import backend as iptables
from wellhead.proxy.backends.iptables.commands import Commands, Variant
from wellhead.proxy.backends.iptables.node_rules import NodeRulesConfig
from wellhead.proxy.backends.iptables.ruleset import RulesetConfig
from wellhead.proxy.backends.iptables.transaction import TABLES
from wellhead.proxy.backends.nftables import backend as nftables
from wellhead.proxy.backends.nftables.ruleset import NftablesConfig
from wellhead.proxy.config import Config
from wellhead.proxy.metrics import Metrics
from wellhead.proxy.mode import ProxyMode
from wellhead.proxy.sysctls import conntrack_is_liberal
from wellhead.services.node_ports import answers_on_loopback

log = logging.getLogger(__name__)

_KUBE_PROXY_TABLE = "kube-proxy"
"""What kube-proxy's nftables mode calls its tables."""

_KUBELETS = (":KUBE-IPTABLES-HINT ", ":KUBE-KUBELET-CANARY ")
_NO_NFTABLES = {errno.EOPNOTSUPP, errno.EPROTONOSUPPORT}
_VARIANTS: tuple[Variant, ...] = ("nft", "legacy")


def make_backend(config: Config, families: tuple[Family, ...], metrics: Metrics) -> Backend:
    """The backend of the configured mode. It does nothing yet."""
    drop_invalid = not conntrack_is_liberal()
    if not drop_invalid:
        log.info("nf_conntrack_tcp_be_liberal is set: packets that conntrack calls INVALID are not dropped")
    if config.mode == "nftables":
        return nftables.NftablesBackend(
            families,
            NftablesConfig(
                node_port_addresses=config.node_port_addresses,
                marks=config.marks,
                drop_invalid=drop_invalid,
                claims=config.source_claims,
            ),
        )
    rules = RulesetConfig(
        NodeRulesConfig(
            config.marks,
            localhost_node_ports=node_ports_on_loopback(config),
            drop_invalid=drop_invalid,
        ),
        config.node_port_addresses,
        config.source_claims,
    )
    return iptables.IptablesBackend(families, config.iptables_variant, rules, metrics)


async def usable_families(config: Config) -> tuple[Family, ...]:
    """The families that this kernel and, in iptables mode, its iptables speak.

    Raises:
        BackendError: not even IPv4.
    """
    if config.mode == "nftables":
        return families()
    await Commands(Family.IPV4, config.iptables_variant).save(*TABLES)
    if families() == (Family.IPV4,):
        return families()
    try:
        await Commands(Family.IPV6, config.iptables_variant).save(*TABLES)
    except BackendError as error:
        log.warning("IPv6 Services won't be served: %s", error)
        return (Family.IPV4,)
    return (Family.IPV4, Family.IPV6)


async def chosen_variant(variant: Variant) -> Variant:
    """The iptables to use: for `auto`, the one that this node's kubelet has left its hints in, if any.

    A container's own “iptables” may be the other one than its node's.

    Raises:
        BackendError: iptables can't be run.
    """
    if variant == "auto":
        for each in _VARIANTS:
            commands = Commands(Family.IPV4, each)
            if commands.missing():
                continue
            saved = await commands.save()
            if any(hint in saved for hint in _KUBELETS):
                return each
    return variant


def node_ports_on_loopback(config: Config) -> bool:
    """Whether IPv4 node ports should answer on loopback addresses."""
    if config.mode != "iptables" or not config.localhost_node_ports:
        return False
    return answers_on_loopback(config.node_port_addresses, Family.IPV4)


async def remove_others(mode: str) -> None:
    """Remove the rules of every mode but `mode`, once that one's are in force: both would translate.

    Raises:
        BackendError, OSError: something is left.
    """
    if mode != "nftables":
        await remove("nftables")
    else:
        nftables.remove_tables(_KUBE_PROXY_TABLE)
    if mode != "iptables":
        await remove("iptables")


async def remove(mode: ProxyMode) -> None:
    """Remove the rules of one mode, this proxy's and kube-proxy's, of this or an earlier process.

    Raises:
        BackendError, OSError: something is left.
    """
    if mode == "iptables":
        await iptables.remove_all()
        return
    try:
        nftables.remove_tables()
        nftables.remove_tables(_KUBE_PROXY_TABLE)
    except BackendError as error:
        if getattr(error.__cause__, "errno", None) not in _NO_NFTABLES:
            raise
        log.debug("no nftables in this kernel: %s", error)
