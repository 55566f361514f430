"""What an image says of its containers, read from its configuration.

Source: OCI image-spec, config.md.
"""

from __future__ import annotations

import posixpath
from typing import Any

import msgspec

from wellhead.images.bounds import ImageError
from wellhead.images.store import Config

_LONGEST = 4096  # bytes of a path, PATH_MAX
_MOST = 1 << 20  # bytes of all arguments and variables together: execve(2) takes about twice that


class _Process(msgspec.Struct, rename="pascal"):
    user: str | None = None
    env: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    volumes: dict[str, dict[str, Any] | None] | None = None
    working_dir: str | None = None
    stop_signal: str | None = None


class _File(msgspec.Struct):
    architecture: str = ""
    os: str = ""
    config: _Process | None = None


def read(data: bytes) -> Config:
    """The `config` of an image's configuration file. Raises ImageError."""
    try:
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ImageError(f"its configuration: {error}") from None
    if file.os not in ("", "linux"):
        raise ImageError(f"it is for {file.os!r}, and this is linux")
    process = file.config or _Process()
    config = Config(
        entrypoint=process.entrypoint or (),
        cmd=process.cmd or (),
        env=process.env or (),
        working_dir=_path("WorkingDir", process.working_dir or "/"),
        user=process.user or "",
        stop_signal=process.stop_signal or "",
        volumes=tuple(sorted({_path("Volumes", each) for each in process.volumes or ()} - {"/"})),
    )
    _check(config)
    return config


def _path(field: str, path: str) -> str:
    if len(path.encode(errors="replace")) > _LONGEST:
        raise ImageError(f"its configuration: {field}: a path longer than {_LONGEST} bytes")
    return posixpath.normpath("/" + path.lstrip("/"))


def _check(config: Config) -> None:
    texts = (*config.entrypoint, *config.cmd, *config.env, config.user, config.working_dir, *config.volumes)
    if any("\0" in text for text in texts):
        raise ImageError("its configuration: a text has a NUL character")
    if sum(len(text.encode(errors="replace")) + 9 for text in texts) > _MOST:
        raise ImageError(f"its configuration: arguments and environment are longer than {_MOST} bytes")
    for variable in config.env:
        if variable.startswith("=") or "=" not in variable:
            raise ImageError(f"its configuration: Env: {variable[:80]!r} is no NAME=VALUE")
