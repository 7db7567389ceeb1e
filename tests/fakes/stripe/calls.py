"""A call as it was understood, and what answers share: lists by page, amounts, refusals."""

from collections.abc import Callable
from dataclasses import dataclass
from re import Match, Pattern
from typing import Any

from tests.fakes.stripe import shapes
from tests.fakes.stripe.account import LIST_DEFAULT, StripeAccount, StripeSaysNo
from tests.fakes.stripe.shapes import Object

AMOUNT_MIN = 50
AMOUNT_MAX = 99_999_999


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it was understood.  account: whose balance is meant, for connected ones"""

    account: StripeAccount
    path: Match[str]
    params: dict[str, Any]
    on_behalf: str = ""

    @property
    def object_id(self) -> str:
        return self.path.group(1)


Answer = Callable[[Call], Object]


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    path: Pattern[str]
    kind: type | None
    answer: Answer


def kept(call: Call, made: Object) -> Object:
    call.account.objects[made["id"]] = made
    return made


def expanded(call: Call) -> frozenset[str]:
    """What is to be shown whole instead of by its id, with all that it lies in; in lists, of
    each object."""
    asked = [one.removeprefix("data.").split(".") for one in call.params.get("expand", [])]
    return frozenset(".".join(parts[:depth]) for parts in asked for depth in range(1, 9))


def matches(call: Call, found: Object, *names: str) -> bool:
    if any(name in call.params and call.params[name] != found[name] for name in names):
        return False
    created = call.params.get("created", {})
    return bool(created.get("gte", 0) <= found["created"] <= created.get("lte", 1 << 60))


def page(call: Call, found: list[Object]) -> Object:
    """A page of objects, newest first, as the cursors say."""
    params, limit = call.params, call.params.get("limit", LIST_DEFAULT)
    found = [one for one in found if matches(call, one)]
    order = [one["id"] for one in found]
    if "ending_before" in params:
        end = _place(order, params["ending_before"])
        first = max(0, end - limit)
        return shapes.listed(found[first:end], url=call.path.string, has_more=first > 0)
    start = _place(order, params["starting_after"]) + 1 if "starting_after" in params else 0
    shown = found[start : start + limit]
    return shapes.listed(shown, url=call.path.string, has_more=start + limit < len(found))


def _place(order: list[str], object_id: str) -> int:
    if object_id not in order:
        raise invalid(f"No such object: '{object_id}'", "starting_after")
    return order.index(object_id)


def check_amount(cents: int) -> None:
    if not AMOUNT_MIN <= cents <= AMOUNT_MAX:
        raise invalid("The amount must be from $0.50 to $999,999.99.", "amount")


def invalid(message: str, param: str) -> StripeSaysNo:
    return StripeSaysNo(400, "invalid_request_error", message, param=param)
