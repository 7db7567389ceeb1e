"""What both programs install into their Jinja environment before the first page."""

from collections.abc import Callable, Sequence

import jinja2

from web import badges
from web.format import FILTERS
from web.navigation import page_tabs
from web.view_models.parts import Series

BRAND = "Outstation"


def equip(
    environment: jinja2.Environment,
    *,
    asset: Callable[[str], str],
    csrf_token: Callable[[], str],
    request_id: Callable[[], str],
    version: str,
) -> None:
    """Install filters, badges and globals; escaping is always on and an absent name an error.

    asset       path under web/static to its URL with a content hash
    csrf_token  the token of this session's forms; each POST form carries it as `csrf_token`
    request_id  the id of the request being answered, shown in the footer
    """
    environment.autoescape = True
    environment.undefined = jinja2.StrictUndefined
    environment.trim_blocks = True
    environment.lstrip_blocks = True
    environment.filters.update(FILTERS)
    environment.filters.update(
        allocation_badge=badges.allocation_badge,
        node_badge=badges.node_badge,
        market_badge=badges.market_badge,
        key_badge=badges.key_badge,
        severity_badge=badges.severity_badge,
        balance_badge=badges.balance_badge,
        payout_badge=badges.payout_badge,
        payment_badge=badges.payment_badge,
        series_json=series_json,
    )
    environment.globals.update(
        asset=asset,
        brand=BRAND,
        csrf_token=csrf_token,
        icon_of_tone=badges.ICON_OF_TONE,
        page_tabs=page_tabs,
        request_id=request_id,
        version=version,
    )


def series_json(series: Sequence[Series]) -> list[dict[str, object]]:
    """Return the series of a chart as the script reads them."""
    return [{"label": one.label, "style": one.style, "values": one.values} for one in series]


def static_url(path: str, digest: str) -> str:
    """Return the address of a file under web/static that may be cached for ever.

    digest  hex SHA-256 of its bytes.  Fonts carry their version in their name instead, since the
    style sheet names them and both addresses must be the same.
    """
    if path.endswith(".woff2"):
        return f"/static/{path}"
    return f"/static/{path}?v={digest[:12]}"
