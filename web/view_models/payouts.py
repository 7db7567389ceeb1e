"""What a site earns: its month, the usage behind it, and payouts."""

from dataclasses import dataclass, field

from web.view_models.parts import Chart, Choice, Form, Paging


@dataclass(frozen=True, slots=True)
class WaterfallStep:
    """One step from what customers paid to what is left.

    shown, whole  how long its bar is, of how much
    href          the usage behind the sum, or nothing
    """

    label: str
    micros: int
    note: str
    shown: int
    whole: int
    is_sum: bool = False
    href: str = ""


@dataclass(frozen=True, slots=True)
class NodeEarningRow:
    """What one node earned.  sold_percent: None where it offered nothing"""

    name: str
    href: str
    gpus: int
    gpu_ms: int
    sold_percent: int | None
    charged_micros: int
    share_micros: int
    usage_href: str
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class PayoutRow:
    """One payment to the site."""

    at_ms: int
    micros: int
    state: str
    sender: str
    destination: str
    reference: str
    why: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the site's share is now.

    held      waits for the end of the dispute window
    payable   can be paid out;  least: smaller payouts wait
    owed      has to be given back
    on_way    booked to payouts that nobody confirmed yet
    paid_to   where payouts go, or nothing where that was not said
    """

    held_micros: int
    payable_micros: int
    owed_micros: int
    on_way_micros: int
    paid_micros: int
    least_micros: int
    window_ms: int
    paid_to: str = ""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """A month as it could be: what was assumed, and every step of the sum.  A forecast."""

    form: Form
    formula: tuple[str, ...] = ()
    left_micros: int | None = None


@dataclass(frozen=True, slots=True)
class HeatRow:
    """An hour of the day: how much was sold in it on each weekday, Monday first, in percent.

    percents  None where no such hour has passed
    """

    hour: int
    percents: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class EarningsPage:
    """GET /site-owner?site=…&month=….

    answer           the month in one sentence
    heat             by hour of the day, or nothing where nothing was sold; heat_words says it
    forecast_micros  what an open month comes to at its pace, or None
    """

    now_ms: int
    month_at_ms: int
    is_over: bool
    answer: str
    site_name: str
    sites: tuple[Choice, ...]
    site_id: str
    month: str
    share_words: str
    standing: Standing
    waterfall: tuple[WaterfallStep, ...]
    nodes: tuple[NodeEarningRow, ...]
    payouts: tuple[PayoutRow, ...]
    what_if: WhatIf
    chart: Chart | None = None
    heat: tuple[HeatRow, ...] = ()
    heat_words: str = ""
    forecast_micros: int | None = None
    before_url: str = ""
    after_url: str = ""
    usage_url: str = ""
    csv_url: str = ""
    json_url: str = ""


@dataclass(frozen=True, slots=True)
class EarningRow:
    """What one node sold of one SKU by one meter in a day or an hour."""

    at_ms: int
    node: str
    sku: str
    meter: str
    quantity: int
    charged_micros: int
    share_micros: int
    href: str = ""


@dataclass(frozen=True, slots=True)
class EarningRowsPage:
    """GET /site-owner/usage: the verified usage behind a sum.  by_hour: of one day"""

    title: str
    back_url: str
    charged_micros: int
    share_micros: int
    rows: tuple[EarningRow, ...]
    by_hour: bool
    paging: Paging = field(default_factory=Paging)


@dataclass(frozen=True, slots=True)
class NoSitesPage:
    """GET /site-owner before there is a site."""

    can_add: bool
