"""Identities, verbs and resources, asked over the wire and held against upstream's rules.

The whole table is some 5,000 requests; within `make test` every fourth is made, of each identity others.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.hostile.rights import UPSTREAM, expected
from tests.integration.apiserver.cluster import Cluster, User, serve
from tests.integration.apiserver.objects import configmap, node, pod, service_account
from tests.integration.apiserver.pki import Pki
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import RESOURCES

WHOLE = bool(os.environ.get("HOSTILE"))
ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
PODS = "/api/v1/namespaces/default/pods"
CERTIFICATES = {
    "nobody": ("nobody",),
    "name-only": ("system:node:node-1",),
    "group-only": ("node-1", "system:nodes"),
    "nameless-node": ("system:node:", "system:nodes"),
    "node-1": ("system:node:node-1", "system:nodes"),
    "kube-scheduler": ("wellhead:scheduler",),
    "kube-proxy": ("system:kube-proxy", "wellhead.dev/node:node-1"),
    "kube-controller-manager": ("wellhead:controller-manager",),
    "node-network": ("system:node-network",),
    "cloud-controller-manager": ("system:cloud-controller-manager",),
    "admin": ("kubernetes-admin", "system:masters"),
}
# What node-1 has, and what it hasn't.
NAMES = {
    "nodes": ("node-1", "node-2"),
    "pods": ("on-node-1", "on-node-2"),
    "configmaps": ("used", "unused"),
    "secrets": ("used", "unused"),
    "serviceaccounts": ("used", "unused"),
    "leases": ("node-1", "node-2"),
}
NAMESPACES = {"leases": "kube-node-lease"}


@dataclass(frozen=True)
class Cell:
    """One request: the verb on a resource or `resource/subresource`, of the own object or another one."""

    resource: Resource
    subresource: str
    verb: str
    own: bool
    bodies: dict[tuple[str, str], Obj] = field(compare=False, repr=False)

    def __str__(self) -> str:
        what = self.resource.group_resource + (f"/{self.subresource}" if self.subresource else "")
        return f"{self.verb} {'own' if self.own else 'other'} {what}"

    @property
    def name(self) -> str:
        return NAMES.get(self.resource.plural, ("x", "x"))[0 if self.own else 1]

    @property
    def path(self) -> str:
        named = self.subresource or self.verb in ("get", "update", "patch", "delete")
        namespace = NAMESPACES.get(self.resource.plural, "default")
        return self.resource.path(namespace, self.name if named else None, self.subresource or None)

    @property
    def query(self) -> dict[str, str]:
        query = {"dryRun": "All"} if self.verb not in ("get", "list", "watch") else {}
        if self.verb in ("list", "watch") and self.own:
            of_pods = self.resource.plural == "pods"
            query["fieldSelector"] = "spec.nodeName=node-1" if of_pods else f"metadata.name={self.name}"
        if self.verb == "watch":
            query |= {"watch": "true", "resourceVersion": "none"}  # refused, if it comes to that
        return query

    @property
    def body(self) -> object:
        match self.verb:
            case "patch":
                return {}
            case "update":
                return self.bodies.get((self.resource.plural, self.name), {})
            case "create" if self.subresource == "token":
                pod = self.bodies["pods", "on-node-1" if self.own else "on-node-2"]["metadata"]
                bound = {"apiVersion": "v1", "kind": "Pod", "name": pod["name"], "uid": pod["uid"]}
                return {"spec": {"boundObjectRef": bound}}
            case "create":
                return {"metadata": {"name": self.name}}
        return None


def cells(bodies: dict[tuple[str, str], Obj]) -> Iterator[Cell]:
    for resource in RESOURCES:
        for subresource in ("", *sorted(resource.subresources)):
            verbs = resource.subresource(subresource).verbs if subresource else resource.verbs
            for verb, own in itertools.product(verbs, (True, False)):
                # By these, an own pod would be created that exists, and a node its own Node.
                if not (verb == "create" and resource.plural == "pods" and not subresource):
                    yield Cell(resource, subresource, verb, own, bodies)


@pytest.fixture(scope="module")
def everybody(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    pki = Pki(tmp_path_factory.mktemp("rights"))
    pki.issue("server", "kube-apiserver", server=True)
    for file, (user, *groups) in CERTIFICATES.items():
        pki.issue(file, user, *groups)
    return pki


@pytest.fixture
async def world(everybody: Pki, tmp_path: Path) -> AsyncIterator[Cluster]:
    """Two nodes, with a pod each; node-1's refers to what is called `used`."""
    async with serve(everybody, tmp_path) as cluster:
        admin = await cluster.user()
        for name in ("used", "unused"):
            await admin.create(ACCOUNTS, service_account(name))
            await admin.create("/api/v1/namespaces/default/configmaps", configmap(name))
            await admin.create("/api/v1/namespaces/default/secrets", {"metadata": {"name": name}})
        volumes: list[Obj] = [
            {"name": "a", "configMap": {"name": "used"}},
            {"name": "b", "secret": {"secretName": "used"}},
        ]
        for name, account, used in (("node-1", "used", volumes), ("node-2", "unused", [])):
            bare = node(name)
            del bare["status"]  # nobody is called
            await admin.create("/api/v1/nodes", bare)
            await admin.create(PODS, pod(f"on-{name}", serviceAccountName=account, volumes=used))
            body = {"metadata": {"name": f"on-{name}"}, "target": {"name": name}}
            await admin.create(f"{PODS}/on-{name}/binding", body)
            lease = {"metadata": {"name": name}, "spec": {"holderIdentity": name}}
            await admin.create("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", lease)
        yield cluster


async def existing(admin: User) -> dict[tuple[str, str], Obj]:
    found: dict[tuple[str, str], Obj] = {}
    for resource in RESOURCES:
        if resource.plural in NAMES and resource.group in ("", "coordination.k8s.io"):
            for name in NAMES[resource.plural]:
                namespace = NAMESPACES.get(resource.plural, "default")
                obj = await admin.get(resource.path(namespace, name))
                del obj["metadata"]["resourceVersion"]
                found[resource.plural, name] = obj
    return found


async def user_of(cluster: Cluster, admin: User, identity: str) -> User:
    if identity != "pod":
        return await cluster.user(identity)
    bound = {"kind": "Pod", "apiVersion": "v1", "name": "on-node-1"}
    answer = await admin.create(f"{ACCOUNTS}/used/token", {"spec": {"boundObjectRef": bound}})
    return await cluster.user(None, answer["status"]["token"])


_DEFECT = 599


async def code_of(user: User, cell: Cell) -> int:
    method = {"create": "POST", "update": "PUT", "patch": "PATCH"}.get(cell.verb, "GET")
    if cell.verb in ("delete", "deletecollection"):
        method = "DELETE"
    content_type = "application/merge-patch+json" if cell.verb == "patch" else "application/json"
    answer = await user.call(method, cell.path, cell.body, content_type=content_type, query=cell.query)
    # Some requests that are wrong are answered by upstream with a 500, too: those are no defects.
    return _DEFECT if answer.code == 500 and "the server's log says why" in str(answer.body) else answer.code


def chosen(identity: str, every: list[Cell]) -> list[Cell]:
    part = zlib.crc32(identity.encode())
    return every if WHOLE else [cell for number, cell in enumerate(every) if (number + part) % 4 == 0]


@pytest.mark.parametrize("identity", [*UPSTREAM, "anonymous", "admin"])
async def test_everybody_may_what_upstreams_rules_say(world: Cluster, identity: str) -> None:
    admin = await world.user()
    user = await world.user(None) if identity == "anonymous" else await user_of(world, admin, identity)
    asked = chosen(identity, list(cells(await existing(admin))))
    limit = asyncio.Semaphore(8)

    async def verdict(cell: Cell) -> str | None:
        async with limit:
            code = await code_of(user, cell)
        if identity == "anonymous":
            return None if code == 403 else f"{cell}: {code}"
        allowed = identity == "admin" or expected(
            identity, str(cell).rpartition(" ")[2], cell.verb, own=cell.own
        )
        if allowed == (code not in (401, 403)) and code != _DEFECT:
            return None
        return f"{cell}: {code}, and it should be {'allowed' if allowed else 'refused'}"

    wrong = [text for text in await asyncio.gather(*map(verdict, asked)) if text is not None]
    assert wrong == [], "\n".join(wrong)
