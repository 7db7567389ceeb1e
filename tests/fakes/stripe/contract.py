"""What Stripe would say of a request, asked of the pinned SDK: forms into typed parameters.

The SDK ships every call's parameters as a TypedDict.  A request that has an unknown name anywhere,
lacks one that is required, or has a value of the wrong type breaks the contract and is named by
its path: `$.line_items[0].price_data.currncy: unknown`.
"""

import re
import sys
import types
import typing
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin
from urllib.parse import parse_qsl

import stripe
import typing_extensions
from stripe._request_options import RequestOptions

WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)
NOT_SENT = frozenset(RequestOptions.__annotations__)
"""Options that the SDK turns into headers."""


class ContractBroken(Exception):
    """A request that Stripe would not take; each line names a path and what is wrong there."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


def read_form(text: str) -> dict[str, Any]:
    """Return nested names (`a[b][0][c]=1`) as dictionaries and lists of text."""
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text)):
        head, *rest = re.findall(r"[^\[\]]+", name)
        place = tree
        for step in rest:
            place = place.setdefault(head, {})
            head = step
        if head in place:
            raise ContractBroken([f"$.{name}: given twice"])
        place[head] = value
    return {name: _listed(value) for name, value in tree.items()}


def checked(form: dict[str, Any], kind: type | None) -> dict[str, Any]:
    """Return the form with whole numbers and flags as such; raise what breaks the contract.

    kind  the SDK's TypedDict of the call; None for a call without parameters
    """
    if kind is None:
        lines = [f"$.{name}: unknown" for name in form]
        value: dict[str, Any] = {}
    else:
        lines = []
        value = _typed_dict(form, kind, "$", lines)
    if lines:
        raise ContractBroken(lines)
    return value


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _listed(one) for name, one in value.items()}
    if inner and all(name.isdigit() for name in inner):
        assert sorted(inner, key=int) == [str(at) for at in range(len(inner))], value
        return [inner[str(at)] for at in range(len(inner))]
    return inner


def _typed_dict(value: Any, kind: type, path: str, lines: list[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        lines.append(f"{path}: expected an object")
        return {}
    hints = _hints(kind)
    for name in _required(kind) - value.keys():
        lines.append(f"{path}.{name}: missing")
    typed = {}
    for name, one in value.items():
        if name not in hints or name in NOT_SENT:
            lines.append(f"{path}.{name}: unknown")
        else:
            typed[name] = _value(one, hints[name], f"{path}.{name}", lines)
    return typed


def _value(value: Any, hint: Any, path: str, lines: list[str]) -> Any:
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _first_that_fits(value, inside, path, lines)
    if typing_extensions.is_typeddict(hint):
        return _typed_dict(value, hint, path, lines)
    if origin is list:
        if isinstance(value, list):
            return [_value(one, inside[0], f"{path}[{at}]", lines) for at, one in enumerate(value)]
    elif origin is dict:
        if isinstance(value, dict):
            return {
                name: _value(one, inside[1], f"{path}.{name}", lines) for name, one in value.items()
            }
    elif origin is Literal:
        if value in inside:
            return value
    elif isinstance(value, str):
        fits, typed = _leaf(value, hint)
        if fits:
            return typed
    lines.append(f"{path}: {value!r} is no {getattr(hint, '__name__', hint)}")
    return value


def _first_that_fits(value: Any, hints: tuple[Any, ...], path: str, lines: list[str]) -> Any:
    # Text comes last: it would take what is a number or a flag by a better reading.
    for hint in sorted(hints, key=lambda one: one is str):
        found: list[str] = []
        typed = _value(value, hint, path, found)
        if not found:
            return typed
    lines.append(f"{path}: {value!r} is none of what is taken there")
    return value


def _leaf(value: str, hint: Any) -> tuple[bool, Any]:
    if hint is bool:
        return value in ("true", "false"), value == "true"
    if hint is int:
        whole = WHOLE.fullmatch(value) is not None
        return whole, int(value) if whole else value
    return hint is str or hint is Any, value


@cache
def _hints(kind: type) -> dict[str, Any]:
    """Return the kind's names with their types; names of its module stand in as text there."""
    module = vars(sys.modules[kind.__module__])
    known = {**vars(stripe), **vars(typing), **module, "StripeContext": stripe.StripeContext}
    hints = typing_extensions.get_type_hints(kind, globalns=known, localns=known)
    return {name: _bare(hint) for name, hint in hints.items()}


@cache
def _required(kind: type) -> frozenset[str]:
    """Return the names that must be there.

    The class itself cannot say: its NotRequired marks stand inside text for half of the names.
    """
    module = vars(sys.modules[kind.__module__])
    known = {**vars(stripe), **vars(typing), **module, "StripeContext": stripe.StripeContext}
    marked = typing_extensions.get_type_hints(
        kind, globalns=known, localns=known, include_extras=True
    )
    optional = {
        name for name, hint in marked.items() if get_origin(hint) is typing_extensions.NotRequired
    }
    return frozenset(marked.keys() - optional - NOT_SENT)


def _bare(hint: Any) -> Any:
    if get_origin(hint) in (typing_extensions.NotRequired, typing_extensions.Required):
        return get_args(hint)[0]
    return hint
