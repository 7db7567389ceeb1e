"""Runs the simulation over a mutant: `python -m tests.simulation.mutants.trial NAME`.

The process is the mutant's own: the modules named are read changed, whoever imports them.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sys
import time
from collections.abc import Sequence
from types import CodeType, ModuleType

from tests.simulation.mutants.table import MUTANTS, Edit

SEEDS_MAX = 16
NODES, HOURS = 3, 3


class ChangedLoader(importlib.machinery.SourceFileLoader):
    """Reads a module with its edits; what was compiled before is not looked at."""

    def __init__(self, fullname: str, path: str, edits: Sequence[Edit]) -> None:
        super().__init__(fullname, path)
        self._edits = edits

    def get_code(self, fullname: str) -> CodeType:
        source = self.get_data(self.path).decode("utf-8")
        for edit in self._edits:
            assert source.count(edit.old) == 1, (
                f"{fullname}: {edit.old!r} does not stand there once"
            )
            source = source.replace(edit.old, edit.new)
        return self.source_to_code(source, self.path)  # type: ignore[no-any-return, arg-type]


class ChangedFinder(importlib.abc.MetaPathFinder):
    """Finds the modules that a mutant changes."""

    def __init__(self, edits: Sequence[Edit]) -> None:
        self._edits = edits

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        mine = [edit for edit in self._edits if edit.module == fullname]
        if not mine:
            return None
        found = importlib.machinery.PathFinder.find_spec(fullname, path)
        assert found is not None
        assert found.origin is not None
        return importlib.util.spec_from_file_location(
            fullname, found.origin, loader=ChangedLoader(fullname, found.origin, mine)
        )


def main(name: str) -> None:
    """Print in which seed which rule caught the mutant; null if none did."""
    mutant = MUTANTS[name]
    sys.meta_path.insert(0, ChangedFinder(mutant.edits))
    shorten = importlib.import_module("simulation.shorten")
    every = importlib.import_module("simulation.setup").FAULTS
    faults = frozenset(every if mutant.faults is None else mutant.faults)
    others = (seed for seed in range(1, SEEDS_MAX + 1) if seed not in mutant.seeds)
    tried = 0
    told: dict[str, object] = {"seed": None, "rule": None, "what": ""}
    for seed in (*mutant.seeds, *others):
        tried += 1
        found = shorten.outcome(shorten.Case(seed, NODES, HOURS, faults))
        if found.violated:
            told = {"seed": seed, "rule": found.violated, "what": found.what}
            break
    print(json.dumps({**told, "tried": tried, "cpu_s": round(time.process_time(), 1)}))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    main(sys.argv[1])
