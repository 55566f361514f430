"""Warning headers (RFC 7234, 5.5), within upstream's bounds: apiserver's endpoints/filters/warning.go."""

from __future__ import annotations

from collections.abc import Sequence

from wellhead.text import printable

_ALL = 4 * 1024  # characters of all texts; beyond it, each is cut
_EACH = 256


def warning_headers(warnings: Sequence[str]) -> list[str]:
    """The values of the Warning headers that say these texts, none twice."""
    if not warnings:
        return []
    texts = [printable(text) for text in dict.fromkeys(warnings)]
    if sum(map(len, texts)) > _ALL:
        texts = [text[:_EACH] for text in texts[: _ALL // _EACH]]
    return ['299 - "' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts]
