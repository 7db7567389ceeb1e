"""The launch page: what was typed, read leniently for its review and strictly for the launch."""

import shlex
from collections.abc import Mapping
from dataclasses import replace

import msgspec

from protocol.manifest import Manifest, read_image
from protocol.refusal import Refusal
from registry.allocations.alternatives import COUNTS, Choices, alternatives
from registry.allocations.launch_form import (
    COUNT_MAX,
    SERVICE,
    TASK,
    LaunchForm,
    chosen_name,
    read_launch_fields,
)
from registry.allocations.offers import Offer, Survey, refusals, wish_for
from registry.allocations.placement import WhyNot
from registry.allocations.seen import SeenAllocation
from registry.ledger.posture import lasts_ms
from web.format import memory, money, plural, vcpus
from web.view_models.launch import (
    Alternative,
    LaunchPage,
    LaunchReview,
    PlacementRow,
    PriceLine,
    Shortfall,
    SkuCard,
)
from web.view_models.parts import Check, Choice, Fact, FieldError, Form

ANYWHERE = "any"
ADD_FUNDS = "/billing/add-funds?return_to=/launch"
RULES = {
    "site": "it is another site than the one chosen",
    "residency": "it lies outside the chosen country",
    "model": "it has no GPU of this kind",
    "simulated": "simulated and real GPUs are not mixed",
    "contact": "it has not been heard from",
    "health": "a critical finding is open there",
    "free": "too few GPUs are free",
    "power": "the site has too little power left",
}
WELL_FORMED = {
    "sku": "x",
    "gpu_count": "1",
    "place": "",
    "image": f"x@sha256:{'0' * 64}",
    "command": "",
    "environment": "",
    "kind": SERVICE,
    "name": "x",
}
"""Every field of the page, in its order, as it should be."""

KINDS = (
    Choice(SERVICE, "Stays until released"),
    Choice(TASK, "Runs to completion"),
)

OWN_CODE = "launch_invalid"
"""Refusals of the form itself: their hint says nothing that the page does not."""

INSTEAD = "instead"
CHOSEN = ("sku", "gpu_count", "place")
"""The button of an alternative sends one field that stands for these, with spaces in between."""

LEFT_OUT = dict.fromkeys(WELL_FORMED, "") | {"gpu_count": "1", "kind": SERVICE}
"""What a field counts as that was not sent."""


def read_launch(typed: Mapping[str, str], apps: Mapping[str, Manifest], *, key: str) -> LaunchForm:
    """Return the launch that the page's fields ask for; refuse by field.

    apps  those that the image field may name, by slug
    key   the request's key: makes up a name where none was typed
    """
    fields = {**LEFT_OUT, **{name: typed[name] for name in LEFT_OUT if name in typed}}
    app = apps.get(fields["image"].strip())
    if app is not None:
        fields["image"] = app.image
    if fields["place"] == ANYWHERE:
        fields["place"] = ""
    if not fields["name"].strip():
        fields["name"] = chosen_name(typed.get("image", ""), key)
    form = read_launch_fields(fields)
    return form if app is None else replace(form, manifest=_of_app(app, form.manifest))


def settled(typed: Mapping[str, str]) -> dict[str, str]:
    """Return what was typed with the alternative that was pressed, if one was, in its place."""
    fields = {name: value for name, value in typed.items() if name != INSTEAD}
    pressed = typed.get(INSTEAD, "").split(" ")
    if len(pressed) == len(CHOSEN):
        fields |= dict(zip(CHOSEN, pressed, strict=True))
    return fields


def refused_fields(typed: Mapping[str, str], apps: Mapping[str, Manifest]) -> list[Refusal]:
    """Return what is wrong with each field: each is read beside others that are as they should."""
    found = []
    for name in WELL_FORMED:
        value = typed.get(name, LEFT_OUT[name])
        try:
            read_launch({**WELL_FORMED, name: value}, apps, key="00000000")
        except Refusal as refusal:
            found.append(refusal)
    return found


def field_error(refusal: Refusal) -> FieldError:
    """Return a refusal as the page shows it at the field it means."""
    named = refusal.field or ""
    field = named.partition(".")[0]
    _, colon, rest = refusal.message.partition(": ")
    shown = rest[:1].upper() + rest[1:] if colon and named else refusal.message
    if field != named:
        shown = f"{named.partition('.')[2]}: {shown}"
    hint = "" if refusal.code == OWN_CODE else refusal.hint
    return FieldError(field if field in WELL_FORMED else "image", f"{shown} {hint}".strip())


def relaunch_fields(seen: SeenAllocation) -> dict[str, str]:
    """Return the fields that launch the same again."""
    manifest = seen.manifest
    return {
        "sku": seen.sku_id,
        "image": manifest.image,
        "command": shlex.join(manifest.command),
        "environment": "\n".join(f"{name}={value}" for name, value in manifest.environment.items()),
        "kind": manifest.kind,
        "name": seen.name,
    }


def page_form(typed: Mapping[str, str], survey: Survey) -> dict[str, str]:
    """Return the fields as the page shows them: what was typed, and what is chosen beforehand."""
    values = {name: value for name, value in typed.items() if name != "csrf_token"}
    first = next((offer for offer in survey.offers if not offer.unavailable), None)
    values.setdefault("sku", first.sku_id if first else "")
    values.setdefault("gpu_count", "1")
    values.setdefault("kind", SERVICE)
    values.setdefault("place", ANYWHERE)
    return values


def launch_page(
    survey: Survey,
    values: Mapping[str, str],
    *,
    key: str,
    errors: tuple[FieldError, ...] = (),
    refused: Refusal | None = None,
    reasons: tuple[WhyNot, ...] = (),
) -> LaunchPage:
    """Return the launch page.

    refused  a refusal that concerns no field;  reasons: why each node refused, if that was it
    """
    chosen = choices(values, survey)
    short = refused if refused is not None and refused.status == 402 else None
    other = refused if short is None else None
    return LaunchPage(
        idempotency_key=key,
        skus=tuple(_card(offer) for offer in survey.offers),
        gpu_counts=_counts(survey),
        places=_places(survey),
        review=review(survey, chosen, key=key),
        form=Form(values=values, errors=errors),
        kinds=KINDS,
        images=tuple(Choice(app.slug, app.label) for app in survey.apps),
        shortfall=_shortfall(survey, chosen) if short else None,
        refused=other.message if other else "",
        refused_hint=other.hint if other else "",
        placement=tuple(_placement_row(reason) for reason in reasons),
    )


def choices(values: Mapping[str, str], survey: Survey) -> Choices:
    """Return what is chosen so far; what cannot be read counts as not chosen."""
    count = values.get("gpu_count", "1")
    plain = count.isascii() and count.isdigit() and len(count) <= 2
    kind, _, value = values.get("place", "").partition(":")
    return Choices(
        offer=survey.offer(values.get("sku", "")),
        count=min(max(int(count), 1), COUNT_MAX) if plain else 1,
        country=value if kind == "country" else None,
        site_id=value if kind == "site" else None,
        image=values.get("image", "").strip(),
    )


def review(survey: Survey, chosen: Choices, *, key: str) -> LaunchReview:
    """Return what would happen now."""
    hourly = chosen.hourly_micros
    checks = (
        _capacity(survey, chosen),
        _policy(survey),
        _balance(survey, chosen),
        _image(survey, chosen.image),
    )
    return LaunchReview(
        lines=_lines(chosen),
        total_micros_per_hour=hourly,
        balance_micros=survey.left_micros,
        runway_ms=lasts_ms(survey.left_micros, survey.burn + hourly) if hourly else None,
        checks=checks,
        request=key,
        defaults=_defaults(survey, chosen),
        ready=all(check.tone == "ok" for check in checks),
        blocked=_blocked(survey, chosen),
        alternatives=tuple(_alternative(survey, one) for one in alternatives(survey, chosen)),
    )


def _blocked(survey: Survey, chosen: Choices) -> str:
    """Return why nothing that can be had is chosen, or nothing."""
    if all(offer.unavailable for offer in survey.offers):
        return "No shape is free now. Nothing can be launched until one is."
    if chosen.offer is None:
        return "Choose a shape first."
    if chosen.offer.unavailable:
        return f"{chosen.offer.name}: {chosen.offer.unavailable.lower()}. Choose another shape."
    return ""


def _alternative(survey: Survey, chosen: Choices) -> Alternative:
    offer = chosen.offer
    assert offer is not None
    place = ANYWHERE
    if chosen.site_id is not None:
        place = f"site:{chosen.site_id}"
    elif chosen.country is not None:
        place = f"country:{chosen.country}"
    where = "at any site" if place == ANYWHERE else dict(survey.places).get(place, place)
    return Alternative(
        value=f"{offer.sku_id} {chosen.count} {place}",
        label=f"{chosen.count} × {offer.name}",
        where=where,
        micros_per_hour=chosen.hourly_micros,
        simulated=offer.simulated,
    )


def _lines(chosen: Choices) -> tuple[PriceLine, ...]:
    if chosen.offer is None:
        return ()
    return (PriceLine(f"{chosen.count} × {chosen.offer.name}", chosen.hourly_micros),)


def _capacity(survey: Survey, chosen: Choices) -> Check:
    if chosen.offer is None:
        return Check("warn", "Capacity: choose a shape")
    wish = wish_for(chosen.offer, chosen.count, country=chosen.country, site_id=chosen.site_id)
    against = refusals(wish, survey.candidates[chosen.offer.accelerator_model])
    if against is None:
        return Check(
            "ok", f"Capacity: free now, {plural(chosen.offer.sites, 'site')} to choose from"
        )
    if not against:
        return Check("bad", "Capacity: no node is enrolled yet")
    closest = max(against, key=lambda reason: list(RULES).index(reason.rule))
    return Check("bad", f"Capacity: none free now. {closest.site_name}: {RULES[closest.rule]}")


def _policy(survey: Survey) -> Check:
    if survey.may_launch:
        return Check("ok", "Policy: your role may launch in this project")
    return Check("bad", "Policy: your role may not launch. Ask an owner of your organization")


def _balance(survey: Survey, chosen: Choices) -> Check:
    hourly = chosen.hourly_micros
    if not hourly:
        return Check("warn", "Balance: choose a shape first")
    if survey.available_micros >= hourly:
        return Check("ok", "Balance: covers the first hour")
    return Check(
        "bad", f"Balance: {money(hourly - survey.available_micros)} short of the first hour"
    )


def _image(survey: Survey, image: str) -> Check:
    if not image:
        return Check("warn", "Image: not chosen yet")
    app = next((app for app in survey.apps if app.slug == image), None)
    if app is not None:
        return Check("ok", f"Image: the app {app.label}")
    try:
        read_image(image)
    except Refusal:
        return Check("bad", "Image: name it by digest, as name@sha256:…")
    return Check("ok", "Image: pinned by digest")


def _defaults(survey: Survey, chosen: Choices) -> tuple[Fact, ...]:
    manifest = next((app.manifest for app in survey.apps if app.slug == chosen.image), None)
    offer = chosen.offer
    found = [Fact("Charging", "from the moment it answers its probe, or runs")]
    if offer is not None:
        shape = f"{vcpus(offer.cpu_milli * chosen.count)}, "
        found.append(Fact("With it", shape + memory(offer.memory_mib * chosen.count)))
        found.append(Fact("Disk", memory(offer.disk_mib * chosen.count)))
    if manifest is None:
        manifest = Manifest(image="x")
    ports = ", ".join(str(port) for port in manifest.ports) or "none"
    found.append(Fact("Ports", ports))
    found.append(Fact("Scratch", memory(manifest.scratch_mib)))
    found.append(Fact("Root", "read-only" if manifest.read_only_root else "writable"))
    return tuple(found)


def _card(offer: Offer) -> SkuCard:
    return SkuCard(
        sku=offer.sku_id,
        name=offer.name,
        cpu_milli=offer.cpu_milli,
        memory_mib=offer.memory_mib,
        price_micros_per_hour=offer.hourly_micros or 0,
        free_gpus=offer.free * offer.accelerator_count,
        free_sites=offer.sites,
        simulated=offer.simulated,
        unavailable=offer.unavailable,
    )


def _counts(survey: Survey) -> tuple[int, ...]:
    most = max((offer.most for offer in survey.offers), default=1)
    return tuple(count for count in COUNTS if count <= max(most, 1))


def _places(survey: Survey) -> tuple[Choice, ...]:
    anywhere = Choice(ANYWHERE, "Any site")
    return (anywhere, *(Choice(value, label) for value, label in survey.places))


def _shortfall(survey: Survey, chosen: Choices) -> Shortfall:
    needed = chosen.hourly_micros
    return Shortfall(
        missing_micros=max(needed - survey.available_micros, 0),
        needed_micros=needed,
        balance_micros=survey.available_micros,
        add_funds_href=ADD_FUNDS,
    )


def _placement_row(reason: WhyNot) -> PlacementRow:
    return PlacementRow(
        site=f"{reason.site_name} · {reason.node_name}",
        needed=reason.need,
        free=reason.found,
        rule=RULES[reason.rule],
    )


def _of_app(app: Manifest, typed: Manifest) -> Manifest:
    """Return the app's manifest with what was typed on top of it."""
    return msgspec.structs.replace(
        app,
        environment={**app.environment, **typed.environment},
        command=typed.command or app.command,
        kind=TASK if typed.kind == TASK else app.kind,
    )
