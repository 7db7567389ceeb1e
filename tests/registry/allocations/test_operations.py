"""What placement sees of the fleet: what is promised counts by model, and its power by site."""

from sqlalchemy import update

from registry.allocations.fleet import Market, candidates
from registry.allocations.operations import fleet
from registry.allocations.placement import Candidate
from registry.store.tables.sites import site
from tests.registry.marketplace import GPU_MODEL, HOURLY, Marketplace, add_online_node

DEMO = Market(demo=True, blocking={})
CARD_W = 700


def seen(market: Marketplace, model: str = GPU_MODEL) -> dict[str, Candidate]:
    with market.rig.database.reading() as db:
        found = candidates(fleet(db, "t_any"), model, market=DEMO, now_ms=market.rig.clock())
    return {one.node_id: one for one in found}


def test_what_is_promised_is_no_longer_free_and_draws_the_sites_power(market: Marketplace) -> None:
    other_id = add_online_node(market, "demo-nbo-2", first=10)
    before = seen(market)

    market.customer().launched(gpu_count="2")

    after = seen(market)
    assert [one.site_used_w for one in before.values()] == [0, 0]
    assert {one.site_used_w for one in after.values()} == {2 * CARD_W}
    frees = sorted(one.free for one in after.values())
    assert frees == [0, 2]
    assert {market.node_id, other_id} == after.keys()


def test_a_site_without_power_left_is_refused_by_that_rule(market: Marketplace) -> None:
    with market.rig.database.unit() as db:
        db.write(update(site).values(power_kw=1))
    customer = market.customer()
    customer.launched(gpu_count="1")

    refused = customer.launches("second", gpu_count="1")

    assert refused.status_code == 409
    assert "300 W left" in refused.text


def test_what_another_model_promised_leaves_this_ones_cards_free(market: Marketplace) -> None:
    market.customer().launched(gpu_count="2")

    assert seen(market, "NVIDIA H200")[market.node_id].free == 0
    assert seen(market, "NVIDIA H200")[market.node_id].total == 0
    assert seen(market)[market.node_id].free == 0


def test_what_was_released_leaves_its_money_free_for_the_next_launch(market: Marketplace) -> None:
    customer = market.customer(micros=HOURLY + 100)
    first = customer.launched("first")
    assert customer.launches("second").status_code == 402
    customer.api().post(f"/api/v1/allocations/{first}/release", {}, key="release-first-1")
    market.node_says(first, "absent")

    assert customer.launches("third").status_code == 303
