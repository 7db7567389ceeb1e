"""The node's own time: an anchor plus boottime, drawn gently towards the registry's clock.

Nobody can step it.  The machine's wall clock is read once per boot; from then on time passes as
boottime does, at most 0.05 % faster or slower, and never goes back, not even across a restart.
Until the registry has confirmed it in this boot it is not trusted: no grant is judged by it, and
the first confirmation sets it at once, since nothing was metered before.
"""

from dataclasses import dataclass, replace

from protocol.clock import Clock

SLEW_PPM = 500
PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class TimeState:
    """At boottime `anchor_boot_ms` it was `anchor_wall_ms`.

    correction_ms  what has to be added from then on, little by little; negative to go slower
    trusted        whether the registry confirmed the time in this boot
    """

    boot_id: str
    anchor_wall_ms: int
    anchor_boot_ms: int
    correction_ms: int
    trusted: bool

    def now_ms(self, boot_ms: int) -> int:
        """Return the time at boottime `boot_ms`, which is not before the anchor's."""
        elapsed_ms = max(0, boot_ms - self.anchor_boot_ms)
        reach_ms = elapsed_ms * SLEW_PPM // PPM
        drawn_ms = max(-reach_ms, min(reach_ms, self.correction_ms))
        return self.anchor_wall_ms + elapsed_ms + drawn_ms


def begun(
    *, boot_id: str, boot_ms: int, wall_ms: int, last: TimeState | None, floor_ms: int
) -> TimeState:
    """Return the time a starting agent goes by.

    wall_ms   the machine's clock, believed only as a first guess in a new boot
    last      what an earlier agent kept
    floor_ms  the latest time that it kept; before it the clock never goes again
    """
    if last is not None and last.boot_id == boot_id:
        return last
    return TimeState(
        boot_id=boot_id,
        anchor_wall_ms=max(wall_ms, floor_ms),
        anchor_boot_ms=boot_ms,
        correction_ms=0,
        trusted=False,
    )


def corrected(state: TimeState, *, boot_ms: int, registry_ms: int, floor_ms: int) -> TimeState:
    """Return the time after the registry said that at `boot_ms` it was `registry_ms`."""
    now_ms = state.now_ms(boot_ms)
    if not state.trusted:
        return replace(
            state,
            anchor_wall_ms=max(registry_ms, floor_ms),
            anchor_boot_ms=boot_ms,
            correction_ms=0,
            trusted=True,
        )
    return replace(
        state,
        anchor_wall_ms=now_ms,
        anchor_boot_ms=boot_ms,
        correction_ms=registry_ms - now_ms,
    )


class NodeClock:
    """The time of this node, handed to every room as `now_ms`."""

    def __init__(self, state: TimeState, *, boottime: Clock, floor_ms: int) -> None:
        self._state = state
        self._boottime = boottime
        self._kept_floor_ms = self._floor_ms = floor_ms

    def now_ms(self) -> int:
        """Return the time; it never goes back once it is trusted."""
        self._floor_ms = max(self._floor_ms, self._state.now_ms(self._boottime()))
        return self._floor_ms

    def boot_ms(self) -> int:
        """Return the reading of the boottime clock."""
        return self._boottime()

    @property
    def state(self) -> TimeState:
        """Return what has to be kept for the next start."""
        return self._state

    @property
    def trusted(self) -> bool:
        """Return whether the registry confirmed the time in this boot."""
        return self._state.trusted

    def correct(self, *, boot_ms: int, registry_ms: int) -> None:
        """Take in what the registry's clock said at `boot_ms`.

        The first word in a boot may take back a wrong guess, since nothing was written down by it.
        """
        if not self._state.trusted:
            self._floor_ms = self._kept_floor_ms
        self._state = corrected(
            self._state, boot_ms=boot_ms, registry_ms=registry_ms, floor_ms=self._floor_ms
        )
