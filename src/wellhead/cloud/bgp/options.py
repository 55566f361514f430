"""How to run a speaker: the options that people give, and what follows from them."""

from __future__ import annotations

import re
import shutil
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from wellhead.cloud.bgp.config import Peer, Session, router_id
from wellhead.cloud.bgp.speaker import Config
from wellhead.cloud.options import OptionError
from wellhead.images import bird
from wellhead.images.store import ImageNotFound, ImageStore
from wellhead.ip import IPAddress

_INSTALLED = "/usr/sbin/bird"  # where Debian has it, which isn't on everybody's PATH
_PASSWORD = re.compile(r'[^"\n\r\\]{1,80}')


@dataclass(frozen=True)
class Options:
    """What the command line says, by the names of its flags; `wellhead bgp --help` explains them."""

    kubeconfig: str | None
    node_name: str | None
    asn: int
    peer: tuple[Peer, ...]
    router_id: IPAddress | None
    node_address: IPAddress
    hold_time: int
    bfd: bool
    multihop: bool
    listen_port: int
    password_file: Path | None
    bird: Path | None
    image_dir: Path
    state_dir: Path
    healthz_bind_address: tuple[str, int] | None


def resolve(options: Options) -> Config:
    """What is to be run. Raises OptionError."""
    if options.bfd and options.multihop:
        raise OptionError("--bfd is for neighbours: it can't be together with --multihop")
    peers = _peers(options.peer)
    name = options.node_name or socket.gethostname().lower()
    session = Session(
        options.asn,
        _router_id(name, options),
        options.hold_time,
        options.listen_port,
        multihop=options.multihop,
        bfd=options.bfd,
        password=_password(options.password_file),
    )
    return Config(
        options.kubeconfig,
        name,
        session,
        peers,
        _program(options),
        options.state_dir,
        options.node_address,
        health=options.healthz_bind_address,
    )


def _peers(given: tuple[Peer, ...]) -> tuple[Peer, ...]:
    """Each once. What BIRD would refuse only later is refused."""
    found: dict[IPAddress, Peer] = {}
    for each in given:
        if each.address.is_link_local or each.address.is_multicast or each.address.is_unspecified:
            raise OptionError(f"--peer {each.address}: a router's own address is wanted, not such a one")
        if found.setdefault(each.address, each) != each:
            raise OptionError(f"--peer {each.address} is there with AS {each.asn}, and with another one")
    return tuple(found.values())


def _router_id(name: str, options: Options) -> IPv4Address:
    chosen = options.router_id
    if chosen is None:
        own = options.node_address
        return router_id(name, () if own.is_loopback else (own,))
    if not isinstance(chosen, IPv4Address):
        raise OptionError(f"--router-id: {chosen} isn't IPv4, which it is in form, whatever the VIPs are")
    return chosen


def _password(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        password = file.read_text().partition("\n")[0]
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"--password-file: {error}") from None
    if not _PASSWORD.fullmatch(password):
        raise OptionError("--password-file: 1 to 80 characters, neither quotes nor backslashes")
    return password


def _program(options: Options) -> Path:
    found = options.bird or shutil.which("bird") or shutil.which(_INSTALLED)
    if found:
        return Path(found)
    try:
        return bird.launcher(ImageStore(options.image_dir))
    except ImageNotFound:
        raise OptionError(
            "there is no BIRD here: run `wellhead image build`, install bird2, or name one with --bird PATH"
        ) from None
