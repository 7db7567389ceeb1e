"""Which images answer to what a manifest names."""

import pytest

from agent.allocations.images import is_allowed, is_this_image, qualified_name
from agent.allocations.runtime import ImageFacts
from protocol.manifest import read_image

DIGEST = "sha256:" + "12" * 32
OTHER = "sha256:" + "34" * 32


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("busybox", "docker.io/library/busybox"),
        ("acme/work", "docker.io/acme/work"),
        ("ghcr.io/acme/work", "ghcr.io/acme/work"),
        ("localhost/work", "localhost/work"),
        ("127.0.0.1:5000/work", "127.0.0.1:5000/work"),
    ],
)
def test_short_names_are_read_as_the_engine_reads_them(name: str, full: str) -> None:
    assert qualified_name(name) == full


@pytest.mark.parametrize(
    ("entry", "allowed"),
    [
        ("ghcr.io", True),
        ("ghcr.io/", True),
        ("ghcr.io/acme", True),
        ("ghcr.io/acme/work", True),
        ("ghcr.io/acm", False),
        ("ghcr.i", False),
        ("docker.io", False),
        ("ghcr.io/acme/work/more", False),
    ],
)
def test_a_registry_counts_by_whole_components(entry: str, allowed: bool) -> None:
    assert is_allowed("ghcr.io/acme/work", (entry,)) is allowed


def test_a_pulled_image_answers_to_its_name_and_digest_while_allowed_and_never_to_its_id() -> None:
    facts = ImageFacts(OTHER, "amd64", digests=(f"ghcr.io/acme/work@{DIGEST}",))
    named = read_image(f"ghcr.io/acme/work@{DIGEST}")

    assert is_this_image(named, facts, ("ghcr.io",))
    assert not is_this_image(named, facts, ())
    assert not is_this_image(read_image(f"ghcr.io/other/work@{DIGEST}"), facts, ("ghcr.io",))
    assert not is_this_image(read_image(f"ghcr.io/acme/work@{OTHER}"), facts, ("ghcr.io",))


def test_an_imported_image_answers_to_its_id() -> None:
    facts = ImageFacts(DIGEST, "amd64")

    assert is_this_image(read_image(f"anything@{DIGEST}"), facts, ())
    assert not is_this_image(read_image(f"anything@{OTHER}"), facts, ())
