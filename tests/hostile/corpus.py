"""Requests that mean harm, by name. Each has been, or might be, too much for some server."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator
from typing import NamedTuple

from tests.hostile.server import request
from wellhead.api.meta import Obj

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
SERVICES = "/api/v1/namespaces/default/services"
SECRETS = "/api/v1/namespaces/default/secrets"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
NODES = "/api/v1/nodes"
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
_MOST = 3 * 1024 * 1024
_YAML = "application/yaml"
_PROTOBUF = "application/vnd.kubernetes.protobuf"
_JSON_PATCH = "application/json-patch+json"
_MERGE_PATCH = "application/merge-patch+json"
_STRATEGIC = "application/strategic-merge-patch+json"


class Hostile(NamedTuple):
    name: str
    request: bytes
    codes: tuple[int, ...]
    """What may be answered."""
    seconds: float = 1.0
    """Of the server's work, at most."""


def before() -> list[bytes]:
    """What is to be there when the hostile ones come."""
    account = {"metadata": {"name": "default"}}
    return [
        request("POST", "/api/v1/namespaces/default/serviceaccounts", account),
        request("POST", CONFIGMAPS, {"metadata": {"name": "a"}, "data": {"x": "y" * 1000}}),
        request("POST", CONFIGMAPS, {"metadata": {"name": "big"}, "data": texts(20_000)}),
        request("POST", PODS, pod("a")),
        request("POST", PODS, pod("many", env=[{"name": f"E{n}", "value": "v"} for n in range(8_000)])),
        request("POST", NODES, {"metadata": {"name": "n"}}),
        request("PATCH", f"{NODES}/n/status", {"status": {"images": _images(8_000)}}, _MERGE_PATCH),
    ]


def pod(name: str, **container: object) -> Obj:
    return {
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "i", **container}]},
    }


def _laughs(letters: bytes, width: int) -> bytes:
    lines = [b"a: &a [%b]\n" % b",".join([b"x"] * width)]
    lines += [b"%c: &%c [%b]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * width)) for c in letters]
    return b"".join(lines)


def yaml() -> Iterator[Hostile]:
    for name, text in (
        ("anchors of anchors", _laughs(b"bcdefghij", 9)),
        (
            "merges of merges",
            b"a: &a {x: 1}\n"
            + b"".join(
                b"%c: &%c {<<: [*%c,*%c]}\n" % (c, c, c - 1, c - 1) for c in b"bcdefghijklmnopqrstuvw"
            ),
        ),
        ("a long list", b"a: [" + b"a," * (_MOST // 2 - 10) + b"]"),
        ("a long block", b"".join(b"- a\n" for _ in range(_MOST // 4))),
        ("keys", b"".join(b"k%d: v\n" % n for n in range(_MOST // 13))),
        ("one key again and again", b"k: v\n" * (_MOST // 5)),
        ("nesting", b"[" * _MOST),
        ("nested blocks", b"- " * (_MOST // 2)),
        ("questions", b"? " * (_MOST // 2)),
        ("a long string", b"data: {a: " + b"x" * (_MOST - 20) + b"}"),
        ("a long string again and again", b"a: &a " + b"x" * 1_000_000 + b"\nb: [" + b"*a," * 100_000 + b"]"),
        ("escapes", b'data: {a: "' + b"\\u00e9" * (_MOST // 6 - 10) + b'"}'),
        ("comments", b"#\n" * (_MOST // 2)),
        ("digits", b"data: {a: " + b"9" * 1_000_000 + b"}"),
        ("a tag of Python's", b"!!python/object/apply:os.system [true]"),
        ("itself", b"a: &a [*a]"),
        ("bytes", bytes(range(256)) * 4000),
    ):
        yield Hostile(f"YAML: {name}", request("POST", CONFIGMAPS, text, _YAML), (400, 413, 422))


def json() -> Iterator[Hostile]:
    for name, text in (
        ("empty maps", b"[" + b"{}," * (_MOST // 3 - 2) + b"{}]"),
        ("empty lists", b"[" + b"[]," * (_MOST // 3 - 2) + b"[]]"),
        ("numbers", b"[" + b"1," * (_MOST // 2 - 2) + b"1]"),
        ("strings", b'["' + b'ab","' * (_MOST // 5 - 3) + b'"]'),
        ("quotes", b'"' * _MOST),
        ("escaped quotes", b'{"a":"' + b'\\"' * (_MOST // 2 - 10) + b'"}'),
        ("backslashes", b'{"a":"' + b"\\" * (_MOST - 10) + b'"}'),
        ("nesting", b"[" * _MOST),
        ("nested maps", b'{"a":' * 500_000),
        ("nesting that is closed", b"[" * 40_000 + b"]" * 40_000),
        ("one key again and again", b'{"a":1' + b',"a":1' * 49_000 + b"}"),
        ("one field again and again", b'{"kind":"ConfigMap"' + b',"kind":"ConfigMap"' * 49_000 + b"}"),
        ("digits", b'{"a":' + b"9" * (_MOST - 10) + b"}"),
        ("half a pair", b'{"metadata":{"name":"\\ud800"}}'),
        ("no number", b'{"a":NaN}'),
        ("too large a body", b" " * (_MOST + 1)),
        ("blanks", b" " * _MOST),
        ("nothing", b""),
        ("a NUL", b"\0"),
    ):
        yield Hostile(f"JSON: {name}", request("POST", CONFIGMAPS, text), (400, 413, 422))
    bomb = gzip.compress(gzip.compress(b"\0" * 100_000_000))
    for encoding in ("gzip", "deflate", "br", "zstd", "gzip, gzip", "x"):
        header = f"Content-Encoding: {encoding}"
        packed = request("POST", CONFIGMAPS, bomb, "application/json", header)
        yield Hostile(f"a body in {encoding}", packed, (415,))


def texts(count: int) -> dict[str, str]:
    return {f"k{number}": "v" for number in range(count)}


def _images(count: int) -> list[Obj]:
    return [{"names": [f"i{number}"], "sizeBytes": 1} for number in range(count)]


def objects() -> Iterator[Hostile]:
    def created(name: str, path: str, body: Obj, *codes: int) -> Hostile:
        return Hostile(f"an object: {name}", request("POST", path, body), codes or (400, 413, 422))

    meta: Obj = {"name": "h"}
    bad = {f"-{number}-": "-" for number in range(24_000)}
    yield created("labels", CONFIGMAPS, {"metadata": {**meta, "labels": texts(60_000)}})
    yield created(
        "labels, as many as may be", CONFIGMAPS, {"metadata": {"name": "l", "labels": texts(24_000)}}, 201
    )
    yield created("labels that are none", CONFIGMAPS, {"metadata": {**meta, "labels": bad}})
    yield created("annotations that are none", CONFIGMAPS, {"metadata": {**meta, "annotations": bad}})
    yield created("annotations", CONFIGMAPS, {"metadata": {**meta, "annotations": {"a": "x" * 300_000}}})
    yield created("finalizers", CONFIGMAPS, {"metadata": {**meta, "finalizers": list(bad)}})
    yield created("unknown fields", CONFIGMAPS, {"metadata": {"name": "u"}, **texts(24_000)}, 201)
    yield created(
        "unknown fields in every container",
        PODS,
        {"metadata": meta, "spec": {"containers": [{"name": "c", "x": n} for n in range(12_000)]}},
    )
    yield created(
        "keys that are none", CONFIGMAPS, {"metadata": meta, "data": {f"/{n}": "" for n in range(24_000)}}
    )
    yield created("a long name", CONFIGMAPS, {"metadata": {"name": "a" * 1_000_000}})
    yield created("a name of another", f"{PODS}/a/binding", {"metadata": {"name": "x" * 1_000_000}})
    yield created("a long kind", CONFIGMAPS, {"kind": "x" * 1_000_000, "metadata": meta})
    yield created("a large object", PODS, pod("h", args=["x" * 1_700_000]))
    yield created("base64", SECRETS, {"metadata": meta, "data": {"a": "A" * 2_000_000}})
    yield created("base64 that isn't", SECRETS, {"metadata": meta, "data": {"a": "A" * 2_000_000 + "!"}})
    for amount in (
        "9" * 1_000_000,
        "1e999999999",
        "1e-999999999",
        "1E99999999999999999999",
        "0." + "0" * 1_000_000 + "1",
        "+-1",
    ):
        yield created("an amount", PODS, pod("h", resources={"limits": {"cpu": amount}}))
    yield created(
        "a share",
        "/apis/apps/v1/namespaces/default/deployments",
        {
            "metadata": meta,
            "spec": {
                "selector": {"matchLabels": {"a": "a"}},
                "strategy": {
                    "rollingUpdate": {
                        "maxSurge": "9" * 1_000_000 + "%",
                        "maxUnavailable": "9" * 1_000_000 + "%",
                    }
                },
                "template": {"metadata": {"labels": {"a": "a"}}, "spec": pod("h")["spec"]},
            },
        },
    )
    yield created(
        "containers",
        PODS,
        {"metadata": meta, "spec": {"containers": [{"name": f"c{n}"} for n in range(16_000)]}},
    )
    yield created(
        "tolerations",
        PODS,
        {
            "metadata": {"name": "t"},
            "spec": {
                **pod("t")["spec"],
                "tolerations": [{"key": f"k{n}", "operator": "Exists"} for n in range(12_000)],
            },
        },
        201,
    )
    yield created(
        "ports",
        SERVICES,
        {"metadata": meta, "spec": {"ports": [{"port": 1 + n, "name": f"p{n}"} for n in range(16_000)]}},
        201,
    )
    yield created(
        "addresses",
        SERVICES,
        {
            "metadata": {"name": "i"},
            "spec": {
                "ports": [{"port": 1}],
                "clusterIPs": [f"10.0.{n // 250}.{n % 250}" for n in range(24_000)],
            },
        },
    )
    yield created(
        "external addresses",
        SERVICES,
        {
            "metadata": {"name": "e"},
            "spec": {
                "ports": [{"port": 1}],
                "externalIPs": [f"192.0.{n // 250}.{n % 250}" for n in range(24_000)],
            },
        },
        201,
    )
    yield created(
        "source ranges in an annotation",
        SERVICES,
        {
            "metadata": {
                "name": "s",
                "annotations": {"service.beta.kubernetes.io/load-balancer-source-ranges": "x," * 100_000},
            },
            "spec": {"type": "LoadBalancer", "ports": [{"port": 1}]},
        },
    )
    yield created(
        "endpoints",
        SLICES,
        {
            "metadata": meta,
            "addressType": "IPv4",
            "endpoints": [{"addresses": [f"10.0.0.{n % 250}"] * 10} for n in range(1000)],
        },
        201,
    )
    yield created(
        "networks of a node",
        NODES,
        {"metadata": meta, "spec": {"podCIDRs": [f"10.{n // 250}.{n % 250}.0/24" for n in range(24_000)]}},
    )
    yield created("a token", REVIEWS, {"spec": {"token": "a." * 500_000}}, 201)
    yield created(
        "a token of three parts",
        REVIEWS,
        {"spec": {"token": ".".join([base64.b64encode(b"[" * 300_000).decode()] * 3)}},
        201,
    )
    yield created("a time", CONFIGMAPS, {"metadata": {**meta, "creationTimestamp": "9" * 1_000_000}})


def patches() -> Iterator[Hostile]:
    def patched(name: str, path: str, kind: str, body: object, *codes: int) -> Hostile:
        return Hostile(f"a patch: {name}", request("PATCH", path, body, kind), codes or (400, 413, 422))

    pod_a, many, map_a = f"{PODS}/a", f"{PODS}/many", f"{CONFIGMAPS}/a"
    doubling = [{"op": "copy", "from": "/data", "path": f"/data/{n}"} for n in range(40)]
    yield patched("copies of copies", map_a, _JSON_PATCH, doubling)
    yield patched(
        "copies into a list",
        many,
        _JSON_PATCH,
        [{"op": "copy", "from": "/spec/containers", "path": "/spec/containers/-"}] * 100,
    )
    yield patched(
        "10,000 copies", many, _JSON_PATCH, [{"op": "copy", "from": "/spec", "path": "/x"}] * 10_000
    )
    yield patched(
        "too many operations",
        map_a,
        _JSON_PATCH,
        [{"op": "test", "path": "/kind", "value": "ConfigMap"}] * 10_001,
    )
    insert = {"op": "add", "path": "/spec/containers/0/env/0", "value": {}}
    yield patched("insertions at the front", many, _JSON_PATCH, [insert] * 10_000)
    yield patched(
        "tests of all", f"{CONFIGMAPS}/big", _JSON_PATCH, [{"op": "test", "path": "", "value": {}}] * 10_000
    )
    yield patched("a long pointer", map_a, _JSON_PATCH, [{"op": "add", "path": "/a" * 1_000_000, "value": 1}])
    yield patched(
        "a long index", many, _JSON_PATCH, [{"op": "remove", "path": "/spec/containers/" + "9" * 1_000_000}]
    )
    deeper = [
        {"op": "add", "path": "/y", "value": {}},
        {"op": "move", "from": "/x", "path": "/y/x"},
        {"op": "move", "from": "/y", "path": "/x"},
    ]
    yield patched("nesting", map_a, _JSON_PATCH, [{"op": "add", "path": "/x", "value": {}}, *deeper * 3000])
    deep: Obj = {}
    for _ in range(90):
        deep = {"a": deep}
    yield patched("a deep merge", map_a, _MERGE_PATCH, {"metadata": {"annotations": deep}})
    yield patched("a wide merge", map_a, _MERGE_PATCH, {"data": texts(24_000)}, 200)
    yield patched("a merge that grows", map_a, _MERGE_PATCH, {"data": {"z": "x" * 2_900_000}})
    entries = [{"name": f"E{n}", "value": "w"} for n in reversed(range(12_000))]
    yield patched(
        "a merge of long lists", many, _STRATEGIC, {"spec": {"containers": [{"name": "c", "env": entries}]}}
    )
    yield patched(
        "deletions from a long list",
        many,
        _STRATEGIC,
        {
            "spec": {
                "containers": [{"name": "c", "env": [{**entry, "$patch": "delete"} for entry in entries]}]
            }
        },
    )
    yield patched(
        "the order of a long list",
        many,
        _STRATEGIC,
        {
            "spec": {
                "containers": [
                    {
                        "name": "c",
                        "$setElementOrder/env": [{"name": f"E{n}"} for n in reversed(range(20_000))],
                    }
                ]
            }
        },
        200,
        422,
    )
    yield patched(
        "values out of a list",
        pod_a,
        _STRATEGIC,
        {"metadata": {"$deleteFromPrimitiveList/finalizers": [f"a/{n}" for n in range(40_000)]}},
        200,
    )
    yield patched(
        "images of a node", f"{NODES}/n/status", _STRATEGIC, {"status": {"images": _images(10_000)}}, 200, 413
    )


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def _message(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def protobuf() -> Iterator[Hostile]:
    def body(kind: str, raw: bytes) -> bytes:
        return b"k8s\0" + _message(1, _message(1, b"v1") + _message(2, kind.encode())) + _message(2, raw)

    deep = b""
    for _ in range(5000):
        deep = _message(1, deep)
    for name, data in (
        ("empty fields", body("ConfigMap", b"\x12\x00" * 1_500_000)),
        ("unknown fields", body("ConfigMap", b"\xfa\x07\x00" * 1_000_000)),
        ("containers", body("Pod", _message(2, b"\x12\x00" * 1_400_000))),
        ("nesting", body("Pod", deep)),
        (
            "managed fields of deep JSON",
            body("ConfigMap", _message(1, _message(17, _message(7, _message(1, b"[" * 100_000))))),
        ),
        ("a length that lies", body("ConfigMap", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f")),
        ("an endless number", body("ConfigMap", b"\xff" * 100)),
        ("a long kind", body("x" * 1_000_000, b"")),
        ("a time", body("ConfigMap", _message(1, _message(8, b"\x08" + b"\xff" * 8 + b"\x7f")))),
        ("bytes", b"k8s\0" + bytes(range(256)) * 1000),
    ):
        yield Hostile(f"Protobuf: {name}", request("POST", CONFIGMAPS, data, _PROTOBUF), (400, 413, 422))


def queries() -> Iterator[Hostile]:
    for name, query, codes in (
        ("blanks", "labelSelector=" + "%20" * 2600, (200,)),
        ("commas", "labelSelector=" + "," * 7000, (400,)),
        ("conditions", "labelSelector=" + "!a," * 2600, (400,)),
        ("values", "labelSelector=a%20in%20(" + "b," * 3800 + "b)", (200,)),
        ("brackets", "labelSelector=a%20in%20" + "(" * 7000, (400,)),
        ("a long key", "labelSelector=" + "a" * 7900, (400,)),
        ("a long value", "labelSelector=a=" + "-" * 7900, (400,)),
        ("backslashes", "fieldSelector=metadata.name=" + "%5C" * 2500, (200, 400)),
        ("terms", "fieldSelector=" + "metadata.name!=a," * 400, (400,)),
        ("parameters", "&".join(f"a{n}=b" for n in range(900)), (200,)),
        ("ampersands", "&" * 7900, (200,)),
        ("a deep token", "continue=" + base64.b64encode(b'{"a":' + b"[" * 5000).decode(), (400,)),
        ("percents", "%" * 7900, (200,)),
        ("a long line", "a" * 100_000, (400, 0)),
        ("digits", "limit=" + "9" * 7900, (400,)),
    ):
        yield Hostile(f"a query: {name}", request("GET", f"{CONFIGMAPS}?{query}"), codes)
    for name, header, codes in (
        ("commas", "Accept: " + "," * 8000, (200,)),
        ("semicolons", "Accept: application/json" + ";" * 8000, (200,)),
        ("types", "Accept: " + "a/b;q=0.5," * 800, (406,)),
        ("a long header", "X: " + "a" * 100_000, (400, 0)),
        ("many headers", "\r\n".join(f"X-{n}: a" for n in range(5000)), (400, 0)),
        ("a token", "Authorization: Bearer " + "a." * 4000, (200, 401)),
    ):
        yield Hostile(f"headers: {name}", request("GET", CONFIGMAPS, None, "", header), codes)


def answers() -> Iterator[Hostile]:
    table = "Accept: application/json;as=Table;g=meta.k8s.io;v=v1"
    yield Hostile(
        "an answer: YAML of much", request("GET", CONFIGMAPS, None, "", "Accept: application/yaml"), (200,)
    )
    yield Hostile(
        "an answer: YAML of one",
        request("GET", f"{CONFIGMAPS}/big", None, "", "Accept: application/yaml"),
        (200,),
    )
    yield Hostile(
        "an answer: a table", request("GET", f"{NODES}?includeObject=Object", None, "", table), (200,)
    )
    yield Hostile("an answer: pretty", request("GET", f"{CONFIGMAPS}?pretty=1"), (200,))
    yield Hostile("an answer: everything deleted", request("DELETE", CONFIGMAPS), (200,))


CORPUS = (yaml, json, objects, patches, protobuf, queries, answers)
"""By what they attack; made when they are needed, since together they are large. `answers` is the last."""
