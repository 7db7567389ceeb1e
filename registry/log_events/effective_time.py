"""When usage counts as used, where a node's clock and ours differ.

Quantities never depend on it: they are differences of the node's boottime.  The price does: a
record counts at the price in force when it began, by the node's clock as far as that can be right.

- up to 2 s apart: as the node says
- up to 300 s: as the node says, but neither before what was cosigned last, nor after now, 2 s aside
- beyond: the log waits, and a person has to look
"""

from protocol.refusal import LogRefused

SKEW_MS_TRUE = 2_000
SKEW_MS_MAX = 300_000

Span = tuple[int, int]
"""[low_ms, high_ms]: whatever lies outside counts as at its edge."""


def effective_span(
    *, skew_ms: int, cosigned_at_ms: int | None, counted_to_ms: int, now_ms: int
) -> Span | None:
    """Return within what times the records of a batch count; None for the node's own.

    skew_ms         the node's time less ours
    cosigned_at_ms  when entries were last cosigned, None if none were
    counted_to_ms   the latest end of usage accepted so far: a long backlog comes in pieces that are
                    cosigned one after the other, and its later pieces are not younger for that

    Refuses a node whose clock is beyond use.
    """
    if abs(skew_ms) > SKEW_MS_MAX:
        raise LogRefused(
            "clock_wrong",
            f"The node's time is {abs(skew_ms) // 1000} s "
            f"{'ahead of' if skew_ms > 0 else 'behind'} ours.",
        )
    if abs(skew_ms) <= SKEW_MS_TRUE:
        return None
    low_ms = 0
    if cosigned_at_ms is not None:
        low_ms = max(0, min(cosigned_at_ms, counted_to_ms) - SKEW_MS_TRUE)
    return low_ms, now_ms + SKEW_MS_TRUE
