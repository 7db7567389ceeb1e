"""Letters over SMTP, or into a folder where no mail is sent."""

import secrets
import smtplib
import ssl
import time
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path

from protocol.refusal import Fault
from registry.accounts.letters import Letter

TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class SmtpMail:
    """Hands letters to an SMTP server.

    security  starttls, tls, or none for a server on this machine
    """

    host: str
    port: int
    security: str
    sender: str
    username: str = ""
    password: str = field(default="", repr=False)

    def send(self, letter: Letter) -> None:
        """Hand the letter over; raise Fault when the server does not take it."""
        message = _message(letter, self.sender)
        try:
            context = ssl.create_default_context()
            with self._connection(context) as server:
                if self.security == "starttls":
                    server.starttls(context=context)
                if self.username:
                    server.login(self.username, self.password)
                server.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            raise Fault(f"mail by {self.host}:{self.port}: {type(error).__name__}") from error

    def _connection(self, context: ssl.SSLContext) -> smtplib.SMTP:
        if self.security == "tls":
            return smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT_S, context=context)
        return smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_S)


@dataclass(frozen=True, slots=True)
class OutboxMail:
    """Puts each letter into a folder as an .eml file, the newest last by name."""

    folder: Path
    sender: str

    def send(self, letter: Letter) -> None:
        """Write the letter; raise Fault when the folder cannot be written."""
        name = f"{time.time_ns() // 1_000_000:013d}-{secrets.token_hex(4)}"
        draft = self.folder / f".{name}"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.write_bytes(_message(letter, self.sender).as_bytes())
            draft.rename(self.folder / f"{name}.eml")
        except OSError as error:
            raise Fault(f"mail into {self.folder}: {error}") from error


def _message(letter: Letter, sender: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = letter.to
    message["Subject"] = letter.subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2].rstrip(">"))
    message["Auto-Submitted"] = "auto-generated"
    # The link must stay one line: quoted-printable would break it.
    message.set_content(letter.text, cte="7bit" if letter.text.isascii() else "8bit")
    return message
