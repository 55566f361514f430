"""`wellhead controller-manager`: run the controllers."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from wellhead import component, ports
from wellhead.cli.leases import lease_of, lease_options
from wellhead.cli.options import Seconds, health_option, logging_options
from wellhead.component import LogFormat
from wellhead.controllers.certificates.signing import Authority
from wellhead.controllers.main import Config, run


@click.command(name="controller-manager")
@click.option("--kubeconfig", help="How to reach the API server; without it, as kubectl finds it.")
@click.option(
    "--root-ca-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The CA certificate to publish as the ConfigMap kube-root-ca.crt in every namespace.",
)
@click.option(
    "--cluster-signing-cert-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The CA certificate that approved CertificateSigningRequests are signed with (PEM).",
)
@click.option(
    "--cluster-signing-key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Its key (PEM). Without both, nothing is signed.",
)
@click.option(
    "--cluster-signing-duration",
    type=Seconds(positive=True),
    default="8760h",
    show_default=True,
    help="How long such a certificate is valid at most.",
)
@click.option(
    "--node-monitor-grace-period",
    type=Seconds(positive=True),
    default="40s",
    show_default=True,
    help="How long a node may say nothing before its condition is Unknown.",
)
@lease_options("kube-controller-manager", "off unless asked for")
@health_option(ports.HEALTH["controller-manager"])
@logging_options
def command(
    kubeconfig: str | None,
    root_ca_file: Path | None,
    cluster_signing_cert_file: Path | None,
    cluster_signing_key_file: Path | None,
    cluster_signing_duration: float,
    node_monitor_grace_period: float,
    healthz_bind_address: tuple[str, int] | None,
    log_level: str,
    log_format: LogFormat,
    **leader_elect: Any,
) -> None:
    """Run the controllers: deployment, replicaset, endpoints, garbage collection, namespaces, nodes …"""
    signing = None
    if cluster_signing_cert_file is not None and cluster_signing_key_file is not None:
        longest = timedelta(seconds=cluster_signing_duration)
        try:
            signing = Authority.load(cluster_signing_cert_file, cluster_signing_key_file, longest)
        except (OSError, ValueError) as error:
            raise click.ClickException(f"the signing certificate can't be used: {error}") from error
    config = Config(
        kubeconfig=kubeconfig,
        signing=signing,
        root_ca=root_ca_file.read_text() if root_ca_file else None,
        node_monitor_grace_period=node_monitor_grace_period,
        health=healthz_bind_address,
        lease=lease_of(leader_elect),
    )
    component.run("controller-manager", run(config), log_level=log_level, log_format=log_format)
