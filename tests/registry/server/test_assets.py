"""Static files are kept for good under an address that holds their hash."""

from tests.registry.rig import Rig
from web import STATIC


def test_a_file_is_kept_for_good_under_its_hash(rig: Rig) -> None:
    page = rig.browser().get("/login").text
    address = "/static/css/house.css?v=" + page.partition("/static/css/house.css?v=")[2][:12]

    with rig.browser().get(address) as pinned:
        served = pinned.data
    with rig.browser().get("/static/css/house.css?v=0") as loose:
        pass

    assert served == (STATIC / "css/house.css").read_bytes()
    assert pinned.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert loose.headers["Cache-Control"] == "public, max-age=300"


def test_a_font_has_the_one_address_that_the_style_sheet_names(rig: Rig) -> None:
    page = rig.browser().get("/login").text
    address = "/static/" + page.partition('rel="preload" href="/static/')[2].partition('"')[0]

    with rig.browser().get(address) as font:
        pass

    assert address.removeprefix("/static") in (STATIC / "css/house.css").read_text()
    assert font.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_nothing_but_the_files_of_the_folder_is_served(rig: Rig) -> None:
    for name in ("../__init__.py", "..%2f__init__.py", "css", "nothing.css", "css/../../web.py"):
        assert rig.browser().get(f"/static/{name}").status_code == 404
