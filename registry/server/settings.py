"""What the views of several rooms need to know of how this registry was set up."""

from dataclasses import dataclass

from flask import current_app

from protocol.enrolment import TrustKey
from protocol.signing import SigningKey

EXTENSION = "outstation-settings"


@dataclass(frozen=True, slots=True)
class Settings:
    """Values of the configuration, and the registry's key.

    domain      heads the origin of usage logs and the witness's name
    key         signs answers, documents and cosignatures
    trust_keys  what nodes are told to trust: the current key, and the next one while it rotates
    demo        whether simulated accelerators may enrol and be sold
    outbox      where letters are put when none are really sent, else empty
    bank_transfer  how to pay by bank transfer, in words; empty where that is not offered
    cards       whether payments by card are set up
    """

    base_url: str
    domain: str
    key: SigningKey
    trust_keys: tuple[TrustKey, ...]
    demo: bool
    outbox: str
    bank_transfer: str = ""
    cards: bool = False


def settings() -> Settings:
    """Return how this registry was set up."""
    found = current_app.extensions[EXTENSION]
    assert isinstance(found, Settings)
    return found
