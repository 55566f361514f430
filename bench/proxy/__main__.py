"""Measure the service proxy alone. `python -m bench.proxy --help`."""

from __future__ import annotations

import compileall
import os
import signal
from pathlib import Path
from types import FrameType

import click

import wellhead
from bench.proxy import growth, page
from bench.proxy.measure import DEFAULT_SERVICES, measure
from bench.report import make_console, report
from wellhead.proxy.mode import MODES, ProxyMode


def _numbers(_: click.Context, __: click.Parameter, text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(sorted({int(each) for each in text.split(",")}))
    except ValueError:
        raise click.BadParameter("numbers, with commas between them") from None
    if numbers[0] < 1:
        raise click.BadParameter("at least 1")
    return numbers


@click.command("bench.proxy")
@click.option(
    "--services",
    metavar="N,N,…",
    default=",".join(str(each) for each in DEFAULT_SERVICES),
    show_default=True,
    callback=_numbers,
    help="With how many Services.",
)
@click.option(
    "--mode", type=click.Choice(MODES), default="nftables", show_default=True, help="The proxy's mode."
)
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Another API server than wellhead's own. The Services are made there, in the namespace"
    " wellhead-bench, which is deleted at the end.",
)
@click.option("--growth/--no-growth", "grow", default=True, help="Also measure with 100 … 50,000 Services.")
@click.option(
    "--docs",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Where to write the results as a page, with plots.",
)
def main(
    services: tuple[int, ...], mode: ProxyMode, kubeconfig: Path | None, grow: bool, docs: Path | None
) -> None:
    """Measure the service proxy: first sync, changes, memory, connections."""
    signal.signal(signal.SIGTERM, _interrupt)
    _compile()
    console = make_console()
    with console.status("") as status:
        results = measure(services, mode, kubeconfig, status.update)
        points = growth.measure(status.update) if grow else []
    report(console, {"The service proxy": results}, points)
    if docs is not None and points:
        page.write(results, points, docs)
        console.print(f"and to {docs}")


def _compile() -> None:
    """Keep what Python compiles, as where a proxy is installed: to compile anew is a tenth of a start."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    compileall.compile_dir(Path(wellhead.__file__).parent, quiet=1)


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
