"""Names of organizations, projects and sites, as they are kept and compared.

A name is kept as typed, in NFC; two names are the same when they look the same: case, width and
space do not count.  Characters that do not show, or turn the line around, are refused.
"""

import unicodedata

from protocol.refusal import Refusal

NAME_CHARACTERS_MAX = 80
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def read_name(text: str, *, field: str = "name", label: str = "The name") -> str:
    """Return the name as it is kept."""
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not name:
        raise _refused(field, f"{label} is needed.")
    if len(name) > NAME_CHARACTERS_MAX:
        raise _refused(field, f"{label} may have at most {NAME_CHARACTERS_MAX} characters.")
    if any(unicodedata.category(character) in UNSEEN for character in name):
        raise _refused(field, f"{label} holds characters that do not show.")
    return name


def name_key(name: str) -> str:
    """Return what is compared: equal for names that look the same."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _refused(field: str, message: str) -> Refusal:
    return Refusal(
        code="name_invalid", status=422, message=message, hint="Choose another.", field=field
    )
