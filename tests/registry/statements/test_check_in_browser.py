"""A statement is checked in the reader's own browser, with the verdict of the command."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import msgspec
import pytest
from msgspec.structs import replace
from playwright.sync_api import Page, expect
from werkzeug.serving import make_server

from protocol.refusal import LogRefused
from protocol.statement import Statement, StatementLine, verify_statement
from tests.protocol.test_statement import statement
from tests.registry.rig import running
from tests.services.databases import Databases

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def served(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a registry on loopback."""
    databases = Databases(run_folder, None)
    folder = tmp_path_factory.mktemp("served")
    with running(databases, folder, demo=True, trusted_hosts=("127.0.0.1",)) as rig:
        server = make_server("127.0.0.1", 0, rig.app, threaded=True)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
        server.server_close()
    databases.drop_all()


def test_a_statement_is_checked_in_the_browser_and_a_changed_one_refused(
    served: str, new_page: Callable[..., Page], tmp_path: Path
) -> None:
    good = msgspec.json.encode(statement()).decode()
    first, second = statement().lines
    dearer = replace(first, charged_micros=first.charged_micros + 1)
    cases = {
        "Holds: $5.600004": (good, "2 lines, 4 receipts"),
        "Does not hold": (good.replace("2026-11", "2026-10", 1), "did not sign"),
        "Does not hold ": (told(lines=(dearer, second)), "Line 1 (train): By its price"),
        "Does not hold  ": (told(lines=(swapped(first), second)), "signed root"),
        "Does not hold   ": (good + "}", "no statement"),
    }

    page = new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{served}/verify")
    for number, (verdict, (content, detail)) in enumerate(cases.items()):
        file = tmp_path / f"{number}.json"
        file.write_text(content)
        page.set_input_files("#verify-file", str(file))
        expect(page.locator("#verify-detail")).to_contain_text(detail)
        expect(page.locator("#verify-verdict")).to_have_text(verdict.strip())
        if number == 0:
            assert page.locator("#verify-lines tr").count() == 2
    assert problems == []


def test_the_browser_and_the_command_agree_on_every_change(
    served: str, new_page: Callable[..., Page]
) -> None:
    first, second = statement().lines
    changed = [
        statement(),
        statement(signature="AAAA"),
        statement(tenant_id="t_2"),
        statement(begin_at_ms=statement().end_at_ms),
        statement(logs=()),
        statement(lines=(first,)),
        statement(lines=(second, first)),
        *(
            statement(lines=(replace(first, **{field: value}), second))
            for field, value in (
                ("owner", "a_2"), ("cum_before", 0), ("cum_after", 1), ("sku", "h200"),
                ("origin", "x"), ("first", second.first), ("unbilled_micros", 5),
                ("price", replace(first.price, num=1)), ("name", "ünï\u2028\x07"),
            )
        ),
    ]  # fmt: skip

    page = new_page()
    page.goto(f"{served}/verify")
    by_browser = [
        page.evaluate(
            "async (one) => (await import('/static/verify/statement.js'))"
            ".verifyStatement(one).then(() => true, () => false)",
            json.loads(msgspec.json.encode(one)),
        )
        for one in changed
    ]

    assert by_browser == [_holds(one) for one in changed]
    assert by_browser.count(True) == 3


def told(**changes: object) -> str:
    return msgspec.json.encode(statement(**changes)).decode()


def swapped(line: StatementLine) -> StatementLine:
    return replace(line, last=line.last.replace("index 59", "index 58"))


def _holds(made: Statement) -> bool:
    try:
        verify_statement(made)
    except LogRefused:
        return False
    return True
