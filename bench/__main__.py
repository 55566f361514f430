"""Run the measurements, print a table for each subject, write bench-results.json."""

from __future__ import annotations

import click
import uvloop

from bench import cluster, names, page, policies, policy_pods
from bench.apiserver.measure import measure as measure_apiserver
from bench.hollow.measure import measure as measure_hollow
from bench.measure import Result
from bench.preserving.measure import measure as measure_preserving
from bench.proxy import growth
from bench.proxy.measure import DEFAULT_SERVICES, measure
from bench.report import make_console, report


@click.command("bench")
def main() -> None:
    """Measure everything: clusters, the API server, the service proxy, keeping client addresses, names.

    Takes ten minutes on a quiet machine.
    """
    console = make_console()
    subjects: dict[str, list[Result]] = {}
    with console.status("starting a cluster a few times"), cluster.cluster() as up:
        subjects["A cluster"] = [up, *cluster.memory(), *uvloop.run(cluster.api())]
    with console.status("a cluster of many nodes"):
        subjects["A cluster"] += cluster.large()
    with console.status("the API server") as status:
        subjects["The API server"] = measure_apiserver(status.update)
    with console.status("hollow nodes") as status:
        subjects["A thousand hollow nodes"] = measure_hollow(status.update)
    with console.status("the service proxy") as status:
        subjects["The service proxy"] = measure(DEFAULT_SERVICES, "nftables", doing=status.update)
        points = growth.measure(status.update)
    with console.status("keeping client addresses"):
        subjects["Keeping client addresses"] = measure_preserving("nftables")
    with console.status("NetworkPolicies"):
        subjects["NetworkPolicies"] = [*policies.measure(), *policy_pods.measure()]
    with console.status("names"):
        subjects["Names"] = names.measure()
    with console.status("the page"):
        subjects["The page"] = page.measure()
    report(console, subjects, points)


if __name__ == "__main__":
    main()
