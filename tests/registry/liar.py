"""A node with a good key that says by HTTP whatever a test wants it to."""

from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from werkzeug.test import TestResponse

from protocol.http_signature import signed_request_headers
from protocol.observed import HostFacts
from protocol.sync import SyncAnswer
from protocol.wire import pack, unpack
from tests.registry.marketplace import GPU_MODEL, Marketplace, uuid_of
from tests.registry.rig import BASE_URL

SYNC_URL = f"{BASE_URL}/node/v1/sync"


@dataclass(slots=True)
class Liar:
    """The market's node, saying by HTTP whatever a test wants it to."""

    market: Marketplace
    calls: int = field(default=0)

    def says(self, **changes: object) -> TestResponse:
        """Send a sync with these fields changed, in whatever JSON they are."""
        self.calls += 1
        plain: dict[str, Any] = {
            "agent_version": "1.0",
            "protocol": 1,
            "boot_id": "boot-1",
            "sequence": self.calls,
            "sent_at_ms": self.market.rig.clock(),
            "gateway_url": "https://gpu01.example",
            "desired_generation": 0,
            "key_set_version": 0,
            "host": HostFacts("gpu01", 8, 32_768, 100_000, "Docker", "6.1"),
            "accelerators": [card(at) for at in range(2)],
            "allocations": [],
            "models": [],
            "findings": [],
            "leases": [],
        }
        return self.posts(pack({**plain, **changes}), key=self.market.node_key)

    def posts(self, body: bytes, *, key: Ed25519PrivateKey) -> TestResponse:
        """Send a body signed by any key."""
        headers = signed_request_headers(
            method="POST",
            url=SYNC_URL,
            body=body,
            key=key,
            now_ms=self.market.rig.clock(),
            nonce=f"nonce-of-call-{self.calls:08d}",
        )
        client = self.market.rig.app.test_client()
        return client.post("/node/v1/sync", base_url=BASE_URL, data=body, headers=headers)

    def hears(self, **changes: object) -> SyncAnswer:
        """Return what the registry answers to a sync with these fields changed."""
        answer = self.says(**changes)
        assert answer.status_code == 200, answer.text
        return unpack(answer.get_data(), SyncAnswer)


def card(at: int, **changes: object) -> dict[str, object]:
    """A GPU as the driver describes it."""
    fact = {
        "uuid": uuid_of(at),
        "model": GPU_MODEL,
        "memory_mib": 81_920,
        "simulated": True,
        "healthy": True,
    }
    return {**fact, **changes}


def finding(**changes: object) -> dict[str, object]:
    """A finding of the node's own."""
    plain = {
        "code": "disk_full",
        "severity": "info",
        "subject": "",
        "since_ms": 1,
        "detail": "",
        "remedy": "",
    }
    return {**plain, **changes}


def observed(allocation_id: str, **changes: object) -> dict[str, object]:
    """What the node sees of an allocation."""
    return {"allocation_id": allocation_id, "phase": "pulling", "since_ms": 1, **changes}
