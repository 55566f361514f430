"""The proxy's modes, as `--proxy-mode`, metrics and `/proxyMode` spell them."""

from __future__ import annotations

from typing import Literal

ProxyMode = Literal["iptables", "nftables"]
MODES: tuple[ProxyMode, ...] = ("iptables", "nftables")
