"""Any cluster under observation: by a helper on each node, to which `kubectl exec` leads.

`deploy/trace` has the helper's DaemonSet. What goes on between the nodes, and at balancers of others, isn't
seen.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from wellhead.api.meta import is_condition_true, labels
from wellhead.client.connection import load
from wellhead.client.kubeconfig import KubeconfigError
from wellhead.trace.api import TUNNELS, read
from wellhead.trace.names import Named, Owner, of_objects
from wellhead.trace.observer import CannotWatch
from wellhead.trace.places import HELPER, HELPER_LABEL, Place
from wellhead.trace.session import Session, close_all
from wellhead.trace.target import Objects
from wellhead.trace.token import Tokens
from wellhead.trace.watcher import Elsewhere, Here, Watcher, Watching

CLIENT = "client"
"""The machine on which the command runs, as a place to send from."""
_HELPER = ("wellhead", "trace-node")


def watch_nodes(kubeconfig: str | None) -> Session:
    """Watch every node that has a helper, and this machine's own network. Close the session when done.

    Raises:
        CannotWatch: there is no helper, no kubectl, or the API server doesn't answer.
    """
    try:
        connection = load(kubeconfig)
    except KubeconfigError as error:
        raise CannotWatch(str(error)) from None
    objects = read(connection)
    watching = Watching(tokens=Tokens(1), tunnel_ports=TUNNELS)
    watchers: list[Watcher] = []
    try:
        watchers.append(Here([Place(CLIENT, "/proc/self/ns/net")], watching))
        for node, command in helpers(objects, _kubectl(kubeconfig)):
            watchers.append(Elsewhere(node, (*command, "--node", node), watching))
    except BaseException:
        close_all(watchers)
        raise
    names = of_objects(objects.pods, objects.nodes, objects.services, {})
    for watcher in watchers:
        for place in watcher.places:
            if not place.pod:
                owner = Owner.CLIENT if place.name == CLIENT else Owner.NODE
                names.add(Named(owner, place.name, place.node), watcher.addresses(place.name))
    return Session(watchers, watching, objects, names)


def helpers(objects: Objects, kubectl: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """(node, the command that speaks to its helper), of each node that has one. Raises CannotWatch: none
    has.
    """
    found: dict[str, tuple[str, ...]] = {}
    for pod in objects.pods:
        if labels(pod).get(HELPER_LABEL) == HELPER and is_condition_true(pod, "Ready"):
            metadata = pod["metadata"]
            target = ("-n", metadata["namespace"], metadata["name"])
            found[pod["spec"]["nodeName"]] = (*kubectl, "exec", "-i", *target, "--", *_HELPER)
    if not found:
        raise CannotWatch(
            f"no pod labelled {HELPER_LABEL}={HELPER} is Ready: packets are watched by a privileged helper "
            "on each node, see deploy/trace; `wellhead explain` predicts without it"
        )
    return sorted(found.items())


def _kubectl(kubeconfig: str | None) -> tuple[str, ...]:
    beside = Path(sys.executable).with_name("kubectl")
    program = str(beside) if beside.exists() else shutil.which("kubectl")
    if program is None:
        raise CannotWatch("kubectl is needed to reach the helpers, and isn't in PATH")
    return (program, "--kubeconfig", kubeconfig) if kubeconfig else (program,)
