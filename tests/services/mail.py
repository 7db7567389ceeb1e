"""An SMTP server on loopback that keeps what it receives."""

from asyncio import Server
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

HOST = "127.0.0.1"


@dataclass  # without slots: aiosmtpd asks for every member, which Python 3.11.2 then refuses
class Mailbox:
    """What came in, oldest first, and the address it came in at."""

    host: str = HOST
    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep one letter; the name is the one aiosmtpd calls."""
        assert isinstance(envelope.content, bytes)
        letter = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(letter, EmailMessage)
        self.letters.append(letter)
        return "250 kept"


class _FreePortController(Controller):
    """A controller that learns its port from the socket it got."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@contextmanager
def running_mailbox() -> Iterator[Mailbox]:
    """A server on a free port, gone when the block ends."""
    mailbox = Mailbox()
    controller = _FreePortController(mailbox, hostname=HOST, port=0)
    controller.start()
    try:
        mailbox.port = controller.port
        yield mailbox
    finally:
        controller.stop(no_assert=True)
