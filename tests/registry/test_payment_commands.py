"""The operator's commands about payments by card."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from protocol.refusal import Refusal
from registry.cli import registry
from registry.config import read_config
from tests.registry.till import Till, running_till
from tests.services.databases import Databases

CONFIG = """\
base_url = "https://registry.example"
database = "{database}"
key_file = "{folder}/registry.key"

[mail]
sender = "registry@registry.example"
outbox = "outbox"

[stripe]
api_key_file = "stripe.key"
webhook_secret_files = ["webhook.secret", "webhook.next"]
livemode = false
api_base = "{api_base}"
checkout_origin = "{api_base}"
"""


def test_an_operator_lists_refunds_and_compares(run_folder: Path, tmp_path: Path) -> None:
    databases = Databases(run_folder, None)
    with running_till(databases, tmp_path) as till:
        till.paid(till.rig.member())
        till.deliver_all()
        _configure(till, tmp_path)

        (listed,) = _says(tmp_path, "payment", "ls")
        refunded = _says(tmp_path, "payment", "refund", listed["top_up_id"], "20")
        too_much = _run(tmp_path, "payment", "refund", listed["top_up_id"], "31")
        unknown = _run(tmp_path, "payment", "refund", "tu_nobody", "1")
        till.work()
        status = _says(tmp_path, "payment", "status")

        assert (listed["state"], listed["micros"]) == ("succeeded", 50_000_000)
        assert (refunded["state"], refunded["micros"]) == ("sent", 20_000_000)
        assert too_much.exception is not None
        assert "at most the $30.00 left" in str(too_much.exception)
        assert "does not exist" in str(unknown.exception)
        assert status["difference"] == 0
        assert status["findings"] == []
        assert till.at_stripe() == till.stripe.account.balance_cents * 10_000
    databases.drop_all()


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ('api_base = "http://127.0.0.1:1"\nlivemode = true', "stripe.api_base"),
        ("livemode = true\ndemo_key = 1", "stripe.demo_key"),
        ('account = "x"', "stripe.account"),
        ('checkout_origin = "https://a.example/path"', "stripe.checkout_origin"),
        ('checkout_origin = "https://a.example; script-src *"', "stripe.checkout_origin"),
        ("webhook_secret_files = []", "stripe.webhook_secret_files"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(tmp_path: Path, line: str, field: str) -> None:
    secrets = "" if "secret_files" in line else 'webhook_secret_files = ["a"]\n'
    file = tmp_path / "registry.toml"
    file.write_text(
        'base_url = "https://a.example"\n[mail]\nsender = "a@b.c"\noutbox = "o"\n'
        f'[stripe]\napi_key_file = "k"\n{secrets}{line}\n'
    )

    with pytest.raises(Refusal) as refused:
        read_config(file)

    assert refused.value.field == field


def test_a_key_of_the_other_mode_is_refused(run_folder: Path, tmp_path: Path) -> None:
    databases = Databases(run_folder, None)
    with running_till(databases, tmp_path) as till:
        _configure(till, tmp_path)
        (tmp_path / "stripe.key").write_text("sk_live_x")

        done = _run(tmp_path, "payment", "refund", "tu_x", "1")

    assert isinstance(done.exception, Refusal)
    assert "the key is of the other mode" in done.exception.message
    assert "sk_live" not in str(done.exception)
    databases.drop_all()


def _configure(till: Till, folder: Path) -> None:
    config = CONFIG.format(
        database=till.rig.config.database, folder=folder, api_base=till.stripe.base_url
    )
    (folder / "registry.toml").write_text(config)


def _run(folder: Path, *arguments: str) -> Result:
    typed = ["--config", str(folder / "registry.toml"), *arguments, "--json"]
    return CliRunner().invoke(registry, typed)


def _says(folder: Path, *arguments: str) -> Any:
    done = _run(folder, *arguments)
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.output.splitlines()[-1])["data"]
