"""How a balance stands, as answers to programs and nodes say it."""

from typing import Annotated, Literal

import msgspec

BALANCE_STATE = "X-Balance-State"
"""The header of every answer to an API key."""

State = Literal["funded", "low", "critical", "depleted", "frozen", "closed"]

BALANCES_MAX = 4096


class TenantBalance(msgspec.Struct, frozen=True):
    """The state of one organization's balance, for a node that works for it.

    state          one of `State`; a node shows one that it does not know as it is
    hourly_micros  what the organization's work on this node costs an hour
    """

    tenant_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    state: Annotated[str, msgspec.Meta(min_length=1, max_length=32, pattern=r"^[a-z_]+\Z")]
    hourly_micros: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)] = 0
