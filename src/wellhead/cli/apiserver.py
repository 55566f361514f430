"""`wellhead apiserver`: the Kubernetes API server, on its own."""

from __future__ import annotations

from ipaddress import ip_network
from itertools import chain
from pathlib import Path
from typing import Any

import click

from wellhead import component, ports
from wellhead.apiserver.admission import plugins
from wellhead.apiserver.admission.configuration import CONFIGURED
from wellhead.apiserver.main import Config, IPAddress, IPNetwork, run
from wellhead.cli.audit import audit_of, audit_options
from wellhead.cli.etcd import etcd_of, etcd_options
from wellhead.cli.limits import limit_options, limits_of
from wellhead.cli.options import Address, boolean_option, logging_options
from wellhead.component import LogFormat

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
# As kube-apiserver has it.
_SHORTEST_IPV6_PREFIX = 64
_SMALLEST_RANGE = 8


class _ServiceRanges(click.ParamType[tuple[IPNetwork, ...]]):
    """One range, or two of different families: the first one's is the cluster's primary family."""

    name = "cidr[,cidr]"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[IPNetwork, ...]:
        if isinstance(value, tuple):
            return value
        try:
            ranges = tuple(ip_network(part.strip()) for part in str(value).split(","))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if len(ranges) > 2:
            self.fail("it must not hold more than two values", param, ctx)
        if len(ranges) == 2 and ranges[0].version == ranges[1].version:
            self.fail("the two values must be of different IP families", param, ctx)
        for each in ranges:
            if each.version == 6 and each.prefixlen < _SHORTEST_IPV6_PREFIX:
                self.fail(f"{each} is too large: the mask must be >= {_SHORTEST_IPV6_PREFIX}", param, ctx)
            if each.num_addresses < _SMALLEST_RANGE:
                self.fail(
                    f"{each} is too small: it must hold at least {_SMALLEST_RANGE} addresses", param, ctx
                )
        return ranges


class _PortRange(click.ParamType[range]):
    name = "first-last"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> range:
        if isinstance(value, range):
            return value
        first, _, last = str(value).partition("-")
        try:
            ports = range(int(first), int(last) + 1)
        except ValueError:
            ports = range(0)
        if not ports or ports[0] < 1 or ports[-1] > 65535:
            self.fail(f"{value!r} is no range of ports, like 30000-32767", param, ctx)
        return ports


class _PluginNames(click.ParamType[tuple[str, ...]]):
    """Names of admission plugins, with commas between them."""

    name = "plugin[,plugin]"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        names = tuple(part.strip() for part in str(value).split(","))
        for name in names:
            if name not in plugins.NAMES:
                self.fail(f"{name!r} is none of {', '.join(plugins.NAMES)}", param, ctx)
        return names


@click.command()
@click.option(
    "--storage",
    required=True,
    metavar="sqlite:PATH|memory:|etcd=URL,…",
    help="Where objects are kept: a SQLite file, nowhere beyond this process, or an etcd, which several"
    " API servers may share: all its endpoints.",
)
@etcd_options
@click.option("--bind-address", type=Address(), multiple=True, help="Listen on this address (repeatable).")
@click.option("--secure-port", type=click.IntRange(1, 65535), default=ports.API, show_default=True)
@click.option(
    "--listen-fd",
    type=click.IntRange(0),
    multiple=True,
    help="Serve this inherited listening socket (repeatable).",
)
@click.option(
    "--advertise-address",
    type=Address(),
    required=True,
    help="Where pods reach this server: the endpoint of the Service `kubernetes`, of the primary family.",
)
@click.option("--tls-cert-file", type=_FILE, required=True, help="The server's certificate (PEM).")
@click.option("--tls-private-key-file", type=_FILE, required=True, help="Its key (PEM).")
@click.option(
    "--client-ca-file",
    type=_FILE,
    required=True,
    help="The authority that clients' and node agents' certificates must come from (PEM).",
)
@click.option(
    "--kubelet-client-certificate", type=_FILE, required=True, help="Whom to be towards node agents (PEM)."
)
@click.option("--kubelet-client-key", type=_FILE, required=True, help="Its key (PEM).")
@click.option(
    "--service-account-key-file",
    type=_FILE,
    required=True,
    help="An EC P-256 private key that signs and verifies service-account tokens (PEM).",
)
@click.option(
    "--enable-admission-plugins",
    type=_PluginNames(),
    multiple=True,
    help="Turn on those that aren't on by default, with commas between them:"
    f" {', '.join(sorted(plugins.OFF))}.",
)
@click.option(
    "--disable-admission-plugins",
    type=_PluginNames(),
    multiple=True,
    help=f"Turn some off, with commas between them. All others count by default: {', '.join(plugins.NAMES)}.",
)
@click.option(
    "--admission-control-config-file",
    type=_FILE,
    help=f"What single plugins are told, an AdmissionConfiguration: {', '.join(CONFIGURED)}.",
)
@click.option(
    "--proxy-client-cert-file",
    type=_FILE,
    help="Whom to be towards the servers behind APIServices (PEM).",
)
@click.option("--proxy-client-key-file", type=_FILE, help="Its key (PEM).")
@click.option(
    "--requestheader-client-ca-file",
    type=_FILE,
    help="The authority of that certificate: those servers are told to believe it (PEM).",
)
@click.option(
    "--requestheader-allowed-names",
    multiple=True,
    metavar="NAME",
    help="Whom that certificate must name (repeatable). Default: anybody.",
)
@click.option("--service-account-issuer", default="https://kubernetes.default.svc", show_default=True)
@click.option(
    "--service-account-max-token-expiration",
    type=click.IntRange(3600, 1 << 32),
    metavar="SECONDS",
    default=30 * 86400,
    show_default=True,
    help="How long a service-account token works at most; a request for more gets this, and a warning.",
)
@click.option(
    "--service-cluster-ip-range",
    type=_ServiceRanges(),
    default="10.0.0.0/16",
    show_default=True,
    help="Where ClusterIPs come from: a range, or one of each IP family, the primary family's first.",
)
@click.option(
    "--service-node-port-range",
    type=_PortRange(),
    default="30000-32767",
    show_default=True,
    help="Where node ports come from.",
)
@boolean_option(
    "enable-priority-and-fairness",
    default=True,
    text="Requests share the server by FlowSchemas and PriorityLevelConfigurations.",
)
@audit_options
@limit_options
@logging_options
def command(
    storage: str,
    bind_address: tuple[IPAddress, ...],
    secure_port: int,
    listen_fd: tuple[int, ...],
    advertise_address: IPAddress,
    tls_cert_file: Path,
    tls_private_key_file: Path,
    client_ca_file: Path,
    kubelet_client_certificate: Path,
    kubelet_client_key: Path,
    service_account_key_file: Path,
    enable_admission_plugins: tuple[tuple[str, ...], ...],
    disable_admission_plugins: tuple[tuple[str, ...], ...],
    admission_control_config_file: Path | None,
    proxy_client_cert_file: Path | None,
    proxy_client_key_file: Path | None,
    requestheader_client_ca_file: Path | None,
    requestheader_allowed_names: tuple[str, ...],
    service_account_issuer: str,
    service_account_max_token_expiration: int,
    service_cluster_ip_range: tuple[IPNetwork, ...],
    service_node_port_range: range,
    enable_priority_and_fairness: bool,
    log_level: str,
    log_format: LogFormat,
    **others: Any,
) -> None:
    """Run the Kubernetes API server.

    Clients identify themselves by certificate (CN is the user, O the groups) or service-account token.

    What is above one of the --max-… bounds is refused, and counted in apiserver_refused_requests_total.
    """
    if not bind_address and not listen_fd:
        raise click.UsageError("nothing to listen on: give --bind-address or --listen-fd")
    primary = service_cluster_ip_range[0]
    if advertise_address.version != primary.version:
        raise click.UsageError(
            f"--advertise-address {advertise_address} must be of the family of the first"
            f" --service-cluster-ip-range, {primary}"
        )
    config = Config(
        storage=storage,
        tls_cert_file=tls_cert_file,
        tls_private_key_file=tls_private_key_file,
        client_ca_file=client_ca_file,
        kubelet_client_certificate=kubelet_client_certificate,
        kubelet_client_key=kubelet_client_key,
        service_account_key_file=service_account_key_file,
        advertise_address=advertise_address,
        bind_addresses=bind_address,
        secure_port=secure_port,
        listen_fds=listen_fd,
        enable_admission_plugins=tuple(chain.from_iterable(enable_admission_plugins)),
        disable_admission_plugins=tuple(chain.from_iterable(disable_admission_plugins)),
        admission_control_config_file=admission_control_config_file,
        proxy_client_cert_file=proxy_client_cert_file,
        proxy_client_key_file=proxy_client_key_file,
        requestheader_client_ca_file=requestheader_client_ca_file,
        requestheader_allowed_names=requestheader_allowed_names,
        service_account_issuer=service_account_issuer,
        service_account_max_token_expiration=service_account_max_token_expiration,
        service_cluster_ip_ranges=service_cluster_ip_range,
        service_node_port_range=service_node_port_range,
        etcd=etcd_of(others),
        audit=audit_of(others),
        flow_control=enable_priority_and_fairness,
        limits=limits_of(others),
    )
    component.run("apiserver", run(config), log_level=log_level, log_format=log_format)
