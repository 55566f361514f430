"""From objects at hand to rules in the kernel, in this process and network namespace.

`python -m bench.proxy.sync SERVICES MODE VARIANT` prints what it took as JSON, and leaves the rules in force.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from ipaddress import ip_network

import msgspec

from bench.proxy import objects
from bench.proxy.network import ENDPOINTS, POD_PORT, Namespace
from wellhead.client.collector import settle, uncollected
from wellhead.proxy import modes
from wellhead.proxy.backends.iptables.commands import Variant
from wellhead.proxy.config import Config
from wellhead.proxy.metrics import Metrics
from wellhead.proxy.mode import ProxyMode
from wellhead.proxy.node_config import NodeConfig
from wellhead.proxy.watches import Watches, read_service, read_slice
from wellhead.services.endpointslice import EndpointSliceForm
from wellhead.services.node import LocalNode
from wellhead.services.node_view import NodeView
from wellhead.services.service import ServiceForm
from wellhead.services.service_map import ServiceMap

_decode_service = msgspec.json.Decoder(ServiceForm).decode
_decode_slice = msgspec.json.Decoder(EndpointSliceForm).decode

_CHANGES = 50
_CHANGES_WITHIN = 4.0  # seconds: a slow mode gets fewer


class Sync(msgspec.Struct):
    """Seconds."""

    read: float
    """Objects as JSON into the service map: what the informers and their handlers do as objects come in."""
    sync: float
    """The service map into the kernel: what kube-proxy calls a sync, too."""
    cpu: float
    """Of `read` and `sync` together, what was spent computing, the kernel's part included."""
    changes: list[float]
    """From one changed EndpointSlice, as JSON, to the kernel."""


def run(namespace: Namespace, services: int, mode: ProxyMode, variant: Variant = "auto") -> Sync:
    """Sync in a fresh process in `namespace`, whose rules it leaves behind. `variant` is of iptables."""
    said = namespace.run(sys.executable, "-m", "bench.proxy.sync", str(services), mode, variant)
    return msgspec.json.decode(said, type=Sync)


async def _sync(count: int, mode: ProxyMode, variant: Variant) -> Sync:
    config = Config(
        objects.NODE,
        mode=mode,
        iptables_variant=variant,
        node=NodeConfig(cluster_cidrs=(ip_network("10.244.0.0/15"),)),
        node_port_addresses="primary" if mode == "nftables" else (),  # as the process has it by default
    )
    metrics = Metrics(mode)
    backend = modes.make_backend(config, await modes.usable_families(config), metrics)
    services = ServiceMap()
    watches = Watches(services, metrics, _nothing, 0.0)
    view = NodeView(services, config.node.complete(LocalNode(objects.NODE)))
    target = objects.endpoint_slice("target", [(each, objects.NODE) for each in ENDPOINTS], POD_PORT)
    listed_services, listed_slices = objects.listed(count, target)

    started, computed = time.perf_counter(), time.process_time()
    with uncollected():
        for each in listed_services:
            watches.on_service(None, read_service(_decode_service(each)))
        for each in listed_slices:
            watches.on_slice(None, read_slice(_decode_slice(each)))
    read = time.perf_counter()
    with uncollected():
        await backend.apply(view.update())
    synced = time.perf_counter()
    cpu = time.process_time() - computed
    settle()

    changes: list[float] = []
    deadline = time.perf_counter() + _CHANGES_WITHIN
    for number in itertools.takewhile(lambda _: time.perf_counter() < deadline, range(_CHANGES)):
        old = msgspec.json.decode(listed_slices[number % count])
        # One endpoint more, then as before.
        for endpoints in ([*old["endpoints"], {"addresses": ["10.244.9.9"]}], old["endpoints"]):
            new = msgspec.json.encode({**old, "endpoints": endpoints})
            begun = time.perf_counter()
            watches.on_slice(None, read_slice(_decode_slice(new)))
            await backend.apply(view.update())
            changes.append(time.perf_counter() - begun)
    return Sync(read - started, synced - read, cpu, changes)


def _nothing() -> None:
    """The watches' request for a sync, which comes anyway."""


def main() -> None:
    services, mode, variant = msgspec.convert(sys.argv[1:], tuple[int, ProxyMode, Variant], strict=False)
    print(msgspec.json.encode(asyncio.run(_sync(services, mode, variant))).decode())


if __name__ == "__main__":
    main()
