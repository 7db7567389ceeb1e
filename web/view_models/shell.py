"""What surrounds every signed-in page."""

from dataclasses import dataclass

from web.navigation import NavGroup


@dataclass(frozen=True, slots=True)
class Space:
    """An organization and project the actor may switch to (POST /switch: tenant, project)."""

    tenant_id: str
    project_id: str
    organization: str
    project: str
    current: bool = False


@dataclass(frozen=True, slots=True)
class Banner:
    """A line that stays on every page until its cause is gone.

    kind     warning critical depleted frozen closed pending failed unverified (billing), platform,
             signed_out
    lead     the bold beginning, a whole sentence: "Balance low: $6.41 left."
    text     what follows in plain words, may be empty
    actions  label and href of the remedies, the first one is the main one
    """

    kind: str
    lead: str
    text: str = ""
    actions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Balance:
    """The chip in the top bar.  state: funded low critical depleted frozen closed"""

    micros: int
    state: str = "funded"


@dataclass(frozen=True, slots=True)
class PrimaryAction:
    """The one call to action of the top bar: Launch, or Add node for those who operate sites."""

    label: str
    href: str
    icon: str = "plus"


LAUNCH = PrimaryAction("Launch", "/launch")
ADD_NODE = PrimaryAction("Add node", "/nodes/new")


@dataclass(frozen=True, slots=True)
class Shell:
    """Top bar, banners, navigation and footer.

    spaces       what the switcher offers, the current one marked; empty hides it
    nav          from `web.navigation.navigation`
    banners      at most one about billing and one about the platform
    search_url   where `Search or jump to` sends its q; None hides it
    status_url   the public status page; None hides the link
    theme        "light", "dark" or "" for what the system says (from the cookie `theme`)
    """

    email: str
    nav: tuple[NavGroup, ...]
    now_ms: int
    spaces: tuple[Space, ...] = ()
    banners: tuple[Banner, ...] = ()
    balance: Balance | None = None
    primary: PrimaryAction | None = None
    search_url: str | None = None
    status_url: str | None = None
    theme: str = ""

    @property
    def space(self) -> Space | None:
        """The organization and project the actor works in."""
        return next((space for space in self.spaces if space.current), None)
