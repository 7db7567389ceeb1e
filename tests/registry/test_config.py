"""registry.toml is read into one value; what is wrong with it is said in one sentence."""

from pathlib import Path

import pytest

from protocol.refusal import Refusal
from registry.config import database_url, read_config

GOOD = """
base_url = "https://registry.example"
[mail]
sender = "registry@registry.example"
outbox = "letters"
"""


def test_what_is_left_out_has_a_default_and_paths_are_taken_from_the_folder_of_the_file(
    tmp_path: Path,
) -> None:
    config = read_config(_file(tmp_path, GOOD))

    assert config.domain == "registry.example"
    assert config.database == f"sqlite:///{tmp_path}/registry.db"
    assert config.key_file == f"{tmp_path}/registry.key"
    assert config.mail.outbox == f"{tmp_path}/letters"
    assert not config.demo


def test_the_password_of_the_database_is_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret/@\n")
    text = (
        'database = "postgresql+psycopg://outstation@db.example/registry"\n'
        'database_password_file = "password"\n' + GOOD
    )

    config = read_config(_file(tmp_path, text))

    assert database_url(config) == (
        "postgresql+psycopg://outstation:s3cret%2F%40@db.example/registry"
    )
    assert "s3cret" not in repr(config)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("demo = 1\n" + GOOD, "demo must be true or false."),
        ("colour = 'red'\n" + GOOD, "colour is not a setting."),
        (GOOD + "port = 25\n", "mail.port is not a setting."),
        (GOOD.replace("https://registry.example", "registry.example"), "base_url must be http"),
        (GOOD.replace("https://", "http://"), "base_url begins with http://"),
        (GOOD.replace('outbox = "letters"', ""), "mail must name either"),
        (GOOD + "[mail.smtp]\nhost = 'mail.example'\n", "mail must name either"),
        (GOOD.replace("sender", "from"), "mail.from is not a setting."),
        (GOOD.partition("[mail]")[0], "mail is missing."),
        ('database = "mysql://x"\n' + GOOD, "database is no address of a database."),
        ("workers = 0\n" + GOOD, "workers must be a whole number, 1 to 64."),
        ("base_url = \n", "is not TOML"),
    ],
)
def test_what_is_wrong_is_said_with_file_field_and_remedy(
    tmp_path: Path, text: str, says: str
) -> None:
    path = _file(tmp_path, text)

    with pytest.raises(Refusal) as refused:
        read_config(path)

    assert refused.value.message.startswith(str(path))
    assert says in refused.value.message
    assert refused.value.hint


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="cannot be read"):
        read_config(tmp_path / "none.toml")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_plain_http_is_for_this_machine(tmp_path: Path, host: str) -> None:
    text = GOOD.replace("https://registry.example", f"http://{host}:8080")

    assert read_config(_file(tmp_path, text)).base_url == f"http://{host}:8080"


def _file(folder: Path, text: str) -> Path:
    path = folder / "registry.toml"
    path.write_text(text, encoding="utf-8")
    return path
