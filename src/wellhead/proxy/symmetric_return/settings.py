"""What the symmetric return can be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wellhead.linux.numbers import TUNNEL_PORT, TUNNEL_VNI

PathChoice = Literal["auto", "link", "tunnel", "none"]
PATHS: tuple[PathChoice, ...] = ("auto", "link", "tunnel", "none")


@dataclass(frozen=True)
class ReturnSettings:
    """How packets travel between the node that they enter the cluster by and the one with their endpoint."""

    path: PathChoice = "auto"
    """On the link that the nodes share, through a tunnel, by whichever is possible (auto), or not at all."""
    vni: int = TUNNEL_VNI
    """The tunnel's VXLAN network identifier."""
    port: int = TUNNEL_PORT
    """The UDP port of the tunnel's ends."""
