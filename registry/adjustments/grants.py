"""Promotional grants: their names, and how much of one can expire now."""

import re

from protocol.refusal import Refusal

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]{0,39}", re.ASCII)


def read_grant_name(text: str) -> str:
    """Return the name of a grant: part of an account's name, so that it is kept plain."""
    if NAME_PATTERN.fullmatch(text) is None:
        raise Refusal(
            code="grant_invalid",
            status=422,
            message="grant: up to 40 lower-case letters, digits and hyphens.",
            hint="Name it like welcome-2026.",
            field="grant",
        )
    return text


def expiring(left: int, *, total: int, held: int) -> int:
    """Return how many micros of an expired grant nobody was promised.

    left   what the grant still holds
    total  the tenant's whole balance
    held   what open leases may still take of it

    Work that was leased while the grant was good is still paid from it: the rest expires as the
    leases end, and no lease ever lacks its cover.
    """
    return min(left, max(total - held, 0))
