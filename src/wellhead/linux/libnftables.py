"""libnftables, the library under `nft`, in this process: for tables that have an owner, and for quick lists.

A table with `flags owner` belongs to the netlink socket of the context that made it. The kernel removes it
when the context is closed, also by a kill, and lets nobody else change it: what only watches can so leave
nothing behind. The program `nft` can't do that, since it exits. Source: libnftables(3), nft(8).
"""

from __future__ import annotations

import ctypes
import enum
from functools import cache
from typing import Any, Self

from wellhead.linux.nft import NftError

_LIBRARY = "libnftables.so.1"
_MOST_SAID = 1000  # characters


class Output(enum.IntFlag):
    """What a list has beside the rules (NFT_CTX_OUTPUT_…)."""

    PLAIN = 0
    HANDLE = 1 << 3
    TERSE = 1 << 11
    """Without the elements of sets."""


class Nftables:
    """A context of libnftables in the network namespace of the thread that makes it, then of any thread's
    use.

    Its calls block. Raises OSError: there is no such library.
    """

    def __init__(self) -> None:
        self._library = _library()
        self._context: int | None = self._library.nft_ctx_new(0)
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, text: str, output: Output = Output.PLAIN) -> str:
        """Put `text` in force, or answer its list. Raises NftError: nothing has changed."""
        self._library.nft_ctx_output_set_flags(self._context, int(output))
        failed = self._library.nft_run_cmd_from_buffer(self._context, text.encode())
        printed = self._library.nft_ctx_get_output_buffer(self._context).decode(errors="replace")
        said = self._library.nft_ctx_get_error_buffer(self._context).decode(errors="replace")
        if failed:
            raise NftError(f"nft: {' '.join(said.split())[:_MOST_SAID]}")
        return str(printed)

    def close(self) -> None:
        """Let go of the context; the kernel removes the tables that it owns."""
        if self._context is not None:
            self._library.nft_ctx_free(self._context)
            self._context = None


@cache
def _library() -> Any:
    library = ctypes.CDLL(_LIBRARY)
    context, text = ctypes.c_void_p, ctypes.c_char_p
    for name, result, arguments in (
        ("nft_ctx_new", context, [ctypes.c_uint32]),
        ("nft_ctx_free", None, [context]),
        ("nft_ctx_buffer_output", ctypes.c_int, [context]),
        ("nft_ctx_buffer_error", ctypes.c_int, [context]),
        ("nft_ctx_output_set_flags", None, [context, ctypes.c_uint]),
        ("nft_run_cmd_from_buffer", ctypes.c_int, [context, text]),
        ("nft_ctx_get_output_buffer", text, [context]),
        ("nft_ctx_get_error_buffer", text, [context]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
