"""Letters arrive whole, by SMTP or in the outbox, and a server that is away is said to be."""

import stat
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from protocol.refusal import Fault
from registry.accounts.letters import sign_in_letter
from registry.drivers.mail import OutboxMail, SmtpMail
from tests.services.mail import Mailbox

LETTER = sign_in_letter(
    "ana@umoja.example",
    base_url="https://registry.example",
    token="0" * 52,
    code="123456",
    next_url="/billing?tab=ledger",
    minutes=15,
)
LINK = f"https://registry.example/login/confirm?token={'0' * 52}&next=%2Fbilling%3Ftab%3Dledger"
SENDER = "Outstation <registry@registry.example>"


def test_a_letter_arrives_by_smtp_with_its_link_on_one_line(smtp_server: Mailbox) -> None:
    mail = SmtpMail(smtp_server.host, smtp_server.port, "none", SENDER)

    mail.send(LETTER)

    (letter,) = smtp_server.letters
    assert letter["To"] == "ana@umoja.example"
    assert letter["From"] == SENDER
    assert letter["Auto-Submitted"] == "auto-generated"
    assert LINK in letter.get_content().splitlines()
    assert "123456" in letter.get_content()


def test_a_server_that_is_away_is_a_fault_that_names_it_and_no_secret() -> None:
    mail = SmtpMail("127.0.0.1", 1, "none", SENDER, username="u", password="hunter2")

    with pytest.raises(Fault, match=r"mail by 127\.0\.0\.1:1") as fault:
        mail.send(LETTER)

    assert "hunter2" not in str(fault.value)
    assert "hunter2" not in repr(mail)


def test_a_server_without_starttls_gets_no_letter_in_the_clear(smtp_server: Mailbox) -> None:
    mail = SmtpMail(smtp_server.host, smtp_server.port, "starttls", SENDER)

    with pytest.raises(Fault):
        mail.send(LETTER)

    assert smtp_server.letters == []


def test_letters_lie_in_the_outbox_in_the_order_they_were_sent(tmp_path: Path) -> None:
    mail = OutboxMail(tmp_path / "outbox", SENDER)

    mail.send(LETTER)

    (path,) = (tmp_path / "outbox").iterdir()
    letter = message_from_bytes(path.read_bytes(), policy=policy.default)
    assert path.suffix == ".eml"
    assert LINK in letter.get_content().splitlines()
    assert stat.S_IMODE((tmp_path / "outbox").stat().st_mode) == 0o700


def test_an_outbox_that_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file, not a folder")

    with pytest.raises(Fault, match="mail into"):
        OutboxMail(tmp_path / "outbox", SENDER).send(LETTER)
