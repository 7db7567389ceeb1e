"""Forms, sign-in and secrets: name to template, view model and shell."""

from dataclasses import replace

from tests.web.sample_parts import DAY_MS, MINUTE_MS, NOW_MS, SECOND_MS, shell
from web.view_models.access import ApiKeyRow, ApiKeysPage, EndpointRow
from web.view_models.accounts import CheckEmailPage, ConfirmPage, SignInPage
from web.view_models.billing import AddFundsPage
from web.view_models.launch import (
    Alternative,
    LaunchPage,
    LaunchReview,
    PlacementRow,
    PriceLine,
    Shortfall,
    SkuCard,
)
from web.view_models.nodes import NewNodeKeyPage, NewNodePage
from web.view_models.parts import Check, Choice, Fact, FieldError, Form, NewSecret, PathStep
from web.view_models.shell import Shell
from web.view_models.sites import NewSitePage
from web.view_models.tenants import NewOrganizationPage

SKUS = (
    SkuCard("h100", "H100 80GB", 24_000, 184_320, 3_200_000, 5, 2),
    SkuCard("a100", "A100 80GB", 20_000, 163_840, 1_850_000, 11, 3),
    SkuCard("l40s", "L40S 48GB", 16_000, 98_304, 1_100_000, 7, 4),
    SkuCard("rtx6000", "RTX 6000 Ada", 16_000, 98_304, 950_000, 0, 0, unavailable="None free now"),
    SkuCard("demo", "Demo GPU 24GB", 7_500, 49_152, 520_000, 2, 1, simulated=True),
)
REVIEW = LaunchReview(
    (PriceLine("2 × A100 80GB", 3_700_000), PriceLine("Scratch disk, 200 GB", 30_000)),
    3_730_000,
    6_410_000,
    103 * MINUTE_MS,
    (
        Check("ok", "Capacity: 11 free at 3 sites"),
        Check("ok", "Policy: project “default” may launch 4 GPUs"),
        Check("ok", "Balance covers the 1 hour minimum"),
        Check("warn", "The image was not used here before: pulling takes longer"),
    ),
    "018f6a2e7c9d4b11aa",
    (Fact("Longest run", 7 * DAY_MS, "duration"), Fact("Network", "HTTP only")),
)
LAUNCH_PAGE = LaunchPage(
    "018f6a2e7c9d4b11aa",
    SKUS,
    (1, 2, 4, 8),
    (
        Choice("any", "Any site in Kenya or South Africa (lowest latency first)"),
        Choice("nbo-telecom-1", "nbo-telecom-1, Nairobi"),
    ),
    REVIEW,
    Form(
        {
            "sku": "a100",
            "gpu_count": "2",
            "place": "any",
            "image": "registry.example/pytorch:2.9-cuda12.8",
            "kind": "service",
        }
    ),
    (Choice("demo-echo", "Demo model server"),),
    (Choice("service", "Stays until released"), Choice("task", "Runs to completion")),
)
LAUNCH_REFUSED = replace(
    LAUNCH_PAGE,
    form=Form(
        {"sku": "a100", "gpu_count": "2", "image": "NOT AN IMAGE", "environment": "FOO"},
        (
            FieldError(
                "image", "“NOT AN IMAGE” is no image name: use small letters and no spaces."
            ),
            FieldError("environment", "Line 1 has no “=”: write NAME=value."),
            FieldError("place", "Choose where it may run."),
        ),
    ),
    shortfall=Shortfall(2_590_000, 9_000_000, 6_410_000, "/billing/add-funds?return_to=/launch"),
    review=replace(
        REVIEW,
        ready=False,
        blocked="A100 80GB: none free now. Choose another shape.",
        alternatives=(
            Alternative("l40s 2 any", "2 × L40S 48GB", "at any site", 2_200_000),
            Alternative("demo 2 any", "2 × Demo GPU 24GB", "at any site", 1_040_000, True),
        ),
    ),
    refused="No site can take this now.",
    refused_hint="Nothing was created. Choose fewer GPUs or another place.",
    placement=(
        PlacementRow("nbo-telecom-1", "2 × A100", "1 × A100", "too few free GPUs"),
        PlacementRow("cpt-uni-2", "2 × A100", "4 × A100", "outside the chosen country"),
    ),
)

SECRET = NewSecret(
    "Node key for nbo-telecom-9-gpu01",
    "nk_7f3aQmZ0y1k9s8d7f6g5h4j3k2l1p0o9i8u7y6t5r4e",
    "nk_7f3a",
    "nbo-telecom-9-gpu01.env",
    "OUTSTATION_NODE_KEY=nk_7f3aQmZ0y1k9s8d7f6g5h4j3k2l1p0o9i8u7y6t5r4e\n",
    "outstation-agent enrol --registry https://cloud.example --key nk_7f3aQmZ0y1k9s8d7f6g5h4j3k2",
    "Run on the machine",
)
TICKS = (
    PathStep("Key used", "done", NOW_MS - 40 * SECOND_MS, "from 196.201.2.9"),
    PathStep("Agent connected", "done", NOW_MS - 39 * SECOND_MS, "version 0.9.2"),
    PathStep("GPUs detected", "current", None, "7 of 8 declared"),
    PathStep("Test container ran", "future"),
    PathStep("First usage checkpoint verified", "future"),
)
WAITING = NewNodeKeyPage(
    NOW_MS,
    "/nodes/n_9?part=waiting",
    "n_9",
    "nbo-telecom-9-gpu01",
    "/nodes/n_9",
    False,
    TICKS,
    70_000,
    "cloud.example",
    SECRET,
    "Found 7 GPUs, declared 8.",
)
ONLINE = replace(
    WAITING,
    online=True,
    secret=None,
    mismatch="",
    quiet_ms=0,
    steps=tuple(replace(step, status="done", at_ms=NOW_MS) for step in TICKS),
)

KEYS = ApiKeysPage(
    NOW_MS,
    (
        ApiKeyRow(
            "k_1",
            "checkout service",
            "ok_91bc",
            "active",
            NOW_MS - 9 * DAY_MS,
            "amina",
            12,
            12,
            NOW_MS + 80 * DAY_MS,
            NOW_MS - MINUTE_MS,
            3_410_000,
        ),
        ApiKeyRow(
            "k_2", "old notebook", "ok_03de", "revoked", NOW_MS - 99 * DAY_MS, "amina", 11, 12
        ),
    ),
    "f_1",
    (
        EndpointRow(
            "https://gpu01.nbo.example/v1", "nbo-telecom-1", "Nairobi, Kenya", ("qwen-7b",)
        ),
        EndpointRow(
            "https://gpu02.cpt.example/v1",
            "cpt-uni-2",
            "Cape Town, South Africa",
            ("qwen-7b", "bge"),
        ),
    ),
)
API_SECRET = NewSecret(
    "Key “checkout service”",
    "ok_91bcQmZ0y1k9s8d7f6g5h4j3k2l1p0o9i8u7y6t5",
    "ok_91bc",
    "checkout-service.env",
    "OUTSTATION_API_KEY=ok_91bcQmZ0y1k9\n",
    "curl https://cloud.example/v1/models -H 'Authorization: Bearer ok_91bcQmZ0y1k9'",
    "List the models it may use",
)

COUNTRIES = (Choice("KE", "Kenya"), Choice("ZA", "South Africa"))
KINDS = (Choice("telecom_room", "Telecom room"), Choice("university", "University"))
LINKS = (Choice("fibre_2", "Fibre, two paths"), Choice("fibre_1", "Fibre, one path"))
WRONG = (FieldError("name", "This name is taken at this site."),)

NEW_NODE = NewNodePage(
    (Choice("s_1", "nbo-telecom-1, Nairobi"),), (Choice("h100", "NVIDIA H100 80GB"),), "f_2"
)
NEW_SITE = NewSitePage(KINDS, LINKS, COUNTRIES, "f_3")
CHECK_EMAIL = CheckEmailPage(
    "a…a@umoja.example",
    "amina@umoja.example",
    "at_1",
    NOW_MS,
    NOW_MS + 30 * SECOND_MS,
    NOW_MS + 15 * MINUTE_MS,
)
AMOUNTS = (
    Choice("25", "$25"),
    Choice("50", "$50"),
    Choice("100", "$100"),
    Choice("other", "Other"),
)
ADD_FUNDS = AddFundsPage(6_410_000, "f_4", AMOUNTS, Form({"amount": "50"}), demo=True)

FORM_SCENES: dict[str, tuple[str, object, Shell | None]] = {
    "login": ("registry/accounts/sign_in.html", SignInPage(), None),
    "login-refused": (
        "registry/accounts/sign_in.html",
        SignInPage(
            Form({"email": "x"}, (FieldError("email", "This is no e-mail address."),)),
            problem="This link was used already.",
            problem_hint="Ask for a new one below.",
        ),
        None,
    ),
    "login-cleared": ("registry/accounts/sign_in.html", SignInPage(cleared=True), None),
    "check-email": ("registry/accounts/check_email.html", CHECK_EMAIL, None),
    "check-email-wrong": (
        "registry/accounts/check_email.html",
        replace(
            CHECK_EMAIL,
            outbox=".demo/outbox",
            form=Form({"code": "123456"}, (FieldError("code", "This code is wrong."),)),
        ),
        None,
    ),
    "confirm": (
        "registry/accounts/confirm.html",
        ConfirmPage("a…a@umoja.example", "tok", NOW_MS + 9 * MINUTE_MS),
        None,
    ),
    "onboarding": (
        "registry/tenants/new_organization.html",
        NewOrganizationPage("amina@umoja.example", "f_5", Form({"intent": "use"})),
        None,
    ),
    "launch": ("registry/allocations/launch.html", LAUNCH_PAGE, shell("/launch")),
    "launch-refused": ("registry/allocations/launch.html", LAUNCH_REFUSED, shell("/launch")),
    "launch-empty": (
        "registry/allocations/launch.html",
        replace(LAUNCH_PAGE, skus=(), gpu_counts=(), form=Form()),
        shell("/launch"),
    ),
    "add-funds": ("registry/billing/add_funds.html", ADD_FUNDS, shell("/billing/add-funds")),
    "api-keys": ("registry/access/api_keys.html", KEYS, shell("/access/api-keys")),
    "api-keys-empty": (
        "registry/access/api_keys.html",
        replace(KEYS, rows=(), form=Form({}, (FieldError("name", "Say what uses the key."),))),
        shell("/access/api-keys"),
    ),
    "api-keys-created": (
        "registry/access/api_keys.html",
        replace(KEYS, secret=API_SECRET),
        shell("/access/api-keys"),
    ),
    "node-add": ("registry/nodes/new.html", NEW_NODE, shell("/nodes/new")),
    "node-add-refused": (
        "registry/nodes/new.html",
        replace(NEW_NODE, form=Form({}, WRONG)),
        shell("/nodes/new"),
    ),
    "node-add-no-site": (
        "registry/nodes/new.html",
        replace(NEW_NODE, sites=()),
        shell("/nodes/new"),
    ),
    "node-key-shown": ("registry/nodes/new_key.html", WAITING, shell("/nodes/new")),
    "node-key-online": ("registry/nodes/new_key.html", ONLINE, shell("/nodes/new")),
    "site-add": ("registry/sites/new.html", NEW_SITE, shell("/sites/new")),
    "site-add-refused": (
        "registry/sites/new.html",
        replace(NEW_SITE, form=Form({}, WRONG)),
        shell("/sites/new"),
    ),
}
