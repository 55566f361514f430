"""`wellhead trace-node`: the helper on a node that `wellhead trace --kubeconfig` speaks to."""

from __future__ import annotations

import socket
import sys

import click

from wellhead.trace.helper import Helper


@click.command("trace-node", short_help="Watch this machine's packets for `wellhead trace`.")
@click.option("--node", default=socket.gethostname, show_default="the host's name", help="The Node's name.")
def command(node: str) -> None:
    """Watch the packets of one request at a time on this machine, for a `wellhead trace` elsewhere.

    Requests come as lines of JSON on standard input, answers go to standard output; when the input ends,
    everything is taken away. Needs root, the host's network and process ids; `deploy/trace` runs it as a
    DaemonSet that `kubectl exec` reaches.
    """
    Helper(node).serve(sys.stdin.buffer, sys.stdout.buffer)
