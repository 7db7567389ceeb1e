"""A door to the container engine that can be shut: a unix socket whose bytes go to the real one.

    python -m tests.paths.engine_door SOCKET

Killed, it leaves the agent as an engine does that has gone away; the containers behind it live on.
"""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

ENGINE = "/var/run/docker.sock"
PIECE_BYTES = 65_536


async def main(path: Path) -> None:
    """Carry bytes until killed."""
    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(_visited, path)
    await server.serve_forever()


async def _visited(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    engine_reader, engine_writer = await asyncio.open_unix_connection(ENGINE)
    await asyncio.gather(_carried(reader, engine_writer), _carried(engine_reader, writer))


async def _carried(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
