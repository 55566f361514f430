"""Pass connections on from one network namespace to another. `python -m bench.proxy.relay FD HOST PORT`.

FD is a listening socket, which stays in the namespace that it was made in.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import suppress

_PIECE = 1 << 16


async def _serve(listener: socket.socket, host: str, port: int) -> None:
    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            there, onward = await asyncio.open_connection(host, port)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(_pass_on(reader, onward))
                    group.create_task(_pass_on(there, writer))
            finally:
                onward.close()
                writer.close()

    async with await asyncio.start_server(accepted, sock=listener) as server:
        await server.serve_forever()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
        writer.write_eof()


def main() -> None:
    fd, host, port = sys.argv[1:]
    asyncio.run(_serve(socket.socket(fileno=int(fd)), host, int(port)))


if __name__ == "__main__":
    main()
