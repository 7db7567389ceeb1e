"""What a workload's page says in each state."""

from dataclasses import replace

import pytest

from protocol.clock import HOUR_MS, MINUTE_MS
from protocol.lifecycle import State
from protocol.manifest import Manifest
from registry.allocations.panels import losses, state_path, workload_row
from registry.allocations.seen import SeenAllocation, SeenEvent

NOW_MS = 1_795_176_000_000
SEEN = SeenAllocation(
    allocation_id="a_1",
    tenant_id="t_1",
    project_id="p_1",
    name="train",
    state=State.ACTIVE,
    reason="",
    manifest=Manifest(image=f"x@sha256:{'ab' * 32}"),
    sku_id="h100",
    sku_name="H100",
    accelerator_model="H100 80GB",
    accelerator_count=1,
    simulated=True,
    node_id="n_1",
    node_name="gpu01",
    site_name="nbo",
    site_tenant_id="t_2",
    hourly_micros=3_600_000,
    owner="ana@umoja.example",
    created_at_ms=NOW_MS - HOUR_MS,
    ready_at_ms=NOW_MS - 30 * MINUTE_MS,
    release_at_ms=None,
    ended_at_ms=None,
    cleaned_at_ms=None,
    phase="running",
    phase_detail="",
    container_id="",
    accelerators=(),
    exit_code=None,
    last_contact_at_ms=NOW_MS - 1_000,
    charged_micros=0,
    verified_to_ms=None,
    last_fact="running",
)
ASKED = SeenEvent(NOW_MS - 60_000, State.REQUESTED, "Asked for 1.", "ana@umoja.example")
PLACED = SeenEvent(NOW_MS - 60_000, State.PROVISIONING, "Placed on gpu01 at nbo.", "registry")
PULLING = SeenEvent(NOW_MS - 59_000, State.PROVISIONING, "fetching the image", "node")
PULLED_HALF = SeenEvent(NOW_MS - 50_000, State.PROVISIONING, "1.6 of 3.2 GB", "node")
PROBING = SeenEvent(NOW_MS - 40_000, State.PROVISIONING, "waiting until it answers", "node")
READY = SeenEvent(NOW_MS - 30_000, State.ACTIVE, "running", "node")


def test_the_path_begins_with_who_asked_and_where_it_was_placed() -> None:
    steps = state_path(replace(SEEN, state=State.PROVISIONING), [ASKED, PLACED])

    assert [(step.label, step.status) for step in steps] == [
        ("Requested", "done"),
        ("Placed", "done"),
        ("Image", "current"),
        ("Start", "future"),
        ("Probe", "future"),
        ("Active", "future"),
    ]
    assert steps[1].fact == "gpu01 at nbo"
    assert steps[2].fact == "the node has not answered yet"


def test_a_phase_keeps_its_beginning_and_shows_its_latest_fact() -> None:
    steps = state_path(
        replace(SEEN, state=State.PROVISIONING), [ASKED, PLACED, PULLING, PULLED_HALF]
    )

    assert (steps[2].label, steps[2].status) == ("Image", "current")
    assert (steps[2].at_ms, steps[2].fact) == (PULLING.at_ms, "1.6 of 3.2 GB")


def test_phases_that_were_never_seen_are_not_invented() -> None:
    steps = state_path(SEEN, [ASKED, PLACED, PULLING, PROBING, READY])

    assert [(step.label, step.status) for step in steps] == [
        ("Requested", "done"),
        ("Placed", "done"),
        ("Image", "done"),
        ("Probe", "done"),
        ("Active", "done"),
    ]


def test_a_failure_marks_the_step_it_happened_in() -> None:
    failed = SeenEvent(NOW_MS, State.FAILED, "It could not be fetched.", "node")

    steps = state_path(replace(SEEN, state=State.FAILED), [ASKED, PLACED, PULLING, failed])

    assert [(step.label, step.status) for step in steps[2:]] == [
        ("Image", "failed"),
        ("Failed", "failed"),
    ]


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_a_path_with_at_most_one_present_step(state: State) -> None:
    events = [ASKED, PLACED, PULLING, READY, SeenEvent(NOW_MS, state, "so it is", "node")]

    steps = state_path(replace(SEEN, state=state), events)

    assert sum(step.status == "current" for step in steps) <= 1
    assert steps[0].label == "Requested"


def test_time_since_the_last_verified_record_is_held() -> None:
    assert SEEN.held_micros(NOW_MS) == 1_800_000
    verified = replace(SEEN, verified_to_ms=NOW_MS - MINUTE_MS)
    assert verified.held_micros(NOW_MS) == 60_000


def test_nothing_is_held_after_the_release_or_the_end() -> None:
    released = replace(SEEN, state=State.RELEASING, release_at_ms=NOW_MS - 20 * MINUTE_MS)

    assert released.held_micros(NOW_MS) == released.held_micros(NOW_MS + HOUR_MS) == 600_000
    assert replace(released, cleaned_at_ms=NOW_MS).held_micros(NOW_MS) == 0


def test_silence_matters_only_while_the_node_has_something_to_do() -> None:
    silent = replace(SEEN, last_contact_at_ms=NOW_MS - 46_000)

    assert workload_row(silent, now_ms=NOW_MS).no_contact_since_at_ms == NOW_MS - 46_000
    ended = replace(silent, state=State.RELEASED, ended_at_ms=NOW_MS)
    assert workload_row(ended, now_ms=NOW_MS).no_contact_since_at_ms is None


def test_a_release_names_what_it_deletes() -> None:
    writable = replace(SEEN, manifest=Manifest(image=SEEN.manifest.image, read_only_root=False))

    assert losses(SEEN) == ("Scratch files: up to 64 MiB",)
    assert len(losses(writable)) == 2
