"""The plan over every mixture of what is desired, stored and seen."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agent.allocations.actions import (
    Adopt,
    Begin,
    Create,
    Discard,
    Finish,
    Forget,
    Free,
    Kill,
    NoteUnknown,
    Remove,
    Start,
    Stop,
    allocation_of,
)
from agent.allocations.plan import Sight, plan
from agent.allocations.run import Run, is_settled
from agent.allocations.runtime import Container
from agent.leases.gate import NO_LEASE, Verdict
from protocol.desired import DesiredAllocation
from tests.fakes.orders import TENANT, numbered_id, order, orders

A, B = numbered_id("allocation", 1), numbered_id("allocation", 2)
NOW_MS = 10_000_000
MAY = Verdict(may_start=True, may_continue=True, since_boot_ms=None, reason="")
PHASES = ["pulling", "starting", "probing", "running", "stopping", "exited", "absent"]

moments = st.none() | st.sampled_from([1_000, 2_000, NOW_MS])


@st.composite
def runs(draw: st.DrawFn, allocation_id: str) -> Run:
    return Run(
        allocation_id=allocation_id,
        tenant_id=TENANT,
        project_id="p",
        sku="s",
        kind=draw(st.sampled_from(["service", "task"])),
        known=draw(st.booleans()),
        attempt=1,
        generation=draw(st.integers(0, 2)),
        phase=draw(st.sampled_from(PHASES)),
        since_ms=draw(st.sampled_from([1_000, NOW_MS])),
        requested_at_ms=1_000,
        spec_hash=draw(st.sampled_from(["", "h1"])),
        container_id=draw(st.sampled_from(["", "c1", "c2"])),
        boot_id=draw(st.sampled_from(["b1", "b2"])),
        started_at_ms=draw(moments),
        ready_at_ms=draw(moments),
        stop_asked_at_ms=draw(moments),
        stop_reason=draw(st.sampled_from([None, "released", "lease", "probe_timeout"])),
        released_at_ms=draw(moments),
        failure=draw(st.sampled_from([None, "lease", "interrupted", "exited"])),
        metered_to_ms=draw(moments),
        closed=draw(st.booleans()),
    )


@st.composite
def containers(draw: st.DrawFn, allocation_id: str) -> Container:
    state = draw(st.sampled_from(["created", "running", "exited"]))
    return Container(
        container_id=draw(st.sampled_from(["c1", "c2"])),
        allocation_id=allocation_id,
        tenant_id=TENANT,
        state=state,
        spec_hash=draw(st.sampled_from(["h1", "h2"])),
        started_at_ms=None if state == "created" else draw(st.sampled_from([1_000, 2_000])),
        finished_at_ms=3_000 if state == "exited" else None,
        exit_code=draw(st.sampled_from([0, 1])) if state == "exited" else None,
    )


@st.composite
def sights(draw: st.DrawFn) -> Sight:
    wanted: list[DesiredAllocation] = []
    known: dict[str, Run] = {}
    seen: list[Container] = []
    for id_ in (A, B):
        phase = draw(st.sampled_from([None, "running", "absent"]))
        if phase is not None:
            wanted.append(order(id_, phase=phase))
        if draw(st.booleans()):
            known[id_] = draw(runs(id_))
        seen += draw(st.lists(containers(id_), max_size=2, unique_by=lambda one: one.container_id))
    return Sight(
        now_ms=NOW_MS,
        skew_ms=0,
        boot_id="b1",
        desired=draw(st.sampled_from([None, orders(wanted, generation=2)])),
        runs=known,
        containers=seen,
        verdicts={TENANT: draw(st.sampled_from([MAY, NO_LEASE]))},
        holders=draw(st.frozensets(st.sampled_from([A, B]))),
    )


@given(sights())
def test_there_is_an_answer_to_everything_and_one_step_for_each(sight: Sight) -> None:
    actions = plan(sight)

    assert len({allocation_of(action) for action in actions}) == len(actions)


@given(sights())
def test_a_container_is_made_only_where_none_is_and_on_an_order(sight: Sight) -> None:
    for action in plan(sight):
        if isinstance(action, Create):
            assert not seen_of(sight, action.run.allocation_id)
            assert action.run.spec_hash is not None
            assert phase_wanted(sight, action.run.allocation_id) == "running"
            assert sight.verdicts[TENANT].may_start
        if isinstance(action, Start):
            assert action.container.state == "created"
            assert action.container.spec_hash == action.run.spec_hash
            assert sight.verdicts[TENANT].may_start


@given(sights())
def test_only_absent_takes_a_container_away_for_good(sight: Sight) -> None:
    for action in plan(sight):
        wanted = phase_wanted(sight, allocation_of(action))
        if isinstance(action, Remove):
            assert wanted == "absent"
            assert action.container is None or action.container.state != "running"
        if isinstance(action, Stop) and action.reason == "released":
            assert wanted == "absent"
        if isinstance(action, Discard):
            assert wanted == "running"
            assert action.container.state != "running"
        if isinstance(action, Kill):
            assert wanted is not None or action.run.phase == "stopping"
        if isinstance(action, Forget):
            assert wanted is None


@given(sights())
def test_gpus_are_let_go_only_by_what_has_ended_and_is_settled(sight: Sight) -> None:
    for action in plan(sight):
        if isinstance(action, Free | Remove) and action.run.phase == "exited":
            assert is_settled(action.run)
        if isinstance(action, Free):
            assert all(
                one.state != "running" for one in seen_of(sight, action.run.allocation_id)[:1]
            )


@given(sights())
def test_what_runs_unasked_is_never_touched(sight: Sight) -> None:
    for action in plan(replace(sight, desired=None, runs={})):
        assert isinstance(action, NoteUnknown)


@given(sights())
def test_a_run_goes_on_only_in_the_very_container_it_began(sight: Sight) -> None:
    ended = {allocation_of(one) for one in plan(sight) if isinstance(one, Finish)}
    for run in sight.runs.values():
        mine = seen_of(sight, run.allocation_id)
        if run.phase not in ("probing", "running") or not mine or not run.known:
            continue
        same = any(
            (one.container_id, one.started_at_ms, "b1")
            == (run.container_id, run.started_at_ms, run.boot_id)
            for one in mine
        )
        if not same and phase_wanted(sight, run.allocation_id) != "absent":
            assert run.allocation_id in ended


@given(sights())
def test_nothing_begins_over_a_run_that_still_lives(sight: Sight) -> None:
    for action in plan(sight):
        if isinstance(action, Begin):
            run = sight.runs.get(action.desired.allocation_id)
            assert run is None or not run.known or run.phase in ("exited", "absent")
        if isinstance(action, Adopt):
            assert action.run.phase in ("pulling", "starting")


def seen_of(sight: Sight, allocation_id: str) -> list[Container]:
    return [one for one in sight.containers if one.allocation_id == allocation_id]


def phase_wanted(sight: Sight, allocation_id: str) -> str | None:
    allocations = () if sight.desired is None else sight.desired.allocations
    return next((one.phase for one in allocations if one.allocation_id == allocation_id), None)
