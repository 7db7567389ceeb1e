"""What is mailed, and what a mailer must do.

Addresses in a letter are made from the configured base URL, never from what a request says its
host is.
"""

from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail in plain text."""

    to: str
    subject: str
    text: str


class Mail(Protocol):
    """Sends letters."""

    def send(self, letter: Letter) -> None:
        """Hand the letter over; raise Fault when nobody takes it."""


def sign_in_letter(
    email: str, *, base_url: str, token: str, code: str, next_url: str, minutes: int
) -> Letter:
    """Return the letter with the link and the code."""
    query = urlencode({"token": token} | ({"next": next_url} if next_url != "/" else {}))
    text = (
        f"Sign in to Outstation as {email}:\n\n"
        f"{base_url}/login/confirm?{query}\n\n"
        f"Or type this code where you asked for it: {code}\n\n"
        f"Both work once and for {minutes} minutes. If you did not ask for this letter, you need\n"
        "do nothing: without the link nobody is signed in.\n"
    )
    return Letter(to=email, subject="Your sign-in link for Outstation", text=text)
