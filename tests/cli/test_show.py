"""What people read is whole, and times are times."""

import pytest

from cli.show import show_table, show_time


def test_a_table_is_never_cut_however_narrow_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    allocation_id = f"a_{'0' * 27}"

    show_table(("ID", "NAME", "SPENT"), [(allocation_id, "n" * 48, "$0.008761")], right=1)

    first, second = capsys.readouterr().out.splitlines()
    assert second.split() == [allocation_id, "n" * 48, "$0.008761"]
    assert len(first) == len(second)


def test_a_moment_is_shown_in_utc() -> None:
    assert show_time(1_795_194_879_773) == "2026-11-20 17:14:39Z"
