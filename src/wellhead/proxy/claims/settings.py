"""What the claims of sources can be told."""

from __future__ import annotations

from typing import Literal

SourceClaims = Literal["auto", "all", "none"]
"""Which of the connections that the proxy leaves alone keep their source whatever masquerades behind it:
those whose replies are known to come back through this node, all, or none."""
SOURCE_CLAIMS: tuple[SourceClaims, ...] = ("auto", "all", "none")
