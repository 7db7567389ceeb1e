"""registry.toml into one frozen Config; what is wrong with it is said in one sentence."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, urlsplit

import msgspec

from protocol.refusal import Refusal
from protocol.settings import setting_fault

SQLITE = "sqlite:///"
POSTGRESQL = "postgresql+psycopg://"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
CONFIG_BYTES_MAX = 65_536
ORIGIN = "^https?://[^/?#; ]+$"
STRIPE_CHECKOUT = "https://checkout.stripe.com"
PORT_MAX = 65_535

Host = Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
FilePath = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
Email = Annotated[
    str,
    msgspec.Meta(
        pattern="^[^@ ]+@[^@ ]+$", max_length=254, description="an e-mail address, name@domain"
    ),
]
BaseUrl = Annotated[
    str,
    msgspec.Meta(
        pattern="^https?://[^/?#]+$",
        max_length=256,
        description="http:// or https:// and a host name, with nothing after it but a port",
    ),
]
Listen = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[^ ]+:[0-9]{1,5}$", description="a host and a port, such as 127.0.0.1:8080"
    ),
]


class Smtp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The server that sends mail.  security: none is for a server on this machine"""

    host: Host
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password_file: FilePath | None = None


class Mail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How letters leave: an SMTP server, or a folder where no mail is sent."""

    sender: Email
    smtp: Smtp | None = None
    outbox: FilePath | None = None


class Stripe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Payments by card through Stripe.

    webhook_secret_files  the secret of the webhook, and the next one while it rotates
    livemode     whether the key moves real money; what is of the other mode is refused
    account      our account's id: webhooks of others are refused
    checkout_origin  where hosted pages are; another one only with a domain of one's own at Stripe
    api_base     another address than Stripe's own; for tests, never with livemode
    """

    api_key_file: FilePath
    webhook_secret_files: Annotated[tuple[FilePath, ...], msgspec.Meta(min_length=1, max_length=2)]
    livemode: bool = True
    account: Annotated[str, msgspec.Meta(pattern="^(acct_[A-Za-z0-9_]+)?$", max_length=64)] = ""
    checkout_origin: Annotated[str, msgspec.Meta(pattern=ORIGIN, max_length=256)] = STRIPE_CHECKOUT
    api_base: Annotated[str, msgspec.Meta(pattern="^(https?://[^/?#; ]+)?$", max_length=256)] = ""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a registry is set up.  Paths are taken from the folder of the file.

    base_url       where people and nodes reach it; heads every link in a letter
    domain         heads the names of usage logs; never changed once nodes have enrolled
    demo           simulated GPUs may enrol and be sold
    proxies        how many proxies stand before it and may say who the client was
    trusted_hosts  host names besides that of base_url under which it answers
    bank_transfer            how to pay by bank transfer, in words
    stripe                   payments by card; left out: money comes by bank transfer alone
    sync_interval_ms         a fixed interval between a node's calls; left out: as the work asks for
    site_share_basis_points  what a site earns of what is charged for its work, in 1/10,000
    """

    base_url: BaseUrl
    mail: Mail
    stripe: Stripe | None = None
    domain: Annotated[str, msgspec.Meta(max_length=253)] = ""
    database: Annotated[str, msgspec.Meta(max_length=4096)] = "sqlite:///registry.db"
    database_password_file: FilePath | None = None
    key_file: FilePath = "registry.key"
    next_key_file: FilePath | None = None
    listen: Listen = "127.0.0.1:8080"
    workers: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    threads: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4
    demo: bool = False
    proxies: Annotated[int, msgspec.Meta(ge=0, le=8)] = 0
    trusted_hosts: Annotated[tuple[Host, ...], msgspec.Meta(max_length=32)] = ()
    platform_admins: Annotated[tuple[Email, ...], msgspec.Meta(max_length=64)] = ()
    sync_interval_ms: Annotated[int, msgspec.Meta(ge=100, le=3_600_000)] | None = None
    site_share_basis_points: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    bank_transfer: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


def read_config(path: Path) -> Config:
    """Return the configuration in the file; refuse with the file, the field and the remedy."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise _refused(path, "", f"cannot be read ({error.strerror})", "Name the file.") from None
    if len(raw) > CONFIG_BYTES_MAX:
        raise _refused(path, "", "is too large for a configuration", "Name the right file.")
    try:
        config = msgspec.convert(tomllib.loads(raw.decode()), Config)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _refused(path, "", f"is not TOML: {error}", "Correct that line.") from None
    except msgspec.ValidationError as error:
        fault = setting_fault(error, Config)
        raise _refused(path, fault.field, fault.why, "Correct or remove it.") from None
    return _resolved(_checked(config, path), path.parent.resolve())


def database_url(config: Config) -> str:
    """Return the address of the database with its password, which is in a file of its own."""
    if config.database_password_file is None:
        return config.database
    password = quote(read_secret(Path(config.database_password_file)), safe="")
    scheme, _, rest = config.database.partition("://")
    user, at, host = rest.rpartition("@")
    return f"{scheme}://{user}:{password}{at}{host}"


def read_secret(path: Path) -> str:
    """Return the one line in a file of a secret."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _refused(path, "", f"cannot be read ({error})", "Put the secret there.") from None


def _checked(config: Config, path: Path) -> Config:
    url = urlsplit(config.base_url)
    if url.scheme == "http" and url.hostname not in LOOPBACK:
        raise _refused(
            path,
            "base_url",
            "begins with http://, over which browsers keep no session",
            "Use https://; http:// is for localhost alone.",
        )
    if int(config.listen.rpartition(":")[2]) > PORT_MAX:
        raise _refused(path, "listen", "names no port", f"Write a port up to {PORT_MAX}.")
    if not config.database.startswith((SQLITE, POSTGRESQL)):
        raise _refused(
            path,
            "database",
            "is no address of a database",
            f"Write {SQLITE}registry.db or {POSTGRESQL}user@host/name.",
        )
    if (config.mail.smtp is None) == (config.mail.outbox is None):
        raise _refused(
            path,
            "mail",
            "must name either an SMTP server or an outbox folder",
            "Set mail.smtp.host, or mail.outbox where no mail is to be sent.",
        )
    if config.stripe is not None and config.stripe.livemode:
        if config.stripe.api_base:
            raise _refused(
                path,
                "stripe.api_base",
                "is set although real money moves",
                "Remove it, or set stripe.livemode = false.",
            )
        if config.demo:
            raise _refused(
                path,
                "stripe.livemode",
                "takes real money for simulated GPUs",
                "Set demo = false, or stripe.livemode = false.",
            )
    return config


def _resolved(config: Config, folder: Path) -> Config:
    mail, smtp = config.mail, config.mail.smtp
    if smtp is not None and smtp.password_file is not None:
        smtp = msgspec.structs.replace(smtp, password_file=str(folder / smtp.password_file))
    outbox = None if mail.outbox is None else str(folder / mail.outbox)
    database = config.database
    if database.startswith(SQLITE):
        database = SQLITE + str(folder / database.removeprefix(SQLITE))
    return msgspec.structs.replace(
        config,
        domain=config.domain or urlsplit(config.base_url).hostname or "",
        database=database,
        database_password_file=_beside(config.database_password_file, folder),
        key_file=str(folder / config.key_file),
        next_key_file=_beside(config.next_key_file, folder),
        mail=msgspec.structs.replace(mail, smtp=smtp, outbox=outbox),
        stripe=_stripe_beside(config.stripe, folder),
        platform_admins=tuple(email.lower() for email in config.platform_admins),
    )


def _stripe_beside(stripe: Stripe | None, folder: Path) -> Stripe | None:
    if stripe is None:
        return None
    return msgspec.structs.replace(
        stripe,
        api_key_file=str(folder / stripe.api_key_file),
        webhook_secret_files=tuple(str(folder / one) for one in stripe.webhook_secret_files),
    )


def _beside(path: str | None, folder: Path) -> str | None:
    return None if path is None else str(folder / path)


def _refused(path: Path, field: str, why: str, remedy: str) -> Refusal:
    where = f"{path}: {field}" if field else str(path)
    return Refusal(
        code="config_invalid",
        status=400,
        message=f"{where} {why}.",
        hint=remedy,
        field=field or None,
    )
