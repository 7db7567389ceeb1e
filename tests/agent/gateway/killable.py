"""A gateway in a process of its own, in front of the backend named on the command line.

    python -m tests.agent.gateway.killable FOLDER BACKEND_URL [PORT]

Prints its URL and then serves until it is killed.  A second start on the same folder does what the
agent does: what was left open is closed at its last checkpoint first.
"""

import asyncio
import sys
from pathlib import Path

import uvloop

from agent.gateway.backends import Backend
from tests.agent.gateway.rig import running_gateway


async def main(folder: Path, url: str, port: int) -> None:
    async with running_gateway(folder, [Backend("demo", url)], port=port) as rig:
        print(rig.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    port = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    uvloop.run(main(Path(sys.argv[1]), sys.argv[2], port))
