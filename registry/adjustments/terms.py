"""What is agreed with a tenant: what it may owe, and the tax in its payments."""

import re

from protocol.refusal import Refusal

JURISDICTION_PATTERN = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?", re.ASCII)
"""ISO 3166-1 and -2: `DE`, `US-CA`."""

BASIS_POINTS_MAX = 10_000


def read_jurisdiction(text: str) -> str:
    """Return the jurisdiction that a tax is for."""
    if JURISDICTION_PATTERN.fullmatch(text) is None:
        raise Refusal(
            code="jurisdiction_invalid",
            status=422,
            message="jurisdiction: not an ISO 3166 code.",
            hint="Write a country like DE, or a subdivision like US-CA.",
            field="jurisdiction",
        )
    return text


def check_basis_points(basis_points: int) -> None:
    """Refuse a rate below nothing or above the whole."""
    if not 0 <= basis_points <= BASIS_POINTS_MAX:
        raise Refusal(
            code="rate_out_of_range",
            status=422,
            message=f"rate: 0 to {BASIS_POINTS_MAX} basis points.",
            hint="Write 1900 for 19 %.",
            field="rate",
        )
