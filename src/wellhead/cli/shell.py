"""`wellhead shell`: a shell on a host."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import click

from wellhead.cli import hosts
from wellhead.cli.options import cluster_option
from wellhead.lab import guest, prerequisites
from wellhead.lab.cluster import Cluster, LabError
from wellhead.lab.topology import CLIENT

_RC = """\
[ -r ~/.bashrc ] && . ~/.bashrc
# What was set for this place counts, whatever the file above says.
PATH=$WELLHEAD_SHELL_PATH KUBECONFIG=$WELLHEAD_SHELL_KUBECONFIG
export PATH KUBECONFIG
PROMPT_COMMAND=
PS1='[{prompt}] \\w \\$ '
unset WELLHEAD_SHELL_PATH WELLHEAD_SHELL_KUBECONFIG
exec {descriptor}<&-
"""


@click.command("shell", short_help="Open a shell on a host: client, node-1, …")
@cluster_option
@click.argument("host", default=CLIENT, shell_complete=hosts.complete)
def command(name: str, host: str) -> None:
    """Open a shell on HOST (client, the default, edge, control-plane, cloud, node-1, …).

    It is $SHELL, or bash, in the host's network, with kubectl and a KUBECONFIG that works there, and with
    the files of this machine. Exits with the shell's status.
    """
    try:
        prerequisites.check_host()
        cluster = Cluster(name)
        machine = guest.find(cluster, host)
        variables = guest.environment(cluster, host, os.environ)
        prompt = host if name == "wellhead" else f"{host}.{name}"
        shell = _shell()
        if Path(shell).name != "bash":
            sys.exit(guest.run(machine, [shell], variables))
        variables["WELLHEAD_SHELL_PATH"] = variables["PATH"]
        variables["WELLHEAD_SHELL_KUBECONFIG"] = variables["KUBECONFIG"]
        readable, writable = os.pipe()
        os.write(writable, _RC.format(prompt=prompt, descriptor=readable).encode())
        os.close(writable)
        os.set_inheritable(readable, True)
        status = guest.run(machine, [shell, "--rcfile", f"/dev/fd/{readable}"], variables)
    except LabError as error:
        raise click.ClickException(str(error)) from None
    sys.exit(status)


def _shell() -> str:
    """The user's shell if it is there, else bash, else the one that is everywhere."""
    return shutil.which(os.environ.get("SHELL") or "bash") or shutil.which("bash") or "/bin/sh"
