"""What hundreds of other nodes cost one node that keeps clients' addresses: rules, routes, and time.

`python -m bench.preserving.peers` prints it. The node is a network namespace, the others are Node objects.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from ipaddress import IPv4Address
from time import perf_counter, process_time

import click
import msgspec

from bench.measure import Result
from bench.proxy.network import Namespace
from bench.report import make_console, report
from wellhead.linux.numbers import TUNNEL_PORT, TUNNEL_VNI
from wellhead.proxy.marks import Marks
from wellhead.proxy.symmetric_return.announcement import ANNOTATION, TunnelEnd, announcement, encode
from wellhead.proxy.symmetric_return.nodes import NodeFacts, facts, hardware_address_for
from wellhead.proxy.symmetric_return.settings import PathChoice, ReturnSettings
from wellhead.proxy.symmetric_return.state import ReturnPath

COUNTS = (10, 100, 300, 500)
_PATHS: tuple[PathChoice, ...] = ("link", "tunnel")
_FIRST = IPv4Address("10.240.1.0")
_PODS = IPv4Address("10.244.0.0")


class Cost(msgspec.Struct):
    """Seconds by the clock for each, CPU seconds for all, and how many rules and routes there are."""

    first: float
    one_more: float
    nothing: float
    restart: float
    one_less: float
    cpu: float
    rules: int
    routes: int


def _node(number: int) -> NodeFacts:
    """A node that takes part, with pods of its own."""
    address = _FIRST + number
    mac = f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"
    end = TunnelEnd(str(address), hardware_address_for(address), TUNNEL_VNI, TUNNEL_PORT)
    return facts(
        {
            "metadata": {
                "name": f"node-{number}",
                "annotations": {ANNOTATION: encode(announcement({address: mac}, end))},
            },
            "spec": {"podCIDRs": [f"{_PODS + 256 * number}/24"]},
            "status": {"addresses": [{"type": "InternalIP", "address": str(address)}]},
        }
    )


def _measure(path: PathChoice, count: int) -> Cost:
    """In this process' network namespace."""
    me, *others = (_node(each) for each in range(count + 2))
    usual = others[:-1]
    # As a pod network does it: each node's pods by its address.
    routes = "".join(
        f"route add {each.pod_networks[0]} via {each.addresses[0]} dev eth0\n" for each in others
    )
    setup = "link add eth0 type veth peer name other\nlink set eth0 up\nlink set other up\n"
    address = f"addr add {me.addresses[0]}/16 dev eth0\n"
    subprocess.run(["ip", "-batch", "-"], input=setup + address + routes, text=True, check=True)
    settings = ReturnSettings(path)

    def new() -> ReturnPath:
        return ReturnPath(settings, Marks(), ())

    def timed(work: ReturnPath, nodes: Iterable[NodeFacts], *, check: bool = False) -> float:
        started = perf_counter()
        work.work(me, list(nodes), check_table=check)
        return perf_counter() - started

    computed = process_time()
    node = new()
    first, one_more = timed(node, usual), timed(node, others)
    nothing = timed(node, others, check=True)
    restart = timed(new(), others)
    rules = _lines("ip", "rule")
    routes_there = _lines("ip", "route", "show", "table", "all", "proto", "88")
    one_less = timed(node, usual)
    return Cost(first, one_more, nothing, restart, one_less, process_time() - computed, rules, routes_there)


def _lines(*command: str) -> int:
    return len(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())


def measure() -> list[Result]:
    """Rounds for each number of peers, each in a namespace of its own."""
    results: list[Result] = []
    for path in _PATHS:
        for count in COUNTS:
            namespace = Namespace()
            try:
                said = namespace.run(sys.executable, "-m", "bench.preserving.peers", path, str(count))
            finally:
                namespace.close()
            cost, case = msgspec.json.decode(said, type=Cost), f"{path}, {count} peers"
            for name, value in (
                ("first round", cost.first),
                ("one node more", cost.one_more),
                ("one node less", cost.one_less),
                ("all compared, nothing to do", cost.nothing),
                ("restart, all there", cost.restart),
            ):
                method = "from Node objects to the kernel, by the clock"
                results.append(Result(name, 1000 * value, "ms", method, case=case))
            results.append(Result("CPU time of all", 1000 * cost.cpu, "ms", "this process alone", case=case))
            results.append(Result("routing rules", cost.rules, "", "ip rule", case=case))
            results.append(Result("routes", cost.routes, "", "ip route, of our protocol", case=case))
    return results


@click.command("bench.preserving.peers")
@click.argument("here", nargs=2, required=False)
def main(here: tuple[PathChoice, str] | None) -> None:
    """Measure the symmetric return beside 10 to 500 other nodes. Takes half a minute."""
    if here is not None:
        path, count = here
        click.echo(msgspec.json.encode(_measure(path, int(count))).decode())
        return
    console = make_console()
    with console.status("hollow peers"):
        results = measure()
    report(console, {"Keeping client addresses beside many nodes": results})


if __name__ == "__main__":
    main()
