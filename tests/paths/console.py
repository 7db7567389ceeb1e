"""Our commands as a person types them, and what they say."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

COMMAND_S_MAX = 60


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str


def said(
    command: Sequence[str], *, typed: str = "", environment: Mapping[str, str] | None = None
) -> Said:
    """Run a command to its end.  typed: its standard input"""
    done = subprocess.run(
        command,
        input=typed,
        capture_output=True,
        text=True,
        timeout=COMMAND_S_MAX,
        env={**os.environ, **(environment or {})},
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)
