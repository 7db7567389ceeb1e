"""The shell around a page: who is signed in, where they work, what they may go to."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import current_app, request

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
    """

    spaces: Callable[[Db, Actor], tuple[Space, ...]]
    balance: Callable[[Db, Actor], Balance | None]
    banners: Callable[[Db, Actor, int], tuple[Banner, ...]]


def shell() -> Shell:
    """Return the shell of this request's page; call it outside a unit of work."""
    sources = current_app.extensions[EXTENSION]
    assert isinstance(sources, ShellSources)
    who = actor()
    roles = who.roles | ({PLATFORM_ADMIN} if who.is_platform_admin else set())
    with db().reading():
        spaces = sources.spaces(db(), who)
        balance = sources.balance(db(), who)
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
