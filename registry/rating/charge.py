"""What a record comes to and who bears it: the tenant, or we where no lease covers it."""

from dataclasses import dataclass

from protocol.usage import GPU_MS

CLASSES = {
    GPU_MS: "gpu",
    "tok.in": "inference",
    "tok.cached": "inference",
    "tok.out": "inference",
    "img": "inference",
    "req": "inference",
    "sto.mib_s": "storage",
    "net.out_b": "network",
    "en.mj": "energy",
}
"""The class of usage each meter belongs to: income is booked by class."""


@dataclass(frozen=True, slots=True)
class Share:
    """A rated amount, divided: charged + overrun + late."""

    charged: int
    overrun: int
    late: int


def divided(*, rated: int, due: int, remaining: int) -> Share:
    """Return who bears what of `rated` micros.

    due        the part that came before its lease and allocation ended
    remaining  what the lease still covers
    """
    assert 0 <= due <= rated
    charged = min(due, max(remaining, 0))
    return Share(charged=charged, overrun=due - charged, late=rated - due)


def count_until(
    moment_ms: int | None, *, begin_ms: int, end_ms: int, before: int, after: int
) -> int:
    """Return the cumulative count at `moment_ms` of a record that counts from `before` to `after`.

    Inside the record it is taken to grow evenly and rounded down: in the tenant's favour.
    """
    if moment_ms is None or end_ms <= moment_ms:
        return after
    if moment_ms <= begin_ms:
        return before
    return before + (after - before) * (moment_ms - begin_ms) // (end_ms - begin_ms)
