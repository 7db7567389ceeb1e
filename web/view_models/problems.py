"""The page of a refusal or a fault."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """What happened, what it means for money and data, what to do.

    title  a sentence without a code: "This node does not exist, or is not yours to see."
    means  what it means for money and data: "Nothing was changed and nothing was charged."
    links  label and href of what can be done next, the first is the main one
    """

    status: int
    code: str
    title: str
    means: str
    remedy: str
    request_id: str
    links: tuple[tuple[str, str], ...] = (("Go to Home", "/"),)
