"""The registry as one application: every room gets what it needs, and no room knows them all."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from flask import Blueprint

from protocol.clock import Clock
from protocol.enrolment import TrustKey
from protocol.refusal import Refusal
from protocol.signing import SigningKey, key_id, public_bytes
from registry.access.api import api as access_api
from registry.access.operations import find_active_key
from registry.access.views import EXTENSION as ACCESS
from registry.access.views import KeySources
from registry.access.views import pages as access_pages
from registry.accounts.letters import Mail
from registry.accounts.queries import find_session
from registry.accounts.sign_in import secret_hash
from registry.accounts.views import EXTENSION as SIGN_IN
from registry.accounts.views import SignIn
from registry.accounts.views import pages as accounts_pages
from registry.allocations.api import api as allocations_api
from registry.allocations.fleet import Market
from registry.allocations.offers import MARKET
from registry.allocations.panels import workload_row
from registry.allocations.seen import BLOCKING
from registry.allocations.views import pages as allocations_pages
from registry.auto_top_up.views import pages as auto_top_up_pages
from registry.catalogue.api import api as catalogue_api
from registry.config import Config, database_url, read_secret
from registry.drivers.bank_payouts import BankPayouts
from registry.drivers.keyfile import read_key
from registry.drivers.mail import OutboxMail, SmtpMail
from registry.drivers.stripe_payments import StripePayments
from registry.drivers.stripe_payouts import StripePayouts
from registry.gateway.api import api as gateway_api
from registry.gateway.operations import endpoints
from registry.incidents.queries import list_open, severities_by_node
from registry.ledger.api import api as ledger_api
from registry.ledger.views import pages as ledger_pages
from registry.nodes.api import api as nodes_api
from registry.nodes.node import Node
from registry.nodes.queries import list_held_versions
from registry.nodes.standing import SEVERITIES
from registry.nodes.views import EXTENSION as NODES
from registry.nodes.views import NodeSources
from registry.nodes.views import pages as nodes_pages
from registry.notices.views import balance_chip, balance_state, banner_slot
from registry.overview.api import api as overview_api
from registry.overview.operations import allocations_on, node_figures, site_figures
from registry.overview.queries import use_by_key
from registry.overview.views import pages as overview_pages
from registry.payment_events.api import EXTENSION as WEBHOOKS
from registry.payment_events.api import Webhooks
from registry.payment_events.api import api as payment_events_api
from registry.payments.provider import Payments
from registry.payouts.sender import PayoutSender
from registry.payouts.views import EXTENSION as EARNINGS
from registry.payouts.views import EarningsTerms
from registry.payouts.views import pages as payouts_pages
from registry.server.application import Application, new_application
from registry.server.page import ShellSources
from registry.server.session import Actor, Asked, Frame
from registry.server.settings import EXTENSION as SETTINGS
from registry.server.settings import Settings
from registry.settlement.cards import EXTENSION as CARDS
from registry.settlement.cards import Addresses, Cards
from registry.settlement.views import pages as settlement_pages
from registry.sites.queries import list_site_ids
from registry.sites.views import EXTENSION as SITES
from registry.sites.views import SiteSources
from registry.sites.views import pages as sites_pages
from registry.statements.api import api as statements_api
from registry.statements.views import pages as statement_pages
from registry.store.database import Database, Db
from registry.store.migrate import check_schema
from registry.sync.api import EXTENSION as SYNC
from registry.sync.api import api as sync_api
from registry.sync.operations import SyncPolicy
from registry.tenants.operations import place_of
from registry.tenants.queries import list_workplaces
from registry.tenants.roles import SignedIn
from registry.tenants.views import pages as tenants_pages
from registry.usage.api import api as usage_api
from registry.usage.views import pages as usage_pages
from web.view_models.allocations import WorkloadRow
from web.view_models.shell import Space

BLUEPRINTS: tuple[Blueprint, ...] = (
    accounts_pages,
    tenants_pages,
    access_pages,
    access_api,
    sites_pages,
    nodes_pages,
    nodes_api,
    catalogue_api,
    ledger_pages,
    ledger_api,
    settlement_pages,
    auto_top_up_pages,
    payment_events_api,
    usage_pages,
    payouts_pages,
    usage_api,
    statements_api,
    statement_pages,
    allocations_pages,
    allocations_api,
    gateway_api,
    sync_api,
    overview_pages,
    overview_api,
)


def create_app(
    config: Config,
    *,
    database: Database | None = None,
    clock: Clock | None = None,
    entropy: Callable[[int], bytes] | None = None,
    mail: Mail | None = None,
    payments: Payments | None = None,
) -> Application:
    """Return the application over a database that is at the schema of this release."""
    store = database or Database(database_url(config))
    check_schema(store)
    frame = Frame(
        database=store,
        clock=clock or wall_ms,
        entropy=entropy or os.urandom,
        origin=config.base_url,
        find_person=find_person,
        find_api_key=find_api_key,
    )
    application = new_application(
        frame, shell_sources(), trusted_hosts=config.trusted_hosts, proxies=config.proxies
    )
    settings = settings_of(config)
    payments = payments or payments_of(config)
    admins = frozenset(config.platform_admins)
    application.extensions.update(
        {
            SETTINGS: settings,
            SIGN_IN: SignIn(mail=mail or mail_of(config), admins=admins),
            ACCESS: KeySources(
                held_versions=list_held_versions, last_used=use_by_key, endpoints=endpoints
            ),
            SITES: SiteSources(figures=site_figures),
            NODES: NodeSources(figures=node_figures, workloads=node_workloads),
            SEVERITIES: severities_by_node,
            MARKET: lambda db: market(db, demo=config.demo),
            SYNC: sync_policy(config, settings),
            EARNINGS: EarningsTerms(config.site_share_basis_points),
            CARDS: cards_of(config, payments),
            WEBHOOKS: webhooks_of(config, payments),
        }
    )
    for blueprint in BLUEPRINTS:
        application.register_blueprint(blueprint)
    return application


def wall_ms() -> int:
    """Return the time by this machine's clock."""
    return time.time_ns() // 1_000_000


def settings_of(config: Config) -> Settings:
    """Return what views need of the configuration, with the registry's keys read."""
    key = read_key(Path(config.key_file))
    keys = [key] if config.next_key_file is None else [key, read_key(Path(config.next_key_file))]
    return Settings(
        base_url=config.base_url,
        domain=config.domain,
        key=key,
        trust_keys=tuple(trust_key(one) for one in keys),
        demo=config.demo,
        outbox=config.mail.outbox or "",
        bank_transfer=config.bank_transfer,
        cards=config.stripe is not None,
    )


def trust_key(key: SigningKey) -> TrustKey:
    """Return a key of the registry as nodes are told of it."""
    public_key = public_bytes(key)
    return TrustKey(key_id=key_id(public_key), public_key=public_key.hex())


def mail_of(config: Config) -> Mail:
    """Return what sends letters."""
    smtp, sender = config.mail.smtp, config.mail.sender
    if smtp is None:
        assert config.mail.outbox is not None
        return OutboxMail(Path(config.mail.outbox), sender)
    password = read_secret(Path(smtp.password_file)) if smtp.password_file else ""
    return SmtpMail(smtp.host, smtp.port, smtp.security, sender, smtp.username, password)


def payments_of(config: Config) -> StripePayments | None:
    """Return the card processor, or None where none is set up.

    Refuses a key of the other mode than the configuration says: no test key where real money is
    meant, and no live key where it is not.
    """
    stripe = config.stripe
    if stripe is None:
        return None
    key = read_secret(Path(stripe.api_key_file))
    if ("_live_" in key) != stripe.livemode:
        raise Refusal(
            code="config_invalid",
            status=400,
            message=f"{stripe.api_key_file}: stripe.livemode is {str(stripe.livemode).lower()} and "
            "the key is of the other mode.",
            hint="Put the key of that mode there, or correct stripe.livemode.",
            field="stripe.livemode",
        )
    secrets = tuple(read_secret(Path(one)) for one in stripe.webhook_secret_files)
    return StripePayments(key, secrets=secrets, api_base=stripe.api_base)


def cards_of(config: Config, payments: Payments | None) -> Cards:
    """Return what the pages of payments need."""
    stripe = config.stripe
    return Cards(
        payments=payments,
        addresses=Addresses(config.base_url),
        checkout_origin="" if stripe is None else stripe.checkout_origin,
        livemode=stripe is not None and stripe.livemode,
    )


def webhooks_of(config: Config, payments: Payments | None) -> Webhooks:
    """Return what the webhook needs."""
    stripe = config.stripe
    return Webhooks(
        payments=payments,
        livemode=stripe is not None and stripe.livemode,
        account="" if stripe is None else stripe.account,
    )


def payout_senders(config: Config) -> dict[str, PayoutSender]:
    """Return who pays sites, by the name that destinations use."""
    transfers = transfers_of(config)
    senders: tuple[PayoutSender | None, ...] = (BankPayouts(), transfers)
    return {sender.name: sender for sender in senders if sender is not None}


def transfers_of(config: Config) -> StripePayouts | None:
    """Return what pays sites at the card processor, or None where none is set up."""
    payments = payments_of(config)
    return None if payments is None else StripePayouts(payments, clock=wall_ms)


def sync_policy(config: Config, settings: Settings) -> SyncPolicy:
    """Return what the answers to nodes depend on."""
    return SyncPolicy(
        domain=settings.domain,
        key=settings.key,
        trust_keys=settings.trust_keys,
        site_share_basis_points=config.site_share_basis_points,
        base_url=config.base_url,
        quick_ms=config.sync_interval_ms,
    )


def find_person(db: Db, asked: Asked) -> SignedIn | None:
    """Return who holds the token of a session, where they work, and as what."""
    session = find_session(db, secret_hash(asked.token), now_ms=asked.now_ms)
    if session is None:
        return None
    place = place_of(db, session)
    return SignedIn(
        person_id=session.person_id,
        api_key_id=None,
        email=session.email,
        tenant_id=place.tenant_id,
        project_id=place.project_id,
        roles=place.roles,
        site_ids=list_site_ids(db, place.tenant_id) if place.tenant_id else frozenset(),
        is_platform_admin=session.is_platform_admin,
        request_id=asked.request_id,
        source=asked.source,
    )


def find_api_key(db: Db, asked: Asked) -> SignedIn | None:
    """Return the API key that the token is of, as an actor."""
    key = find_active_key(db, asked.token, now_ms=asked.now_ms)
    if key is None:
        return None
    return SignedIn(
        person_id=None,
        api_key_id=key.api_key_id,
        email="",
        tenant_id=key.tenant_id,
        project_id=key.project_id,
        roles=key.roles,
        site_ids=list_site_ids(db, key.tenant_id),
        request_id=asked.request_id,
        source=asked.source,
    )


def shell_sources() -> ShellSources:
    """Return what the shell around every page asks."""
    return ShellSources(
        spaces=spaces_of, balance=balance_chip, banners=banner_slot, state=balance_state
    )


def spaces_of(db: Db, actor: Actor) -> tuple[Space, ...]:
    """Return the organizations and projects that somebody may switch to."""
    if actor.person_id is None:
        return ()
    return tuple(
        Space(
            tenant_id=one.tenant_id,
            project_id=one.project_id,
            organization=one.tenant_name,
            project=one.project_name,
            current=one.project_id == actor.project_id,
        )
        for one in list_workplaces(db, actor.person_id)
    )


def node_workloads(
    db: Db, node: Node, tenant_id: str | None, now_ms: int
) -> tuple[WorkloadRow, ...]:
    """Return what holds a node, of one organization where named."""
    found = allocations_on(db, node, tenant_id)
    return tuple(workload_row(one, now_ms=now_ms) for one in found)


def market(db: Db, *, demo: bool) -> Market:
    """Return what may be sold: nodes with a critical finding are off the market."""
    found = [one for one in list_open(db) if one.severity in BLOCKING]
    blocking = {one.node_id: one.code for one in reversed(found)}
    return Market(demo=demo, blocking=blocking)
