"""The shell around a page: who is signed in, where they work, what they may go to."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import Response, current_app, g, request

from protocol.balance import BALANCE_STATE
from registry.server.session import Actor, actor, db, now_ms
from registry.store.database import Db
from web.navigation import may_launch, navigation
from web.view_models.shell import ADD_NODE, LAUNCH, Balance, Banner, Shell, Space

EXTENSION = "outstation-shell"
SEARCH_URL = "/search"
THEMES = ("light", "dark")
PLATFORM_ADMIN = "platform_admin"


@dataclass(frozen=True, slots=True)
class ShellSources:
    """What the shell asks rooms that this one does not know; `app.py` hands them over.

    spaces   organizations and projects the actor may switch to
    balance  the chip in the top bar, None where the actor has no balance
    banners  what stays on every page until its cause is gone
    state    the state of the balance, for the answers that programs get
    """

    spaces: Callable[[Db, Actor], tuple[Space, ...]]
    balance: Callable[[Db, Actor, int], Balance | None]
    banners: Callable[[Db, Actor, int], tuple[Banner, ...]]
    state: Callable[[Db, Actor, int], str]


def tell_balance(answer: Response) -> Response:
    """Say in every answer to an API key how the balance of its organization stands."""
    who = g.get("actor")
    if who is None or who.api_key_id is None:
        return answer
    sources = current_app.extensions[EXTENSION]
    assert isinstance(sources, ShellSources)
    with db().reading():
        state = sources.state(db(), who, now_ms())
    if state:
        answer.headers[BALANCE_STATE] = state
    return answer


def shell() -> Shell:
    """Return the shell of this request's page; call it outside a unit of work."""
    sources = current_app.extensions[EXTENSION]
    assert isinstance(sources, ShellSources)
    who = actor()
    roles = who.roles | ({PLATFORM_ADMIN} if who.is_platform_admin else set())
    with db().reading():
        spaces = sources.spaces(db(), who)
        balance = sources.balance(db(), who, now_ms())
        banners = sources.banners(db(), who, now_ms())
    operates = "/nodes" in {e.href for g in navigation(roles, "") for e in g.entries}
    theme = request.cookies.get("theme", "")
    return Shell(
        email=who.email,
        nav=navigation(roles, request.path),
        now_ms=now_ms(),
        spaces=spaces,
        banners=banners,
        balance=balance,
        primary=LAUNCH if may_launch(roles) else ADD_NODE if operates else None,
        search_url=SEARCH_URL,
        theme=theme if theme in THEMES else "",
    )
