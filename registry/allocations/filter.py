"""A filter as it is typed above the list of workloads: `state:active site:nbo name:train`.

A term without a known name in front looks in names, and for what ids begin with; all must match.
"""

from dataclasses import dataclass

from protocol.lifecycle import State

FILTER_CHARACTERS_MAX = 200
TERMS_MAX = 10


@dataclass(frozen=True, slots=True)
class WorkloadFilter:
    """What to look for; each text is part of a name, or begins an id.

    states  None for any; empty when a typed state is none there is
    """

    text: str = ""
    states: frozenset[State] | None = None
    sites: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def read_filter(typed: str) -> WorkloadFilter:
    """Return the filter that a person typed; nothing typed is refused."""
    terms = typed[:FILTER_CHARACTERS_MAX].lower().split()[:TERMS_MAX]
    states: frozenset[State] | None = None
    sites: list[str] = []
    names: list[str] = []
    for term in terms:
        kind, colon, value = term.partition(":")
        if colon and not value:
            continue
        if kind == "state" and colon:
            meant = frozenset(state for state in State if state.value.startswith(value))
            states = meant if states is None else states & meant
        elif kind == "site" and colon:
            sites.append(value)
        else:
            names.append(value if kind == "name" and colon else term)
    return WorkloadFilter(
        text=" ".join(terms), states=states, sites=tuple(sites), names=tuple(names)
    )
