"""Whatever reads what others wrote: a value, or the error that it is documented to raise, in little time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.effort import MUCH, fuzzing
from wellhead.api import schema
from wellhead.api.documents import read_json, read_yaml
from wellhead.api.duration import Duration
from wellhead.api.errors import ApiError
from wellhead.api.formats import cidr, dns_subdomain, label_value, parse_ip, port_name, qualified_name
from wellhead.api.limits import DEFAULTS
from wellhead.api.meta import GroupVersionKind
from wellhead.api.quantity import Quantity
from wellhead.api.resources import PODS
from wellhead.api.selectors import FieldSelector, LabelSelector
from wellhead.apiserver.info import request_info
from wellhead.apiserver.negotiation import object_format
from wellhead.apiserver.protobuf.decoding import decode_protobuf
from wellhead.apiserver.revisions import decode_continue
from wellhead.client.connection import load
from wellhead.cloud.haproxy.commands import parse_processes
from wellhead.cloud.plane import PlaneError
from wellhead.images.reference import normalize
from wellhead.images.store import MANIFEST, ImageStore
from wellhead.linux.netlink import parse_list, split
from wellhead.node.server import log_files, spdy
from wellhead.proxy.configuration.load import ConfigurationError, from_file
from wellhead.proxy.symmetric_return import announcement
from wellhead.services.endpointslice import parse_endpoint_slice
from wellhead.services.node import parse_node
from wellhead.services.service import parse_service

_MOST_SECONDS = 1.0
_GVK = GroupVersionKind("", "v1", "DeleteOptions")


@dataclass(frozen=True)
class Parser:
    """Something that reads, what it may raise, and what its input is made of."""

    name: str
    read: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]
    words: tuple[str, ...]
    """Its language: random inputs are made of these, and of bytes."""


def _text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: read(data.decode(errors="replace"))


def _file(read: Callable[[Path], object]) -> Callable[[bytes], object]:
    def written(data: bytes) -> object:
        path = Path(_directory, "file")
        path.write_bytes(data)
        return read(path)

    return written


_directory = ""


@pytest.fixture(autouse=True, scope="module")
def _somewhere(tmp_path_factory: pytest.TempPathFactory) -> None:
    global _directory
    _directory = str(tmp_path_factory.mktemp("files"))


def _netlink(data: bytes) -> object:
    return [list(parse_list(message.body)) for message in split(memoryview(data))]


_JSON_WORDS = ("{", "}", "[", "]", ":", ",", '"', "\\", "a", "1", "null", "true", '"a":', "1e9", "\\ud800")
_YAML_WORDS = (
    *_JSON_WORDS,
    "\n",
    "\n  ",
    "- ",
    "? ",
    ": ",
    "&a ",
    "*a",
    "<<: *a",
    "!!str ",
    "|\n",
    "#",
    "%",
    "---\n",
    "~",
)
_SELECTOR_WORDS = (
    "a",
    "=",
    "==",
    "!=",
    "!",
    ",",
    " in ",
    " notin ",
    "(",
    ")",
    ">",
    "<",
    "1",
    "²",
    "\\",
    " ",
    "a/b",
)
_QUANTITY_WORDS = ("1", "0", ".", "e", "E", "+", "-", "m", "Ki", "i", "999999999", "٣", "_")
_DURATION_WORDS = ("1", ".", "s", "m", "h", "ms", "µs", "-", "+", " ", "e", "9" * 400)
_KUBECONFIG = (
    "clusters: [{name: c, cluster: {server: 'https://a'}}]\nusers: [{name: u, user: {token: t}}]\n",
    "contexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n",
    "kind: Config\n",
    *_YAML_WORDS,
)
_PROXY = (
    "apiVersion: kubeproxy.config.k8s.io/v1alpha1\n",
    "kind: KubeProxyConfiguration\n",
    "mode: nftables\n",
    "iptables: {syncPeriod: 1s}\n",
    *_YAML_WORDS,
)
_ANNOUNCEMENT = (
    '{"version":1,',
    '"links":{',
    '"10.0.0.1":"02:00:00:00:00:01"',
    "}",
    '"tunnel":',
    "null",
    *_JSON_WORDS,
)


def _manifest(data: bytes) -> object:
    directory = Path(_directory, "a")
    directory.mkdir(exist_ok=True)
    (directory / MANIFEST).write_bytes(data)
    return ImageStore(Path(_directory)).images()


def _proto(data: bytes) -> object:
    return decode_protobuf(b"k8s\0" + data)


def _spdy(data: bytes) -> object:
    return list(spdy.Decoder().feed(data))


PARSERS = (
    Parser("bodies in JSON", lambda data: read_json(data, DEFAULTS), (ApiError,), _JSON_WORDS),
    Parser("bodies in YAML", lambda data: read_yaml(data, DEFAULTS), (ApiError,), _YAML_WORDS),
    Parser(
        "bodies in Protobuf", _proto, (ApiError,), ("\n", "\x02v1", "\x12", "\x03Pod", "\x08", "\x7f", "\x80")
    ),
    Parser(
        "objects",
        lambda data: schema.decode(read_json(data, DEFAULTS).value, PODS.gvk),
        (ApiError,),
        ('{"spec":{"containers":[', '{"name":', *_JSON_WORDS),
    ),
    Parser("label selectors", _text(LabelSelector.parse), (ApiError,), _SELECTOR_WORDS),
    Parser("field selectors", _text(FieldSelector.parse), (ApiError,), _SELECTOR_WORDS),
    Parser("continue tokens", _text(decode_continue), (ApiError,), ("ey", "J2", "=", "-", "_", "²")),
    Parser(
        "Accept headers",
        _text(object_format),
        (ApiError,),
        ("application/json", "*/*", ";", ",", "q=", "as=Table", "g=", "v=v1", "nan", "1", '"'),
    ),
    Parser(
        "paths",
        _text(lambda text: request_info("GET", text, {})),
        (ApiError,),
        ("/api", "/apis", "/v1", "/", "namespaces", "pods", "%2f", "%", "%00", ".."),
    ),
    Parser("quantities", _text(Quantity.parse), (ValueError,), _QUANTITY_WORDS),
    Parser("addresses", _text(parse_ip), (), ("1", ".", ":", "::", "ffff", "%", "/", "٣", "0")),
    Parser("networks", _text(cidr), (), ("1", ".", ":", "::", "/", "24", "٣")),
    Parser(
        "names",
        _text(
            lambda text: [check(text) for check in (dns_subdomain, label_value, port_name, qualified_name)]
        ),
        (),
        ("a", "-", ".", "/", "A", "_", "\n"),
    ),
    Parser("durations", _text(Duration.parse), (ValueError,), _DURATION_WORDS),
    Parser("kube-proxy's configuration", _file(from_file), (ConfigurationError,), _PROXY),
    Parser("kubeconfigs", _file(lambda path: load(str(path))), (ValueError, OSError), _KUBECONFIG),
    Parser(
        "images' manifests",
        _manifest,
        (),
        ('{"id":"sha256:a",', '"names":["a"],', '"config":{', "}", *_JSON_WORDS),
    ),
    Parser("image names", _text(normalize), (), ("a", "/", ":", "@", ".", "localhost", "sha256")),
    Parser("announcements in annotations", _text(announcement.parse), (), _ANNOUNCEMENT),
    Parser("netlink", _netlink, (), ("\x10\x00\x00\x00", "\x08\x00", "\x01\x00", "\x00\x00", "\xff\xff")),
    Parser(
        "HAProxy's processes",
        _text(parse_processes),
        (PlaneError,),
        ("1 ", "master ", "worker ", "0 ", "\n", "[x] ", "9" * 30),
    ),
    Parser(
        "SPDY frames", _spdy, (spdy.ProtocolError,), ("\x80\x03\x00\x01", "\x00\x00\x00\x0a", "\x00", "\xff")
    ),
    Parser("log lines", log_files.parse, (), ("2026-01-01T00:00:00Z ", "stdout ", "F ", "P ", " ", "\n")),
)


@st.composite
def _inputs(draw: st.DrawFn, words: tuple[str, ...]) -> bytes:
    """Words of the language in any order, bytes among them; or one word very often."""
    latin = [
        word.encode("latin-1" if word.isascii() or max(word) < "\x00ff" else "utf-8", "replace")
        for word in words
    ]
    word = st.sampled_from(latin)
    if draw(st.integers(0, 19)) == 0:  # something that could be right, and then something deep
        return b"".join(draw(st.lists(word, max_size=8))) + draw(word) * (5000 if MUCH else 400)
    if draw(st.integers(0, 9)) == 0:
        return draw(word) * draw(st.sampled_from([100, 20_000 if MUCH else 400])) + draw(word)
    return b"".join(draw(st.lists(word | st.binary(max_size=3), max_size=40)))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
@settings(fuzzing, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_anything_is_read_or_refused(parser: Parser, data: st.DataObject) -> None:
    text = data.draw(_inputs(parser.words))
    begun = time.process_time()
    try:
        parser.read(text)
    except parser.errors as error:
        str(error).encode()
        if isinstance(error, ApiError) and error.code >= 500:
            raise
    assert time.process_time() - begun < _MOST_SECONDS


_READERS = (parse_service, parse_endpoint_slice, parse_node)


@pytest.mark.parametrize("read", _READERS, ids=lambda read: read.__name__)
@settings(fuzzing, suppress_health_check=list(HealthCheck))
@given(
    annotations=st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=3),
    texts=st.lists(st.text(max_size=12), min_size=6, max_size=6),
)
def test_objects_of_the_api_are_read_whatever_their_texts_are(
    read: Callable[[dict[str, object]], object], annotations: dict[str, str], texts: list[str]
) -> None:
    metadata = {
        "name": "a",
        "namespace": "b",
        "annotations": annotations,
        "labels": dict(zip(texts, texts, strict=True)),
    }
    obj: dict[str, object] = {
        "metadata": metadata,
        "spec": {
            "type": texts[0],
            "clusterIP": texts[1],
            "ports": [{"port": 1, "name": texts[2]}],
            "podCIDR": texts[3],
        },
        "status": {"addresses": [{"type": texts[4], "address": texts[5]}]},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [texts[1]], "nodeName": texts[2], "zone": texts[3]}],
        "ports": [{"name": texts[0], "port": 1}],
    }
    msgspec.json.encode(obj)
    read(obj)
