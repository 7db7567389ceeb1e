"""Somebody at a browser: signs in by the letters in the outbox, launches, looks, releases.

Whatever the browser complains of is kept: errors and warnings on the console, which is where a
breach of the content policy shows, and scripts that fail.
"""

import email
import re
import shlex
from dataclasses import dataclass, field
from decimal import Decimal
from email import policy

from playwright.sync_api import ConsoleMessage, Locator, Page, expect

from protocol.money import MICROS_PER_UNIT
from tests.paths.site import FOREVER, Site
from tests.paths.template import OWNER

LINK = re.compile(r"https?://\S+/login/confirm\S+")
CODE = re.compile(r"\b[0-9]{6}\b")
LIVE_MS = 30_000
CHARGE = 2
"""The cell of a usage record, after the head of its row, that holds what was charged."""

WIDTH = "() => document.documentElement.scrollWidth - innerWidth"


@dataclass
class Browsing:
    """A browser in front of a running site, in the hands of the owner of its organization."""

    site: Site
    page: Page
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    # Signing in and out

    def ask_for_a_letter(self) -> str:
        """Ask to sign in, and return the letter that came."""
        known = len(self._letters())
        self.open("/login")
        self.page.get_by_label("E-mail").fill(OWNER)
        self.page.get_by_role("button", name="Continue with e-mail").click()
        self.page.wait_for_url("**/login/check-email*")
        self.site.wait("a letter", lambda: len(self._letters()) > known)
        return self._letters()[-1]

    def sign_in(self) -> None:
        """Sign in by the letter's link."""
        self.page.goto(found(LINK, self.ask_for_a_letter()))
        self.press_sign_in()

    def press_sign_in(self) -> None:
        """Press the button of the page that the link leads to."""
        self.page.get_by_role("button", name=re.compile("^Sign in as")).click()
        expect(self.page.get_by_role("heading", name="Home", exact=True)).to_be_visible()

    def sign_out(self) -> None:
        self.page.get_by_role("button", name="Sign out").click()
        self.page.wait_for_url("**/login*")

    def is_signed_in(self) -> bool:
        """Open Home, and say whether it is shown rather than the way to sign in."""
        self.open("/")
        return "/login" not in self.page.url

    # Workloads

    def fill_launch(self, name: str) -> None:
        """Fill the launch page with what must be chosen, and a name."""
        self.open("/launch")
        self.page.get_by_label("Container image").fill(self.site.image)
        self.page.get_by_label("Start command").fill(shlex.join(FOREVER))
        self.page.get_by_label("Name (optional)").fill(name)

    def press_launch(self) -> str:
        """Press Launch; return the path of the workload's page."""
        self.page.get_by_role("button", name=re.compile("^Launch for")).click()
        self.page.wait_for_url("**/workloads/a_*")
        return self.page.url.removeprefix(self.site.setting.registry_url)

    def press_release(self, name: str) -> None:
        """Press Release, and confirm it in the dialog."""
        self.page.get_by_role("button", name="Release", exact=True).click()
        dialog = self.page.get_by_role("dialog", name=f"Release {name}?")
        with self.page.expect_navigation():
            dialog.get_by_role("button", name=f"Release {name}").click()

    @property
    def state(self) -> Locator:
        """The badge and the sentence above the state path."""
        return self.page.locator("#state-title")

    def figure(self, name: str) -> Locator:
        """A figure of the strip, by its name."""
        return self.page.locator(".kpis > div", has_text=name).locator("dd")

    def reload_until(self, state: str) -> None:
        """Ask for the page again by hand until it shows the state."""

        def shows() -> bool:
            self.page.reload()
            return state in self.state.inner_text()

        self.site.wait(f"the state {state}", shows)

    # Money

    def billed(self) -> int:
        """What the workload's own page says it came to, in micros."""
        table = self.page.get_by_role("table", name="Usage records with their receipts")
        return _micros(table.get_by_role("row").nth(1).get_by_role("cell").nth(CHARGE))

    def open_newest_receipt(self, name: str) -> int:
        """Go by links to the newest receipt of a workload; return what the ledger charged."""
        self.open("/billing")
        self.page.get_by_role("link", name="Ledger", exact=True).click()
        table = self.page.get_by_role("table", name="Ledger entries")
        heads = [head.inner_text() for head in table.get_by_role("columnheader").all()]
        # A phone shows one column of amounts with their sign, a wide window one per direction.
        column = heads.index("Charged" if "Charged" in heads else "Amount") - 1
        rows = table.get_by_role("row").filter(has_text=name)
        charged = sum(_micros(row.get_by_role("cell").nth(column)) for row in rows.all())
        rows.first.get_by_role("link", name=re.compile("^Receipt")).click()
        expect(self.page.get_by_role("heading", name=re.compile("^Receipt"))).to_be_visible()
        return charged

    # Looking

    def open(self, path: str) -> None:
        """Open a page of the registry."""
        self.page.goto(f"{self.site.setting.registry_url}{path}")

    def look_at(self, path: str) -> None:
        """Open a page; it must be there, no wider than the window, and without a complaint."""
        self.open(path)
        assert self.page.get_by_role("heading", level=1).count() == 1, path
        assert self.page.evaluate(WIDTH) <= 0, f"{path} is wider than its window"
        assert self.complaints == [], path

    def _letters(self) -> list[str]:
        folder = self.site.setting.folder / "outbox"
        files = sorted(folder.glob("*.eml"), key=lambda file: file.stat().st_mtime_ns)
        read = [email.message_from_bytes(f.read_bytes(), policy=policy.default) for f in files]
        bodies = [letter.get_body(("plain",)) for letter in read]
        return [str(body.get_content()) for body in bodies if body is not None]

    def _note(self, line: ConsoleMessage) -> None:
        if line.type in ("error", "warning"):
            self.complaints.append(f"{self.page.url}: {line.text}")


def _micros(shown: Locator) -> int:
    return int(Decimal(shown.inner_text().lstrip("\N{MINUS SIGN}$")) * MICROS_PER_UNIT)


def found(pattern: re.Pattern[str], letter: str) -> str:
    """What a letter holds of a pattern."""
    match = pattern.search(letter)
    assert match is not None, letter
    return match.group(0)
