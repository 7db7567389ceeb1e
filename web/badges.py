"""A state as people see it: tone, icon and word, always all three."""

from dataclasses import dataclass

TONES = ("ok", "info", "warn", "bad", "stale", "neutral")

ICON_OF_TONE = {
    "ok": "circle-check",
    "info": "progress",
    "warn": "alert-triangle",
    "bad": "alert-octagon",
    "stale": "clock",
    "neutral": "point",
}


@dataclass(frozen=True, slots=True)
class Badge:
    """What the macro `badge` draws."""

    tone: str
    word: str

    @property
    def icon(self) -> str:
        """Name of the icon in the sprite."""
        return ICON_OF_TONE[self.tone]


_ALLOCATION = {
    "requested": Badge("info", "Requested"),
    "provisioning": Badge("info", "Provisioning"),
    "active": Badge("ok", "Active"),
    "stopping": Badge("neutral", "Stopping"),
    "stopped": Badge("neutral", "Stopped"),
    "releasing": Badge("info", "Releasing"),
    "released": Badge("neutral", "Released"),
    "finished": Badge("ok", "Finished"),
    "failed": Badge("bad", "Failed"),
    "release_failed": Badge("bad", "Release failed"),
    "insufficient_balance": Badge("warn", "Out of balance"),
    "sku_unavailable": Badge("warn", "Not available"),
}

_NODE = {
    "online": Badge("ok", "Online"),
    "degraded": Badge("warn", "Degraded"),
    "offline": Badge("stale", "Not heard from"),
    "waiting": Badge("info", "Waiting"),
    "retired": Badge("neutral", "Retired"),
}

_KEY = {
    "active": Badge("ok", "Active"),
    "waiting": Badge("info", "Not used yet"),
    "spent": Badge("ok", "Used"),
    "revoked": Badge("neutral", "Revoked"),
    "expired": Badge("neutral", "Expired"),
}

_SEVERITY = {
    "info": Badge("info", "Note"),
    "warning": Badge("warn", "Warning"),
    "critical": Badge("bad", "Critical"),
}

_BALANCE = {
    "funded": Badge("ok", "Funded"),
    "low": Badge("warn", "Low"),
    "critical": Badge("bad", "Critical"),
    "depleted": Badge("bad", "Empty"),
    "frozen": Badge("stale", "Frozen"),
    "closed": Badge("neutral", "Closed"),
}

_MARKET = {
    "open": Badge("ok", "Open to everybody"),
    "private": Badge("neutral", "Private"),
}


_PAYMENT = {
    "created": Badge("neutral", "Begun"),
    "pending": Badge("info", "On its way"),
    "succeeded": Badge("ok", "Paid"),
    "failed": Badge("bad", "Failed"),
    "canceled": Badge("neutral", "Cancelled"),
    "expired": Badge("neutral", "Expired"),
    "refunded": Badge("stale", "Refunded"),
    "disputed": Badge("warn", "Disputed"),
    "charged_back": Badge("bad", "Taken back"),
}


def payment_badge(state: str) -> Badge:
    """Return the badge of a payment by card."""
    return _PAYMENT.get(state, Badge("neutral", state))


_PAYOUT = {
    "pending": Badge("info", "On its way"),
    "sent": Badge("ok", "Paid"),
    "failed": Badge("bad", "Failed"),
    "reversed": Badge("warn", "Came back"),
}


def payout_badge(state: str) -> Badge:
    """Return the badge of a payout to a site."""
    return _PAYOUT.get(state, Badge("neutral", state))


def allocation_badge(state: str) -> Badge:
    """Return the badge of an allocation's state."""
    return _ALLOCATION.get(state, Badge("neutral", state))


def node_badge(state: str) -> Badge:
    """Return the badge of a node's standing."""
    return _NODE.get(state, Badge("neutral", state))


def market_badge(state: str) -> Badge:
    """Return the badge of whom a site serves."""
    return _MARKET.get(state, Badge("neutral", state))


def key_badge(state: str) -> Badge:
    """Return the badge of an API key or a node key."""
    return _KEY.get(state, Badge("neutral", state))


def severity_badge(severity: str) -> Badge:
    """Return the badge of a finding."""
    return _SEVERITY.get(severity, Badge("neutral", severity))


def balance_badge(state: str) -> Badge:
    """Return the badge of a balance."""
    return _BALANCE.get(state, Badge("neutral", state))
