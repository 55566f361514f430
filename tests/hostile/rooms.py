"""Requests about kinds that have rules of their own: certificates, custom kinds, schedules, volumes."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.hostile.corpus import Hostile
from tests.hostile.server import request
from wellhead.api.meta import Obj

_REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_CRONJOBS = "/apis/batch/v1/namespaces/default/cronjobs"
_VOLUMES = "/api/v1/persistentvolumes"
_MERGE_PATCH = "application/merge-patch+json"
_REFUSED = (400, 413, 422)


def certificates() -> Iterator[Hostile]:
    key = ec.generate_private_key(ec.SECP256R1())
    made = x509.CertificateSigningRequestBuilder(x509.Name([])).sign(key, hashes.SHA256())
    whole = made.public_bytes(serialization.Encoding.PEM)

    def asked(name: str, text: bytes, *codes: int, **more: object) -> Hostile:
        spec = {
            "request": base64.b64encode(text).decode(),
            "signerName": "example.com/signer",
            "usages": ["client auth"],
            **more,
        }
        body = {"metadata": {"name": name}, "spec": spec}
        return Hostile(f"certificates: {name}", request("POST", _REQUESTS, body), codes or _REFUSED)

    head = b"-----BEGIN CERTIFICATE REQUEST-----\n"
    yield asked("usages", whole, usages=["client auth"] * 40_000)
    yield asked("unknown-usages", whole, usages=[f"u{number}" for number in range(1000)])
    yield asked("heads", head * 50_000)
    yield asked("dashes", b"-" * 1_000_000)
    yield asked("letters", head + b"A" * 1_000_000 + b"\n-----END CERTIFICATE REQUEST-----\n")
    yield asked("many", whole * 2000, 201, *_REFUSED)
    yield asked("one", whole, 201)
    for kinds in ("Approved", "Failed", "x"):
        conditions = [{"type": kinds, "status": "True"} for _ in range(12_000)]
        body = {"status": {"conditions": conditions}}
        patch = request("PATCH", f"{_REQUESTS}/one/approval", body, _MERGE_PATCH)
        yield Hostile(f"certificates: conditions {kinds}", patch, _REFUSED)


def definitions() -> Iterator[Hostile]:
    def defined(name: str, schema: Obj, *codes: int) -> Hostile:
        top = {"type": "object", "properties": {"spec": schema}}
        version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": top}}
        spec = {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": name, "kind": name.capitalize()},
            "versions": [version],
        }
        body = {"metadata": {"name": f"{name}.example.com"}, "spec": spec}
        return Hostile(f"definitions: {name}", request("POST", _DEFINITIONS, body), codes or _REFUSED)

    def items(keys: list[str], names: list[str]) -> Obj:
        of = {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": names}
        kind = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys}
        return {"type": "array", "items": of, **kind}

    names = [f"k{number}" for number in range(10_000)]
    yield defined("keys", items(names, ["a"]))
    yield defined("repeated", items(["a"] * 40_000, ["a"]))
    yield defined("known", items(names, names), 201)
    wide = {name: {"type": "string"} for name in names}
    rule = [{"rule": "has(self.k1)"}]
    yield defined("wide", {"type": "object", "properties": wide, "x-kubernetes-validations": rule})
    yield defined("lists", {"type": "object", "properties": {"b": items(["a"], ["a", "v"])}}, 201)
    objects = "/apis/example.com/v1/namespaces/default/lists"
    rows = [{"a": f"k{number}", "v": "x"} for number in range(12_000)]
    body = {"apiVersion": "example.com/v1", "kind": "Lists", "metadata": {"name": "a"}, "spec": {"b": rows}}
    yield Hostile("definitions: a long list", request("POST", objects, body), (201,))
    other = {"spec": {"b": [row | {"v": "y"} for row in reversed(rows)]}}
    turned = request("PATCH", f"{objects}/a", other, _MERGE_PATCH)
    yield Hostile("definitions: the list turned round", turned, (200,))
    default: Obj = {"type": "string", "default": "x"}
    for _ in range(12):
        default = {"type": "object", "default": {}, "properties": {"a": default, "b": default}}
    yield defined("defaults", default, 201, *_REFUSED)


def schedules() -> Iterator[Hostile]:
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}
    for schedule in (
        "0-59/1," * 20_000 + "0 * * * *",
        "@every " + "9" * 100_000 + "h",
        "TZ=" + "../" * 10_000 + "x * * * * *",
        "* " * 100_000,
    ):
        spec = {"schedule": schedule, "jobTemplate": {"spec": {"template": {"spec": pod}}}}
        body = {"metadata": {"generateName": "s"}, "spec": spec}
        yield Hostile(f"a schedule: {schedule[:9]}", request("POST", _CRONJOBS, body), (201, *_REFUSED))


def volumes() -> Iterator[Hostile]:
    required = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}
    for path in ("/..", "/a/../b", "..", "/a/" * 100_000 + ".."):
        for kind in ("hostPath", "local"):
            spec = {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                kind: {"path": path},
                "nodeAffinity": {"required": required},
            }
            body = {"metadata": {"generateName": "v"}, "spec": spec}
            yield Hostile(f"a volume: {kind} {path[:9]}", request("POST", _VOLUMES, body), (422,))


ROOMS = (certificates, definitions, schedules, volumes)
