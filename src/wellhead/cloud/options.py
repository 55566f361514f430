"""How to run the component: the options that people give, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

from wellhead import ports
from wellhead.client.leases import LeaseSettings
from wellhead.cloud.haproxy import plane
from wellhead.cloud.haproxy.config import Limits
from wellhead.cloud.health import Settings
from wellhead.cloud.pools import Pool, PoolError, of_network, read_pools
from wellhead.images import haproxy
from wellhead.images.store import ImageNotFound, ImageStore
from wellhead.ip import IPAddress, IPNetwork

_DEFAULT_POOL = ip_network("203.0.113.0/24")
WITHOUT_ADDRESS = "this controller runs no proxy: it was started without --proxy-address"


class OptionError(ValueError):
    """Options that can't be, or can't be together. The message names them."""


@dataclass(frozen=True)
class Config:
    """How to run the component."""

    pools: tuple[Pool, ...]
    """Where VIPs come from; clients' packets to them must reach the forwarder. At least one."""
    kubeconfig: str | None = None
    """Path; None: $KUBECONFIG, or a pod's service account."""
    forwarder_netns: str | None = None
    """Path of the network namespace of the router that forwards; None: this process's own."""
    proxy: plane.Settings | None = None
    """The terminating proxy; None: Services of its class are refused."""
    no_proxy: str = "there is no proxy here"
    """Why there is none, for the Services that want it."""
    bgp: bool = False
    """Whether nodes announce VIPs by themselves (`wellhead bgp`): nothing is forwarded here, then."""
    announce: tuple[str, ...] = ()
    """The interfaces of that namespace at which VIPs are announced: it is a machine on the nodes' network
    then, not the router in front of it. None: somebody else leads VIPs to the router."""
    lease: LeaseSettings | None = None
    """The Lease by which several processes agree on who controls; None: this is the only one."""
    health: Settings = field(default_factory=Settings)
    metrics_host: str = "127.0.0.1"
    metrics_port: int = ports.HEALTH["cloud"]
    """0: any free port."""

    @property
    def networks(self) -> tuple[IPNetwork, ...]:
        """All that VIPs come from."""
        return tuple(each for pool in self.pools for each in pool.networks)


@dataclass(frozen=True)
class Options:
    """What the command line says, by the names of its flags; `wellhead cloud --help` explains them."""

    vip_pool: tuple[IPNetwork, ...]
    pools: Path | None
    kubeconfig: str | None
    forwarder_netns: str | None
    proxy_address: tuple[IPAddress, ...]
    haproxy: Path | None
    image_dir: Path
    proxy_state_dir: Path
    proxy_dials_endpoints: bool
    proxy_max_header_bytes: int
    proxy_max_headers: int
    proxy_idle_timeout: int
    health_check_interval: float
    health_check_timeout: float
    health_check_failures: int
    metrics_bind_address: tuple[str, int]
    bgp: bool
    announce: tuple[str, ...]
    leader_elect: bool | None
    leader_elect_lease_duration: float
    leader_elect_resource_namespace: str
    leader_elect_resource_name: str


def resolve(options: Options) -> Config:
    """What is to be run. Raises OptionError."""
    proxy, no_proxy = _proxy(options)
    if options.announce and options.proxy_address and options.forwarder_netns is None:
        raise OptionError(
            "--proxy-address with --announce needs --forwarder-netns: HAProxy's namespace holds VIPs as its "
            "own, and its kernel would answer for them whether it leads or not"
        )
    if options.bgp and (options.announce or options.proxy_address or options.forwarder_netns):
        raise OptionError(
            "--bgp: nodes get connections by themselves; there is nothing to --announce or to forward here, "
            "to a proxy neither"
        )
    lease = LeaseSettings(
        options.leader_elect_resource_namespace,
        options.leader_elect_resource_name,
        options.leader_elect_lease_duration,
    )
    # Two that announce the same addresses would be worse than none.
    elected = bool(options.announce) if options.leader_elect is None else options.leader_elect
    host, port = options.metrics_bind_address
    return Config(
        pools=_pools(options),
        kubeconfig=options.kubeconfig,
        forwarder_netns=options.forwarder_netns,
        proxy=proxy,
        no_proxy=no_proxy,
        health=Settings(
            options.health_check_interval, options.health_check_timeout, options.health_check_failures
        ),
        metrics_host=host,
        metrics_port=port,
        bgp=options.bgp,
        announce=options.announce,
        lease=lease if elected else None,
    )


def _pools(options: Options) -> tuple[Pool, ...]:
    """Those that were given, or one for trying things out."""
    if options.pools is None:
        try:
            return tuple(map(of_network, options.vip_pool or (_DEFAULT_POOL,)))
        except PoolError as error:
            raise OptionError(f"--vip-pool: {error}") from None
    if options.vip_pool:
        raise OptionError("--pools says where VIPs come from: there is nothing to add by --vip-pool")
    try:
        return read_pools(options.pools.read_text())
    except (OSError, UnicodeDecodeError, PoolError) as error:
        raise OptionError(f"--pools {options.pools}: {error}") from None


def _proxy(options: Options) -> tuple[plane.Settings | None, str]:
    """The terminating proxy, or why there is none."""
    addresses = options.proxy_address
    if len({address.version for address in addresses}) < len(addresses):
        raise OptionError("--proxy-address: one IPv4 and one IPv6 address at most")
    if not addresses:
        return None, WITHOUT_ADDRESS
    try:
        program = options.haproxy or haproxy.launcher(ImageStore(options.image_dir))
    except ImageNotFound:
        return None, (
            "HAProxy is not there: run `wellhead image build` where the controller runs, or start the "
            "controller with --haproxy PATH"
        )
    settings = plane.Settings(
        addresses,
        program,
        options.proxy_state_dir,
        options.proxy_dials_endpoints,
        Limits(options.proxy_max_header_bytes, options.proxy_max_headers, options.proxy_idle_timeout),
    )
    return settings, ""
