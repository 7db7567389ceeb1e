"""What every test may ask for: databases, a Docker Engine, a browser, a mailbox; and two rules.

The real parts are started once per run and shared by all its processes.  A test that needs a
real GPU, or a key of Stripe's test mode, is skipped where there is none and reported as skipped;
on CI every other skip is a failure.
"""

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser, Page

from sites.demo.rootfs import load_image
from tests.services.browser import installed_chromium, running_browser
from tests.services.databases import Databases
from tests.services.engine import engine_answers, start_engine
from tests.services.mail import Mailbox, running_mailbox
from tests.services.postgres import Cluster, start_cluster
from tests.services.shared import Run, end_abandoned_runs, end_run, locked, new_run, shared_service

OWN_RUN = pytest.StashKey[Run]()
RUN_FOLDER_VARIABLE = "OUTSTATION_TEST_RUN"
NVIDIA_DEVICE = Path("/dev/nvidiactl")
STRIPE_KEY_VARIABLE = "OUTSTATION_STRIPE_TEST_KEY"
MAY_BE_SKIPPED = ("gpu", "stripe_live")
"""Marks of tests whose other half cannot be installed."""

ON_CI = os.environ.get("CI", "").lower() in ("1", "true")

settings.register_profile(
    "ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("person", deadline=None)
settings.load_profile("ci" if ON_CI else "person")


def pytest_configure(config: pytest.Config) -> None:
    """Make the run's folder in the process that began it; the others find it by name."""
    if not hasattr(config, "workerinput"):
        end_abandoned_runs()
        config.stash[OWN_RUN] = new_run()
        os.environ[RUN_FOLDER_VARIABLE] = str(config.stash[OWN_RUN].folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    if OWN_RUN in config.stash:
        end_run(config.stash[OWN_RUN])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    absent = {}
    if not NVIDIA_DEVICE.exists():
        absent["gpu"] = f"no {NVIDIA_DEVICE} on this machine"
    if not os.environ.get(STRIPE_KEY_VARIABLE):
        absent["stripe_live"] = f"no key of Stripe's test mode in {STRIPE_KEY_VARIABLE}"
    for item in items:
        for mark, reason in absent.items():
            if item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """On CI, turn a skip into a failure unless its mark is one of MAY_BE_SKIPPED."""
    report = yield
    skipped = report.skipped and not hasattr(report, "wasxfail")
    if ON_CI and skipped and not any(item.get_closest_marker(one) for one in MAY_BE_SKIPPED):
        report.outcome = "failed"
        allowed = " and ".join(MAY_BE_SKIPPED)
        report.longrepr = f"skipped on CI, where only {allowed} tests may be: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def run_folder() -> Path:
    """A folder all processes of this run share; removed at its end."""
    return Path(os.environ[RUN_FOLDER_VARIABLE])


@pytest.fixture(scope="session")
def postgres(run_folder: Path) -> Cluster:
    """The run's PostgreSQL server."""
    service = shared_service(run_folder, "postgres", lambda: start_cluster(run_folder))
    return Cluster(service.facts["socket_folder"])


@pytest.fixture
def postgres_url(postgres: Cluster) -> Iterator[str]:
    """An empty PostgreSQL database of this test's own."""
    name = postgres.new_database()
    yield postgres.url(name)
    postgres.drop_database(name)


ENGINES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(params=ENGINES)
def databases(request: pytest.FixtureRequest, run_folder: Path) -> Iterator[Databases]:
    """Fresh databases, once on SQLite and once on PostgreSQL."""
    cluster = request.getfixturevalue("postgres") if request.param == "postgres" else None
    made = Databases(run_folder, cluster)
    yield made
    made.drop_all()


@pytest.fixture
def database_url(databases: Databases) -> str:
    """An empty database of this test's own, once on SQLite and once on PostgreSQL."""
    return databases.empty()


@pytest.fixture(scope="session")
def docker_ready(run_folder: Path) -> None:
    """A Docker Engine that answers, started by the first test that needs one."""
    with locked(run_folder, "docker"):
        if engine_answers():
            return
        service = start_engine(run_folder / "dockerd.log")
    if service is not None:
        shared_service(run_folder, "dockerd", lambda: service)


@pytest.fixture(autouse=True)
def docker_for_marked_tests(request: pytest.FixtureRequest) -> None:
    """Have an engine ready for every test marked `docker`, whatever it asks for."""
    if request.node.get_closest_marker("docker"):
        request.getfixturevalue("docker_ready")


@pytest.fixture(scope="session")
def busybox_image(docker_ready: None) -> str:
    """The id, `sha256:…`, of a small real image in the engine: busybox and nothing else."""
    return load_image()


@pytest.fixture
def smtp_server() -> Iterator[Mailbox]:
    """An SMTP server on loopback; `letters` are the mails it received."""
    with running_mailbox() as mailbox:
        yield mailbox


@pytest.fixture(scope="session")
def chromium_path() -> str:
    return installed_chromium()


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    """A browser per module: Playwright owns the thread's event loop while it lives."""
    with running_browser(chromium_path) as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in a profile of its own."""
    with browser.new_context() as context:
        yield context.new_page()


@pytest.fixture
def new_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Makes pages with a given setting each: `new_page(color_scheme="dark", viewport=…)`."""
    contexts = []

    def make(**context_settings: object) -> Page:
        contexts.append(browser.new_context(**context_settings))  # type: ignore[arg-type]
        return contexts[-1].new_page()

    yield make
    for context in contexts:
        context.close()
