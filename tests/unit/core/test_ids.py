"""Ids: short, deterministic, one per order."""

import re

from njord.core.ids import ClientOrderIds, Counter, client_order_id, leg_id, order_of, short_hash


def test_a_client_order_id_is_nj_and_20_base32_characters_and_never_changes() -> None:
    made = client_order_id("main", "run", "sma-1")
    assert re.fullmatch(r"NJ-[A-Z2-7]{20}", made)
    assert made == client_order_id("main", "run", "sma-1", attempt=0)
    assert made == "NJ-" + EXPECTED


def test_any_difference_gives_another_id() -> None:
    ids = {
        client_order_id(account, run, f"{strategy}-{n}", attempt)
        for account in ("main", "other")
        for run in ("run", "run2")
        for strategy in ("a", "b", "a-1")
        for n in range(1, 500)
        for attempt in (0, 1)
    }
    assert len(ids) == 2 * 2 * 3 * 499 * 2


def test_parts_do_not_run_into_each_other() -> None:
    assert client_order_id("a", "bc", "i") != client_order_id("ab", "c", "i")
    assert short_hash("a", "bc") != short_hash("ab", "c")
    assert re.fullmatch(r"[a-z2-7]{12}", short_hash("a"))


def test_a_counter_goes_on_where_a_journal_ended() -> None:
    fresh, continued = Counter("sma"), Counter("sma", last=41)
    assert [fresh.next(), fresh.next()] == ["sma-1", "sma-2"]
    assert continued.next() == "sma-42"


# SHA-256 of the parts joined by the unit separator, first 100 bits in base32 (RFC 4648).
EXPECTED = "4HMBT2GCCZGQYCW2DCHB"


def test_client_ids_made_ahead_are_those_made_one_by_one() -> None:
    ids = ClientOrderIds("main", "run")
    asked = [f"a-{number}" for number in (1, 2, 3, 40, 41, 2, 5)] + [
        "b-7",
        "b-8",
        "a-007",
        "a-8",
        "b",
        "-3",
        "a-",
        "a-٣",
    ]
    asked += [f"a-{10**18}", f"a-{10**30}", "", *(f"c{number}-1" for number in range(100)), "a-9"]
    assert [ids.of(each) for each in asked] == [client_order_id("main", "run", each) for each in asked]


def test_the_name_of_a_leg_leads_back_to_its_order_and_fits_any_venue() -> None:
    name = client_order_id("main", "run", "sma-1")
    assert leg_id(name, 0) == name
    assert {order_of(leg_id(name, revision)) for revision in (0, 1, 10, 999)} == {name}
    assert re.fullmatch(r"[A-Za-z0-9-]{1,36}", leg_id(name, 999_999_999))
    for other in ("", "web_7", "NJ-1-2", "NJ-", f"{name}-x", f"x{name}-1", "venue-17"):
        assert order_of(other) == other
