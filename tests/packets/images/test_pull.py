"""From a registry to images of the store."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests import registry
from tests.archives import Entry, Layout, configuration, tar
from tests.cluster.lab import BIN
from tests.patience import PATIENCE
from tests.registry import Registry
from wellhead.images import access, archive, reference
from wellhead.images.bounds import Bounds, ImageError
from wellhead.images.programs import Stop
from wellhead.images.pull import Options, pull
from wellhead.images.registry.credentials import Login
from wellhead.images.store import ImageStore
from wellhead.linux import proc

LAYER = tar([Entry("f", b"f" * 4096)])
OTHER = tar([Entry("g", b"g")])
CONFIG = configuration([LAYER, OTHER], Cmd=["/f"])
TRUSTED = Options(trusted=True, plain_http=True)
USERS = {"me": "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"}  # of "secret"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry.running(tmp_path_factory.mktemp("registry")) as found:
        yield found


def left(store: ImageStore) -> list[str]:
    return [path.name for path in store.directory.glob(".pulling*")]


@pytest.mark.parametrize("compress", ["gzip", "zstd"])
def test_an_image_comes_with_its_names(real: Registry, store: ImageStore, compress: str) -> None:
    layout = Layout()
    name = real.push(layout, f"team/{compress}", "1", layout.image([LAYER, OTHER], CONFIG, compress=compress))
    image = pull(store, name, options=TRUSTED)
    assert image.config.cmd == ("/f",)
    assert (store.rootfs(image) / "f").read_bytes() == b"f" * 4096
    assert name in image.names
    [by_digest] = [each for each in image.names if "@" in each]
    assert store.find(by_digest) == image
    assert left(store) == []


def test_of_several_platforms_this_machines_is_taken(real: Registry, store: ImageStore) -> None:
    layout = Layout()
    other = layout.image([OTHER], configuration([OTHER], Cmd=["/other"]))
    mine = layout.image([LAYER, OTHER], CONFIG)
    index = layout.index(
        other | {"platform": {"os": "linux", "architecture": "no-such"}},
        mine | {"platform": {"os": "linux", "architecture": archive.architecture()}},
    )
    name = real.push(layout, "team/many", "1", index)
    image = pull(store, f"{real.host}/team/many@{index['digest']}", options=TRUSTED)
    assert image.config.cmd == ("/f",)
    assert {each.partition("@")[2] for each in image.names} == {index["digest"], mine["digest"]}
    only = layout.index(other | {"platform": {"os": "linux", "architecture": "no-such"}})
    name = real.push(layout, "team/none", "1", only)
    with pytest.raises(ImageError, match=r"no image for linux/.*but for linux/no-such"):
        pull(store, name, options=TRUSTED)


def test_what_is_here_already_is_not_fetched_again(real: Registry, store: ImageStore) -> None:
    layout = Layout()
    top = layout.image([LAYER, OTHER], CONFIG)
    first = pull(store, real.push(layout, "team/same", "1", top), options=TRUSTED)
    steps: list[str] = []
    name = real.push(layout, "team/same", "2", top)
    image = pull(store, name, options=TRUSTED, report=lambda what, done, total: steps.append(what))
    assert image.id == first.id
    assert set(first.names) < set(image.names)
    assert not [step for step in steps if "copying" in step]


def test_who_has_no_credentials_is_told_so(tmp_path: Path, store: ImageStore) -> None:
    with registry.running(tmp_path / "registry", USERS) as private:
        name = f"{private.host}/team/x:1"
        with pytest.raises(ImageError, match="no credentials were given"):
            pull(store, name, options=TRUSTED)
        with pytest.raises(ImageError, match="the credentials that were given don't do"):
            pull(store, name, [Login("me", "wrong"), Login("me", "wrong too")], TRUSTED)
        with pytest.raises(ImageError, match="is the name right"):
            pull(store, name, [Login("me", "wrong"), Login("me", "secret")], TRUSTED)


def test_an_image_that_a_pod_had_pulled_is_for_who_has_its_credentials(
    tmp_path: Path, store: ImageStore
) -> None:
    login, layout = Login("me", "secret"), Layout()
    with registry.running(tmp_path / "registry", USERS) as private:
        told = replace(private, authorization=f"Basic {base64.b64encode(b'me:secret').decode()}")
        name = told.push(layout, "team/x", "1", layout.image([LAYER], configuration([LAYER])))
        file = tmp_path / "registries.conf"
        file.write_text(f'[[registry]]\nlocation = "{private.host}"\ninsecure = true\n')
        known = access.of(pull(store, name, [login], Options(registries=file)).access, name)
        assert not known.preloaded
        assert not known.anyone
        assert access.shows(known, [login], reference.repository(name))
        assert pull(store, name, [login], TRUSTED).access[reference.repository(name)].preloaded


def test_plain_http_and_mirrors_are_configured(real: Registry, store: ImageStore, tmp_path: Path) -> None:
    layout = Layout()
    name = real.push(layout, "team/mirrored", "1", layout.image([LAYER, OTHER], CONFIG))
    with pytest.raises(ImageError, match="this machine itself"):
        pull(store, name)
    file = tmp_path / "registries.conf"
    file.write_text(
        f'[[registry]]\nlocation = "{real.host}"\ninsecure = true\n'
        '[[registry]]\nlocation = "registry.invalid"\n'
        f'[[registry.mirror]]\nlocation = "{real.host}"\ninsecure = true\n'
    )
    options = Options(registries=file)
    assert pull(store, name, options=options).config.cmd == ("/f",)
    mirrored = pull(store, "registry.invalid/team/mirrored:1", options=options)
    assert "registry.invalid/team/mirrored:1" in mirrored.names


def test_stopped_it_leaves_nothing(store: ImageStore) -> None:
    asked, stop = threading.Event(), Stop()

    def hang(request: BaseHTTPRequestHandler) -> None:
        asked.set()
        request.rfile.read(1)

    def end() -> None:
        asked.wait(PATIENCE)
        stop.set()

    with registry.hostile(hang) as bad:
        threading.Thread(target=end).start()
        with pytest.raises(ImageError, match="stopped"):
            pull(store, f"{bad.host}/x:1", options=TRUSTED, stop=stop)
    assert left(store) == []


def test_interrupted_on_the_command_line_it_leaves_nothing(store: ImageStore) -> None:
    asked = threading.Event()

    def hang(request: BaseHTTPRequestHandler) -> None:
        asked.set()
        request.rfile.read(1)

    with registry.hostile(hang) as bad:
        command = [
            str(BIN / "wellhead"),
            "image",
            "pull",
            "--plain-http",
            "--image-dir",
            str(store.directory),
        ]
        # Whoever runs the tests in a shell's background has SIGINT ignored, and so by all that they start.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            process = subprocess.Popen([*command, f"{bad.host}/x:1"], stderr=subprocess.PIPE)
        finally:
            signal.signal(signal.SIGINT, before)
        with process:
            assert asked.wait(PATIENCE)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert left(store) == []


def send(request: BaseHTTPRequestHandler, data: bytes, kind: str) -> None:
    request.send_response(200)
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(data)))
    request.end_headers()
    request.wfile.write(data)


def redirect(request: BaseHTTPRequestHandler, to: str) -> None:
    request.send_response(307)
    request.send_header("Location", to)
    request.send_header("Content-Length", "0")
    request.end_headers()


@pytest.mark.parametrize(
    "to", ["http://127.0.0.1:{}/", "http://[::ffff:127.0.0.1]:{}/", "http://169.254.169.254/"]
)
def test_a_registry_sends_nobody_to_loopback_or_metadata(store: ImageStore, to: str) -> None:
    visits: list[str] = []
    with registry.hostile(lambda request: visits.append(request.path)) as victim:
        place = to.format(victim.port)
        with registry.hostile(lambda request: redirect(request, place)) as bad, pytest.raises(ImageError):
            pull(store, f"{bad.host}/x:1", options=TRUSTED)
    assert visits == []


def served(layout: Layout, top: dict[str, object], blob: registry.Answer) -> registry.Answer:
    """A registry that serves an image's manifest, and its blobs in another way."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        if "/manifests/" in request.path:
            data = layout.files[f"blobs/{str(top['digest']).replace(':', '/')}"]
            send(request, data, str(top["mediaType"]))
        else:
            blob(request)

    return answer


def endless(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    while True:
        request.wfile.write(bytes(1 << 16))


def slow(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "100000")
    request.end_headers()
    request.rfile.read(1)


def test_an_endless_layer_is_bounded(store: ImageStore) -> None:
    layout = Layout()
    top = layout.image([LAYER], CONFIG)
    options = Options(trusted=True, plain_http=True, bounds=Bounds(size=1 << 20))
    with registry.hostile(served(layout, top, endless)) as bad, pytest.raises(ImageError, match="bound"):
        pull(store, f"{bad.host}/x:1", options=options)
    assert left(store) == []


def test_a_registry_that_sends_next_to_nothing_is_given_up(store: ImageStore) -> None:
    layout = Layout()
    top = layout.image([LAYER], CONFIG)
    options = Options(trusted=True, plain_http=True, patience=0.5)
    with (
        registry.hostile(served(layout, top, slow)) as bad,
        pytest.raises(ImageError, match="sent less than"),
    ):
        pull(store, f"{bad.host}/x:1", options=options)


def test_another_digest_is_refused(store: ImageStore) -> None:
    layout = Layout()
    top = layout.image([LAYER], CONFIG)
    with registry.hostile(served(layout, top, endless)) as bad, pytest.raises(ImageError):
        pull(store, f"{bad.host}/x@sha256:{'0' * 64}", options=TRUSTED)


def test_credentials_are_on_no_command_line_and_in_no_directory(store: ImageStore) -> None:
    seen: dict[str, str] = {}

    def look(request: BaseHTTPRequestHandler) -> None:
        if "Authorization" not in request.headers:
            request.send_response(401)
            request.send_header("WWW-Authenticate", 'Basic realm="r"')
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        seen["header"] = request.headers["Authorization"]
        seen["commands"] = str([each for each in map(proc.arguments, proc.pids()) if "hunter2" in str(each)])
        files = [path for path in store.directory.rglob("*") if path.is_file()]
        seen["files"] = str([path for path in files if b"hunter2" in path.read_bytes()])
        request.send_response(404)
        request.send_header("Content-Length", "0")
        request.end_headers()

    with registry.hostile(look, everything=True) as bad, pytest.raises(ImageError):
        pull(store, f"{bad.host}/x:1", [Login("me", "hunter2")], TRUSTED)
    assert base64.b64decode(seen["header"].removeprefix("Basic ")) == b"me:hunter2"
    assert json.loads(seen["commands"]) == json.loads(seen["files"]) == []
