"""What holds of every page before a browser sees it."""

import gzip
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.web import sample_nodes, sample_pages
from tests.web.preview import environment, rendered
from tests.web.sample_forms import LAUNCH_PAGE, WAITING
from tests.web.sample_parts import ledger_rows, shell
from tests.web.scenes import HOSTILE, Scene, scenes
from web import STATIC, TEMPLATES
from web.environment import static_url

NAMES = sorted(scenes())
STYLE_GZ_BYTES_MAX = 12 * 1024
SCRIPTS_GZ_BYTES_MAX = 8 * 1024
VERIFIER_GZ_BYTES_MAX = 5 * 1024
FRAGMENT_GZ_BYTES_MAX = 6 * 1024
PAGE_ROWS = 50
COLD_GZ_BYTES_MAX = {
    "login": 65_000,
    "launch": 85_000,
    "nodes": 90_000,
    "node": 90_000,
    "home": 120_000,
    "billing": 120_000,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_one_heading_one_main_and_at_most_one_primary_button(
    name: str, pages: dict[str, str]
) -> None:
    html = pages[name]

    assert html.count("<h1") == 1
    assert html.count("<main") == 1
    assert len(re.findall(r'class="button[^"]*\bprimary\b', html)) <= 1


@pytest.mark.parametrize("name", NAMES)
def test_every_form_that_changes_something_carries_the_token(
    name: str, pages: dict[str, str]
) -> None:
    forms = re.findall(r"<form\b.*?</form>", pages[name], re.DOTALL)

    posts = [form for form in forms if 'method="post"' in form]
    assert all('name="csrf_token" value="csrf-token-of-this-session"' in form for form in posts)
    assert all('action="/' in form for form in forms)


@pytest.mark.parametrize("name", NAMES)
def test_no_page_holds_inline_code_or_an_address_elsewhere(
    name: str, pages: dict[str, str]
) -> None:
    html = pages[name].replace(_escaped(HOSTILE), "")

    assert not re.search(r"<[^>]+\s(style|on[a-z]+)\s*=", html)
    assert not re.search(r"<style\b|javascript:", html)
    assert not re.search(r"<script(?![^>]*(\bsrc=|application/json))", html)
    assert not re.search(r'(src|href)="https?:', html)


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_unique_on_a_page(name: str, pages: dict[str, str]) -> None:
    ids = re.findall(r'\sid="([^"]+)"', pages[name])

    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", [name for name in NAMES if "hostile" in name])
def test_hostile_text_is_shown_and_never_runs(name: str, pages: dict[str, str]) -> None:
    assert _escaped(HOSTILE) in pages[name]
    assert "<img src=x" not in pages[name]
    assert "<script>alert" not in pages[name]


def test_every_template_of_a_page_has_a_scene() -> None:
    known = {scene.template for scene in scenes().values()}
    files = {path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("[!_]*.html")}

    assert {name for name in files if not name.startswith("shared/")} <= known


@pytest.mark.parametrize(
    ("part", "page"),
    [
        ("overview/_home", sample_pages.HOME),
        ("allocations/_rows", sample_pages.WORKLOAD_LIST),
        ("allocations/_live", sample_pages.WORKLOAD),
        ("allocations/_review", LAUNCH_PAGE),
        ("billing/_balance", sample_pages.BALANCE),
        ("nodes/_rows", sample_nodes.NODES),
        ("nodes/_live", sample_nodes.NODE),
        ("nodes/_waiting", WAITING),
    ],
)
def test_a_live_part_stands_alone_in_one_element_and_is_small(part: str, page: object) -> None:
    html = rendered(environment(), Scene(f"registry/{part}.html", page)).strip()

    name = re.match(r'<(\w+)[^>]*\bid="[^"]+"', html)
    assert name is not None
    assert html.endswith(f"</{name[1]}>")
    assert len(gzip.compress(html.encode())) <= FRAGMENT_GZ_BYTES_MAX


def test_ten_thousand_entries_are_read_page_by_page() -> None:
    entries = ledger_rows(10_000)
    made = environment()

    for start in range(0, len(entries), PAGE_ROWS * 20):
        rows = entries[start : start + PAGE_ROWS]
        page = replace(sample_pages.LEDGER, rows=rows, held=())
        html = rendered(made, Scene("registry/billing/ledger.html", page, shell("/billing/ledger")))

        assert html.count("/billing/receipts/") == sum(1 for row in rows if row.receipt_href)
        assert 'rel="next"' in html


def test_the_style_sheet_and_the_scripts_stay_within_their_budgets() -> None:
    scripts = b"".join(path.read_bytes() for path in sorted((STATIC / "js").glob("*.js")))

    assert len(gzip.compress((STATIC / "css/house.css").read_bytes())) <= STYLE_GZ_BYTES_MAX
    assert len(gzip.compress(scripts)) <= SCRIPTS_GZ_BYTES_MAX


def test_what_checks_a_statement_is_small_enough_to_be_read() -> None:
    scripts = b"".join(path.read_bytes() for path in sorted((STATIC / "verify").glob("*.js")))

    assert len(gzip.compress(scripts)) <= VERIFIER_GZ_BYTES_MAX


@pytest.mark.parametrize("name", sorted(COLD_GZ_BYTES_MAX))
def test_a_first_visit_stays_within_its_budget(name: str, pages: dict[str, str]) -> None:
    files = set(re.findall(r"/static/([^?\"#]+)", pages[name]))
    weights = {file: _sent_bytes(STATIC / file) for file in files}

    total = sum(weights.values()) + len(gzip.compress(pages[name].encode()))
    assert total <= COLD_GZ_BYTES_MAX[name], weights


def test_every_icon_a_template_names_is_in_the_sprite(vendor: Path, pages: dict[str, str]) -> None:
    sprite = (vendor / "icons.svg").read_text()
    used = set(re.findall(r"#i-([a-z0-9-]+)", "".join(pages.values())))

    assert {name for name in used if f'id="i-{name}"' not in sprite} == set()


def test_addresses_of_files_change_with_their_bytes_but_those_of_fonts_do_not() -> None:
    assert static_url("css/house.css", "a" * 64) == "/static/css/house.css?v=aaaaaaaaaaaa"
    assert static_url("vendor/inter-5.3.0.woff2", "a" * 64) == "/static/vendor/inter-5.3.0.woff2"
    assert "/vendor/inter-5.3.0.woff2" in (STATIC / "css/house.css").read_text().replace("..", "")


def _sent_bytes(path: Path) -> int:
    content = path.read_bytes()
    return len(content) if path.suffix == ".woff2" else len(gzip.compress(content))


def _escaped(text: str) -> str:
    return str(environment().from_string("{{ text }}").render(text=text))
