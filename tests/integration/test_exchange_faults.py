"""Faults at the local exchange: each does what the catalogue says, counts it, and changes no truth that it should not."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from njord.core.units import NS_PER_S
from njord.exchange.fault_plan import CATALOGUE
from njord.exchange.faults import TROUBLES
from njord.exchange.wire import UNTROUBLED, Request
from tests.unit.exchange.faulty_exchange import BTC, FaultyExchange, fault

pytestmark = pytest.mark.integration
FAR = "50000.00"  # A price at which a buy rests.


def json(body: bytes) -> Any:
    return msgspec.json.decode(body)


def test_every_fault_of_the_catalogue_is_there() -> None:
    assert set(TROUBLES) == set(CATALOGUE)


def test_without_faults_nothing_is_changed() -> None:
    venue = FaultyExchange()
    venue.listen()
    assert json(venue.place().body)["status"] == "FILLED"
    assert venue.reports() == ["NEW", "TRADE"]
    assert venue.way(venue.order("b")) == UNTROUBLED


# --- the way ---


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("A1", "loses_response", True),
        ("A2", "loses_request", True),
        ("A3", "request_delay_ns", 40 * NS_PER_S),
    ],
)
def test_the_way_loses_or_delays_orders_alone(name: str, field: str, value: object) -> None:
    venue = FaultyExchange(fault(name, delay_s=40.0) if name == "A3" else fault(name))
    assert getattr(venue.way(venue.order()), field) == value
    assert venue.way(venue.signed("GET", "account")) == UNTROUBLED
    assert venue.way(venue.signed("DELETE", "order")) == UNTROUBLED
    assert venue.struck(name) == 1


def test_a_fault_strikes_in_its_window_and_no_more_often_than_it_may() -> None:
    venue = FaultyExchange(fault("A1", from_s=10, for_s=10))
    assert venue.way(venue.order()) == UNTROUBLED
    venue.run(10)
    assert venue.way(venue.order()).loses_response
    venue.run(10)
    assert venue.way(venue.order()) == UNTROUBLED
    few = FaultyExchange(msgspec.structs.replace(fault("A1"), count=2))
    assert [few.way(few.order()).loses_response for _ in range(4)] == [True, True, False, False]


def test_a_share_of_the_opportunities_is_taken() -> None:
    venue = FaultyExchange(fault("A2", share=0.3))
    lost = sum(venue.way(venue.order()).loses_request for _ in range(1000))
    assert 240 < lost < 360
    assert venue.struck("A2") == lost


def test_cancels_wait_and_those_that_came_too_late_are_counted() -> None:
    venue = FaultyExchange(fault("A6", hold_s=2.0))
    venue.place()
    assert venue.way(venue.signed("DELETE", "order")).request_delay_ns > 0
    assert venue.struck("A6") == 0
    assert json(venue.cancel().body)["code"] == -2011
    assert venue.struck("A6") == 1


@pytest.mark.parametrize("form", ["silent", "refused"])
def test_a_venue_that_is_gone_answers_nothing_and_takes_nobody(form: str) -> None:
    venue = FaultyExchange(fault("A18", from_s=2, for_s=10, form=form))
    venue.listen()
    venue.run(2)
    assert len(venue.closed) == 2
    assert venue.way(venue.order()).loses_request is (form == "silent")
    assert venue.place().status == 503
    assert not venue.listen()
    assert venue.orders() == {}
    venue.run(10)
    assert venue.listen()
    assert venue.place().status == 200


def test_a_slow_way_trickles() -> None:
    venue = FaultyExchange(fault("A22", form="slow"))
    assert venue.way(venue.signed("GET", "account")).bytes_per_s == 1


def test_requests_to_the_exchanges_own_control_pass_every_fault() -> None:
    venue = FaultyExchange(fault("A18", form="silent"), fault("A5", form="html"))
    truth = Request(method="GET", path="/njord/truth")
    assert venue.way(truth) == UNTROUBLED
    assert "accounts" in json(venue.nemesis.request(truth, venue.now_ns).body)


# --- answers ---


@pytest.mark.parametrize("done_share", [0.0, 1.0])
def test_a_server_error_hides_whether_the_order_was_placed(done_share: float) -> None:
    venue = FaultyExchange(fault("A4", done_share=done_share))
    assert venue.place().status >= 500
    assert bool(venue.orders()) is bool(done_share)


@pytest.mark.parametrize("form", CATALOGUE["A5"].forms)
def test_a_spoiled_answer_hides_an_order_that_was_placed(form: str) -> None:
    venue = FaultyExchange(fault("A5", form=form))
    cuts_at = venue.way(venue.order()).cuts_at
    body = venue.place().body[: cuts_at if cuts_at >= 0 else None]
    try:
        is_an_answer = "orderId" in json(body)
    except (msgspec.DecodeError, TypeError):
        is_an_answer = False
    assert not is_an_answer
    assert list(venue.orders()) == ["a"]
    assert venue.struck("A5")


def test_a_cancel_is_refused_and_the_order_works_on() -> None:
    venue = FaultyExchange(fault("A7"))
    venue.place(price=FAR)
    assert json(venue.cancel().body)["code"] == -2011
    assert venue.orders() == {"a": "NEW"}


def test_who_does_not_wait_after_a_429_is_banned() -> None:
    venue = FaultyExchange(fault("A16", wait_s=5.0, ban_s=30.0))
    first = venue.ask("GET", "account")
    assert (first.status, first.headers["retry-after"]) == (429, "5")
    venue.run(2)
    assert venue.ask("GET", "account").status == 418
    venue.run(33)
    assert venue.ask("GET", "account").status == 429


def test_a_stale_snapshot_is_the_first_one() -> None:
    venue = FaultyExchange(fault("A23", form="stale"))
    first = venue.ask("GET", "openOrders").body
    venue.place(price=FAR)
    assert venue.ask("GET", "openOrders").body == first == b"[]"
    assert venue.struck("A23") == 1


def test_a_foreign_snapshot_is_of_another_account() -> None:
    venue = FaultyExchange(fault("A23", form="foreign"))
    venue.place(price=FAR)
    account = json(venue.ask("GET", "account").body)
    assert {balance["free"] for balance in account["balances"]} == {"7777.00000000"}
    assert json(venue.ask("GET", "openOrders").body)[0]["clientOrderId"] != "a"


@pytest.mark.parametrize("form", CATALOGUE["A5"].forms)
def test_faults_in_one_answer_do_not_break_each_other(form: str) -> None:
    venue = FaultyExchange(fault("A5", form=form), fault("A23", form="foreign"))
    venue.ask("GET", "account")
    venue.ask("GET", "openOrders")
    assert venue.struck("A23") == 2


@pytest.mark.parametrize(("form", "status", "body"), [("fails", 500, None), ("empty", 200, b"[]")])
def test_the_list_of_open_orders_is_lost(form: str, status: int, body: bytes | None) -> None:
    venue = FaultyExchange(fault("A24", form=form))
    venue.place(price=FAR)
    answer = venue.ask("GET", "openOrders")
    assert answer.status == status
    assert body is None or answer.body == body
    assert venue.orders() == {"a": "NEW"}


# --- streams ---


def test_reports_come_twice_and_once_more() -> None:
    venue = FaultyExchange(fault("A9", again_s=5.0))
    venue.listen()
    venue.place()
    venue.run(1)
    assert sorted(venue.reports()) == ["NEW", "NEW", "TRADE", "TRADE"]
    venue.run(6)
    assert sorted(venue.reports()) == ["NEW"] * 3 + ["TRADE"] * 3


def test_missing_reports_never_come() -> None:
    venue = FaultyExchange(fault("A10"))
    venue.listen()
    venue.place()
    venue.run(30)
    assert venue.reports() == []
    assert venue.struck("A10") == 2
    assert len(venue.trades()) == 1


def test_a_report_that_is_held_for_no_time_comes() -> None:
    venue = FaultyExchange(fault("A11", hold_s=0.0))
    venue.listen()
    venue.place()
    venue.run(1)
    assert venue.reports() == ["NEW", "TRADE"]


def test_reports_come_in_another_order() -> None:
    orders = set()
    for seed in range(8):
        venue = FaultyExchange(fault("A11", share=0.5, hold_s=1.0), seed=seed)
        venue.listen()
        venue.place()
        venue.run(3)
        orders.add(tuple(venue.reports()))
    assert orders == {("NEW", "TRADE"), ("TRADE", "NEW")}


@pytest.mark.parametrize("form", ["user", "market", "all"])
def test_a_silent_stream_stays_open_and_carries_nothing(form: str) -> None:
    venue = FaultyExchange(fault("A13", from_s=1, for_s=20, form=form))
    venue.listen()
    venue.run(2)
    venue.market.clear()
    venue.place()
    venue.run(5)
    assert bool(venue.reports()) is (form == "market")
    assert bool(venue.market) is (form == "user")
    assert not venue.closed


def test_a_user_stream_by_listen_key_falls_silent_as_one() -> None:
    for form, is_heard in (("user", False), ("market", True)):
        venue = FaultyExchange(fault("A13", form=form))
        venue.listen_by_key()
        venue.place()
        assert bool(venue.reports()) is is_heard


def test_a_flapping_stream_is_cut_again_and_again() -> None:
    venue = FaultyExchange(fault("A14", from_s=2, for_s=10, every_s=2.0))
    for _ in range(20):
        venue.listen()
        venue.run(1)
    assert venue.struck("A14") == 5
    assert len(venue.closed) == 10


@pytest.mark.parametrize("is_signed", [True, False])
def test_a_user_stream_that_ends_early_is_counted_however_it_was_opened(is_signed: bool) -> None:
    venue = FaultyExchange(fault("A15", from_s=3))
    if is_signed:
        venue.listen()
    else:
        venue.listen_by_key()
    venue.run(5)
    assert venue.struck("A15") == 1


# --- the world ---


@pytest.mark.parametrize("is_signed", [True, False])
def test_what_is_left_of_a_partly_filled_order_is_canceled_by_the_venue(is_signed: bool) -> None:
    venue = FaultyExchange(fault("A8"))
    if is_signed:
        venue.listen()
    else:
        venue.listen_by_key()
    ask_ticks, ask_lots = venue.exchange.market.best(0)[2:]
    more = BTC.qty(ask_lots + 5000)
    venue.place(price=BTC.price(ask_ticks), qty=f"{more:f}")
    assert venue.reports() == ["NEW", "TRADE"]
    venue.run(0.1)
    assert venue.struck("A8") == 1
    assert venue.orders() == {"a": "EXPIRED"}
    assert venue.reports() == ["NEW", "TRADE", "EXPIRED"]


@pytest.mark.parametrize(("form", "asset", "sign"), [("third_asset", "BNB", 1), ("rebate", "BTC", -1)])
def test_fees_are_another_asset_or_a_rebate(form: str, asset: str, sign: int) -> None:
    venue = FaultyExchange(fault("A12", form=form))
    venue.place()
    trade = venue.trades()[0]
    assert trade["commission_asset"] == asset
    assert Decimal(trade["commission"]) * sign > 0


def test_the_venues_clock_is_wrong_for_a_while() -> None:
    venue = FaultyExchange(fault("A17", for_s=10, offset_s=-8.0))
    assert json(venue.place().body)["code"] == -1021
    venue.run(10)
    assert venue.place().status == 200


@pytest.mark.parametrize(("form", "code"), [("halt", -1013), ("filters", -1013)])
def test_a_symbol_is_halted_or_has_other_filters_for_a_while(form: str, code: int) -> None:
    venue = FaultyExchange(fault("A19", for_s=10, form=form))
    refused = json(venue.place(price="50000.01").body)
    assert refused["code"] == code
    venue.run(10)
    assert venue.place(price="50000.01").status == 200


@pytest.mark.parametrize("form", ["revoke", "forbid"])
def test_a_key_loses_its_rights_for_a_while(form: str) -> None:
    venue = FaultyExchange(fault("A20", for_s=10, form=form))
    assert json(venue.place().body)["code"] == -2015
    assert (venue.ask("GET", "account").status == 200) is (form == "forbid")
    venue.run(10)
    assert venue.place().status == 200


@pytest.mark.parametrize("form", CATALOGUE["A21"].forms)
def test_the_owners_hand_is_in_the_truth(form: str) -> None:
    venue = FaultyExchange(fault("A21", from_s=2, form=form, every_s=10.0))
    before = venue.exchange.truth()["accounts"]["main"]["balances"]
    venue.run(30)
    assert venue.struck("A21") == 3
    assert venue.exchange.truth()["accounts"]["main"]["balances"] != before
    assert len(venue.trades()) == (3 if form == "order" else 0)


# --- the market ---


def test_a_flood_multiplies_quotes_and_never_trades() -> None:
    calm, wild = FaultyExchange(), FaultyExchange(fault("B5", copies=10.0))
    for venue in (calm, wild):
        venue.listen(("trade", "bookTicker"))
        venue.run(5)

    def count(venue: FaultyExchange, stream: str) -> int:
        return sum(each["stream"].endswith(stream) for each in venue.market)

    assert count(wild, "trade") == count(calm, "trade") > 0
    assert count(wild, "bookTicker") == 10 * count(calm, "bookTicker")


@pytest.mark.parametrize("name", ["B1", "B2", "B3", "B4", "B6"])
def test_the_markets_streams_lie_and_the_market_does_not(name: str) -> None:
    true, lied = FaultyExchange(), FaultyExchange(fault(name))
    for venue in (true, lied):
        venue.listen(("trade", "depth@100ms", "kline_1m"))
        venue.run(8 if name == "B6" else 3)
    assert lied.market != true.market
    assert lied.struck(name)
    assert lied.exchange.market.book(0) == true.exchange.market.book(0)


# --- the dial ---


def control(venue: FaultyExchange, method: str, body: str = "") -> Any:
    request = Request(method=method, path="/njord/faults", body=body)
    return json(venue.nemesis.request(request, venue.now_ns).body)


def test_faults_are_added_listed_and_ended_at_run_time() -> None:
    venue = FaultyExchange()
    assert control(venue, "GET") == {"faults": []}
    control(venue, "POST", '{"fault": "A20", "for_s": 100, "params": {"form": "revoke"}}')
    listed = control(venue, "GET")["faults"]
    assert [(each["fault"], each["is_on"], each["n_struck"]) for each in listed] == [("A20", True, 1)]
    assert venue.place().status != 200
    control(venue, "DELETE")
    assert venue.place().status == 200
    assert not control(venue, "GET")["faults"][0]["is_on"]


@pytest.mark.parametrize("body", ['{"fault": "Z1"}', "{", "[]", ""])
def test_what_is_no_fault_is_refused_and_changes_nothing(body: str) -> None:
    venue = FaultyExchange()
    assert "error" in control(venue, "POST", body)
    assert control(venue, "GET") == {"faults": []}


def test_a_seed_is_a_course_of_events() -> None:
    def course(seed: int) -> list[Any]:
        venue = FaultyExchange(fault("A9", share=0.5), fault("A5", share=0.5), seed=seed)
        venue.listen()
        answers = [venue.place(f"o{number}").body for number in range(10)]
        venue.run(10)
        return [answers, venue.heard, venue.nemesis.struck()]

    assert course(1) == course(1) != course(2)
