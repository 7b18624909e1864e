"""The core in every trouble of the catalogue (A1-A24): what it says stays true, and every trade is told once."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from njord.core.contracts import BrokerReject
from njord.core.types import BUY, OrderReason, OrderStatus, OrderType, TradingState
from njord.core.units import NS_PER_MS, NS_PER_S
from njord.exchange.wire import Fate, Frame, Request, Response
from njord.venues.broker_wire import Balances, Health
from tests.unit.exchange.exchange_case import KEY, trade
from tests.unit.venues.binance_case import CoreCase, params_of

S = OrderStatus
HTML = Response(status=200, body=b"<html>gateway</html>", headers={"content-type": "text/html"})


@pytest.fixture
def case() -> CoreCase:
    """A core that is ready; at 8 s and 9 s trades sweep the bids down to 90, first with 4 lots at 95."""
    case = CoreCase(trade(8, 95, 4, trade_id=5), trade(9, 90, 200, trade_id=6))
    case.to(2)
    assert case.core.is_ready
    return case


def error(status: int, code: int, words: str, **headers: str) -> Response:
    body = msgspec.json.encode({"code": code, "msg": words})
    return Response(
        status=status, body=body, headers={name.replace("_", "-"): v for name, v in headers.items()}
    )


def is_(method: str, path: str) -> Callable[[Request], bool]:
    return lambda request: (request.method, request.path) == (method, f"/api/v3/{path}")


def first(times: int, matches: Callable[[Request], bool]) -> Callable[[Request], bool]:
    left = [times]

    def strikes(request: Request) -> bool:
        if left[0] and matches(request):
            left[0] -= 1
            return True
        return False

    return strikes


def lose(case: CoreCase, strikes: Callable[[Request], bool], **fate: Any) -> None:
    case.trouble.on_fate = lambda request: Fate(**fate) if strikes(request) else None


def spoil(case: CoreCase, strikes: Callable[[Request], bool], answer: Response) -> None:
    case.trouble.after = lambda request, response: answer if strikes(request) else response


def instead(case: CoreCase, strikes: Callable[[Request], bool], answer: Response) -> None:
    case.trouble.before = lambda request: answer if strikes(request) else None


def mute(case: CoreCase, *kinds: str) -> None:
    """Keep execution reports from the stream."""

    def kept(frames: list[Frame]) -> list[Frame]:
        return [each for each in frames if not any(f'"x":"{kind}"' in (each.text or "") for kind in kinds)]

    case.trouble.on_frames = kept


ALL_REPORTS = ("NEW", "TRADE", "CANCELED", "EXPIRED")

NO_WORDS = [
    error(500, -1000, "An unknown error occurred while processing the request."),
    error(504, -1007, "Timeout waiting for response from backend server."),
    error(400, -1006, "An unexpected response was received from the message bus."),
    error(408, -1, "Timeout"),
    error(400, -2010, "Duplicate order sent."),
    error(400, -99999, "Something nobody knows."),
    Response(status=503, body=b"<html/>"),
    HTML,
    Response(status=200, body=b""),
    Response(status=200, body=b"{}"),
    Response(status=200, body=b'{"symbol":"BTCUSDT","orderId":1,"clientOrd'),
    Response(status=200, body=b"[" * 100_000),
    Response(
        status=200,
        body=b'{"symbol":"BTCUSDT","orderId":9,"clientOrderId":"stranger","status":"NEW","side":"BUY",'
        b'"origQty":"1","executedQty":"0"}',
    ),
]

# --- UNKNOWN -----------------------------------------------------------------------------------------------------


def test_a_lost_answer_makes_an_order_unknown_until_a_query_finds_it(case: CoreCase) -> None:
    """A1."""
    lose(case, is_("POST", "order"), loses_response=True)
    mute(case, "NEW")
    case.place("NJ-1", price=80)
    case.to(7.005)
    assert case.statuses("NJ-1") == [S.UNKNOWN]
    case.to(8)
    assert case.statuses("NJ-1") == [S.UNKNOWN, S.ACCEPTED]
    assert len(case.sent("POST", "order")) == 1
    assert case.core.unknown_orders() == []
    case.check()


def test_an_order_that_never_arrived_ends_only_after_its_window(case: CoreCase) -> None:
    """A2."""
    lose(case, is_("POST", "order"), loses_request=True)
    case.place("NJ-1", price=80)
    case.to(61)
    assert case.statuses("NJ-1") == [S.UNKNOWN]
    unknown = case.core.unknown_orders()[0]
    assert unknown.absent_ns == case.reqs["NJ-1"].ts_ns + 60 * NS_PER_S
    assert "no answer" in unknown.evidence[0]
    assert any("-2013" in line for line in unknown.evidence)
    case.to(75)
    assert case.statuses("NJ-1") == [S.UNKNOWN, S.REJECTED]
    assert case.updates("NJ-1")[-1].reason is OrderReason.NEVER_ARRIVED
    assert case.core.is_ready
    case.check()


def test_an_order_that_arrives_after_its_window_is_refused_by_the_venue_and_is_absent(case: CoreCase) -> None:
    """A3: the request is signed with a time, and the venue keeps to it."""
    lose(case, is_("POST", "order"), request_delay_ns=40 * NS_PER_S)
    case.place("NJ-1", price=80)
    case.to(80)
    assert case.statuses("NJ-1") == [S.UNKNOWN, S.REJECTED]
    case.check()


def test_an_order_that_comes_to_life_after_its_end_is_canceled_and_its_trades_are_told(
    case: CoreCase,
) -> None:
    """A3, at a venue that does not keep its own window."""
    held: list[Request] = []

    def keep(request: Request) -> Response | None:
        if request.method != "POST" or held:
            return None
        held.append(request)
        return error(504, -1007, "Timeout waiting for response from backend server.")

    case.trouble.before = keep
    case.place("NJ-1", price=80)
    case.to(80)
    assert case.statuses("NJ-1")[-1] is S.REJECTED
    case.case.now_ns = case.time.now_ns()
    case.case.place(newClientOrderId="NJ-1", quantity="1", price="80")
    case.to(150)
    assert "an order came to life after its end" in case.titles()
    assert case.case.found("NJ-1").status.value == "CANCELED"
    assert case.statuses("NJ-1") == [S.UNKNOWN, S.REJECTED]


@pytest.mark.integration
@pytest.mark.parametrize("answer", NO_WORDS)
@pytest.mark.parametrize("is_done", [True, False])
def test_no_answer_that_says_nothing_is_a_yes_or_a_no(answer: Response, is_done: bool) -> None:
    """A4, A5, A23: all of them."""
    test_an_answer_that_says_nothing_is_neither_yes_nor_no(answer, is_done)


@pytest.mark.parametrize(
    ("answer", "is_done"),
    [(NO_WORDS[0], True), (NO_WORDS[4], False), (NO_WORDS[7], True), (NO_WORDS[-1], False)],
)
def test_an_answer_that_says_nothing_is_neither_yes_nor_no(answer: Response, is_done: bool) -> None:
    """A4, A5, A23: a sample."""
    case = CoreCase()
    case.to(2)
    (spoil if is_done else instead)(case, first(1, is_("POST", "order")), answer)
    mute(case, "NEW")
    case.place("NJ-1", price=80)
    case.to(2.03)
    assert case.statuses("NJ-1") == [S.UNKNOWN]
    case.to(3)
    assert case.statuses("NJ-1") == ([S.UNKNOWN, S.ACCEPTED] if is_done else [S.UNKNOWN])
    case.to(75)
    assert case.statuses("NJ-1") == [S.UNKNOWN, S.ACCEPTED if is_done else S.REJECTED]
    assert len(case.sent("POST", "order")) == 1
    case.check()


@pytest.mark.parametrize("answer", [HTML, Response(status=502, body=b""), Response(status=200, body=b"null")])
def test_spoiled_answers_to_queries_settle_nothing(case: CoreCase, answer: Response) -> None:
    """A4, A5 of queries: the core asks until it hears, and trades are told once."""
    case.place("NJ-1", price=95)
    mute(case, *ALL_REPORTS)
    spoil(case, first(8, lambda request: request.method == "GET"), answer)
    case.to(60)
    assert case.statuses("NJ-1") == [S.ACCEPTED, S.FILLED]
    case.check()


# --- cancels -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_s", [7.97, 7.985, 7.995, 8.005, 8.02])
def test_a_cancel_that_races_a_fill_ends_as_the_venue_says(case: CoreCase, at_s: float) -> None:
    """A6."""
    case.place("NJ-1", lots=20, price=95)
    case.to(at_s)
    case.cancel("NJ-1")
    case.to(40)
    case.check()
    assert case.statuses("NJ-1")[-1] in (S.FILLED, S.CANCELED)


def test_a_cancel_refused_as_unknown_is_asked_after_and_repeated(case: CoreCase) -> None:
    """A7."""
    case.place("NJ-1", price=80)
    case.to(3)
    instead(case, first(2, is_("DELETE", "order")), error(400, -2011, "Unknown order sent."))
    case.cancel("NJ-1")
    case.to(3.03)
    assert case.statuses("NJ-1") == [S.ACCEPTED]
    case.to(10)
    assert case.statuses("NJ-1") == [S.ACCEPTED, S.CANCELED]
    assert len(case.sent("DELETE", "order")) == 3
    case.check()


def test_the_venues_own_cancel_of_a_partly_filled_order_is_told_once(case: CoreCase) -> None:
    """A8."""
    case.place("NJ-1", lots=20, price=95)
    case.to(8.5)
    assert [each.qty_lots for each in case.fills("NJ-1")] == [4]
    case.case.exchange.operator.cancel_by_venue("alice", "NJ-1")
    case.to(40)
    assert case.statuses("NJ-1") == [S.ACCEPTED, S.EXPIRED]
    assert case.updates("NJ-1")[-1].reason is OrderReason.VENUE_CANCELED
    assert case.updates("NJ-1")[-1].filled_lots == 4
    case.check()


# --- the stream --------------------------------------------------------------------------------------------------


def test_reports_that_come_twice_and_by_two_ways_are_told_once(case: CoreCase) -> None:
    """A9."""
    case.trouble.on_frames = lambda frames: [each for frame in frames for each in (frame, frame)]
    case.place("NJ-1", price=95, lots=20)
    case.place("NJ-2", type_=OrderType.MARKET)
    case.to(8.5)
    case.case.exchange.operator.drop_streams()
    case.to(60)
    assert case.statuses("NJ-1") == [S.ACCEPTED, S.FILLED]
    case.check()


@pytest.mark.parametrize("kinds", [("TRADE",), ("NEW",), ALL_REPORTS])
def test_missing_reports_are_found_within_the_poll(case: CoreCase, kinds: tuple[str, ...]) -> None:
    """A10, A13: a healthy stream with holes, or a socket that is open and dead."""
    mute(case, *kinds)
    case.place("NJ-1", price=95)
    case.to(21)
    assert case.statuses("NJ-1") == [S.ACCEPTED, S.FILLED]
    case.check()


def test_a_silent_stream_is_declared_dead_and_opened_anew(case: CoreCase) -> None:
    """A13."""
    case.to(5)
    before = case.core.wants_stream.generation
    case.trouble.on_frames = lambda frames: [each for each in frames if '"e":' not in (each.text or "")]
    case.place("NJ-1", price=80)
    case.to(11)
    assert case.core.wants_stream.generation == before + 1
    assert "stream: it is silent" in {each.reason for each in case.words if isinstance(each, Health)}
    assert case.core.is_ready


def test_reports_out_of_order_end_in_the_same_words(case: CoreCase) -> None:
    """A11: frames of one second arrive the last first."""
    kept: list[Frame] = []

    def reverse(frames: list[Frame]) -> list[Frame]:
        mine = [each for each in frames if "executionReport" in (each.text or "")]
        others = [each for each in frames if each not in mine]
        kept.extend(mine)
        if case.time.now_ns() < case.reqs["NJ-1"].ts_ns + 8 * NS_PER_S:
            return others
        out, kept[:] = kept[::-1], []
        return others + out

    lose(case, is_("POST", "order"), loses_response=True)
    case.place("NJ-1", price=95, lots=20)
    case.trouble.on_frames = reverse
    case.to(40)
    assert case.statuses("NJ-1")[-1] is S.FILLED
    case.check()


def test_an_end_is_told_only_with_all_its_trades(case: CoreCase) -> None:
    """A10, A11: the canceled order's trade is missing; its end waits for it."""
    mute(case, "TRADE")
    case.place("NJ-1", lots=20, price=95)
    case.to(8.5)
    case.cancel("NJ-1")
    case.to(8.7)
    assert case.statuses("NJ-1") == [S.ACCEPTED]
    assert case.fills("NJ-1") == []
    case.to(12)
    assert case.statuses("NJ-1") == [S.ACCEPTED, S.CANCELED]
    assert case.updates("NJ-1")[-1].filled_lots == 4
    case.check()


def test_an_end_that_no_report_told_is_found_by_asking_for_what_no_list_shows(case: CoreCase) -> None:
    """A10: the venue has ended an order, and only its own state says so."""
    mute(case, "CANCELED", "EXPIRED")
    case.place("NJ-1", price=80)
    case.to(3)
    case.case.exchange.operator.cancel_by_venue("alice", "NJ-1")
    case.to(14)
    assert case.statuses("NJ-1") == [S.ACCEPTED, S.EXPIRED]
    case.check()


def test_a_stream_that_flaps_is_opened_ever_more_slowly(case: CoreCase) -> None:
    """A14."""
    for second in range(3, 63, 2):
        case.case.exchange.operator.drop_streams()
        case.to(second)
    n_opened = case.core.wants_stream.generation
    assert n_opened < 20
    case.place("NJ-1", price=80)
    case.to(120)
    assert case.core.is_ready
    assert n_opened <= case.core.wants_stream.generation <= n_opened + 1


# --- money -------------------------------------------------------------------------------------------------------


def test_a_fee_in_a_third_asset_comes_through_exactly(case: CoreCase) -> None:
    """A12."""
    case.case.exchange.operator.deposit("alice", "BNB", Decimal(5))
    case.case.exchange.operator.charge_fees_in("alice", "BNB", Decimal(-2))
    case.place("NJ-1", type_=OrderType.MARKET)
    case.to(30)
    truth = case.case.exchange.truth()["accounts"]["alice"]["trades"][0]
    fill = case.fills("NJ-1")[0]
    assert (str(fill.fee_asset), fill.fee) == (
        truth["commission_asset"],
        Decimal(truth["commission"]),
    )
    case.check()


# --- budget, clock, key ------------------------------------------------------------------------------------------


def test_a_429_is_obeyed_and_the_order_is_refused_when_it_would_wait_too_long(case: CoreCase) -> None:
    """A16."""
    answer = error(429, -1003, "Too much request weight used.", retry_after="7")
    instead(case, first(1, is_("POST", "order")), answer)
    case.place("NJ-1", price=80)
    case.to(2.5)
    assert case.updates("NJ-1")[-1].reason is OrderReason.RATE_LIMITED
    n_heard = len(case.trouble.heard)
    late = case.place("NJ-2", price=80)
    assert isinstance(late, BrokerReject)
    assert late.reason is OrderReason.RATE_LIMITED
    case.to(8.9)
    assert len(case.trouble.heard) == n_heard
    case.place("NJ-3", price=80)
    case.to(12)
    assert case.statuses("NJ-3") == [S.ACCEPTED]


def test_a_ban_halts_by_name_and_nothing_is_sent_until_it_ends(case: CoreCase) -> None:
    """A16."""
    case.place("NJ-1", price=80)
    case.to(3)
    case.case.exchange.operator.ban("127.0.0.1", 30)
    case.cancel("NJ-1")
    case.to(3.1)
    assert case.health.reason.startswith("ban: ")
    n_heard = len(case.trouble.heard)
    case.to(32)
    assert len(case.trouble.heard) == n_heard
    case.to(45)
    assert case.health.state is TradingState.ACTIVE
    assert case.statuses("NJ-1") == [S.ACCEPTED, S.CANCELED]
    case.check()


@pytest.mark.parametrize("offset_s", [30, -30])
def test_a_venue_clock_that_is_set_is_measured_anew_and_the_order_repeated_once(
    case: CoreCase, offset_s: int
) -> None:
    """A17."""
    case.case.exchange.operator.set_clock_offset_ns(offset_s * NS_PER_S)
    case.place("NJ-1", price=80)
    case.to(2.04)
    assert case.health.reason.startswith("clock: ")
    case.to(10)
    assert case.health.state is TradingState.ACTIVE
    assert abs(case.core.clock_offset_ns - offset_s * NS_PER_S) < 2e7
    assert case.statuses("NJ-1") == [S.ACCEPTED]
    assert len(case.sent("POST", "order")) == 2
    assert {each["newClientOrderId"] for each in case.sent("POST", "order")} == {"NJ-1"}
    case.check()


def test_a_clock_that_was_set_back_and_right_again_before_it_was_measured_leaves_no_halt(
    case: CoreCase,
) -> None:
    """A17, with A18: the account then carries an earlier time than what was read before."""
    operator = case.case.exchange.operator
    case.to(3)
    operator.deposit("alice", "USDT", Decimal(1))
    case.to(69.5)  # The clock was measured at 60 s; the account is read at 73 s.
    operator.set_clock_offset_ns(-68 * NS_PER_S)
    operator.deposit("alice", "USDT", Decimal(1))
    case.place("NJ-1", price=80)  # Refused: its time is ahead of the venue's.
    instead(case, is_("GET", "time"), Response(status=503, body=b"down"))
    case.to(72)
    assert case.statuses("NJ-1") == [S.REJECTED]
    operator.set_clock_offset_ns(0)
    case.trouble.before = lambda request: None
    case.to(200)
    assert "the venue's clock was set, or ours" not in case.titles()
    assert case.health.state is TradingState.ACTIVE, case.health
    case.check()


def test_a_venue_that_refuses_every_timestamp_gets_no_third_try(case: CoreCase) -> None:
    """A17."""
    words = "Timestamp for this request is outside of the recvWindow."
    instead(case, is_("POST", "order"), error(400, -1021, words))
    case.place("NJ-1", price=80)
    case.to(10)
    assert case.statuses("NJ-1") == [S.REJECTED]
    assert len(case.sent("POST", "order")) == 2


def test_an_outage_halts_by_name_and_ends_with_a_reconciliation(case: CoreCase) -> None:
    """A18, with a fill meanwhile."""
    case.place("NJ-1", price=95)
    case.to(7)
    case.case.exchange.operator.drop_streams()
    case.trouble.before = lambda request: Response(status=503, body=b"down")
    case.trouble.on_frames = lambda frames: []
    case.to(1800)
    assert case.health.reason == "venue: it is not reachable"
    assert len(case.trouble.heard) < 1800
    case.words.clear()
    case.trouble.before = lambda request: None
    case.trouble.on_frames = lambda frames: frames
    case.to(1840)
    assert case.core.is_ready
    told = [type(each).__name__ for each in case.words if not isinstance(each, Health)]
    assert told[:3] == ["BrokerFill", "BrokerFill", "BrokerOrderUpdate"]
    assert isinstance(case.words[-1], (Health, Balances))


@pytest.mark.parametrize("what", ["revoke_key", "forbid_trading"])
def test_a_key_that_is_refused_is_final(case: CoreCase, what: str) -> None:
    """A20."""
    case.place("NJ-1", price=80)
    case.to(3)
    getattr(case.case.exchange.operator, what)(KEY)
    case.place("NJ-2", price=80)
    case.to(4)
    assert case.health.state is TradingState.HALTED
    assert case.health.reason.startswith("key: ")
    assert case.statuses("NJ-2") == [S.REJECTED]
    n_heard = len(case.trouble.heard)
    case.to(600)
    assert len(case.trouble.heard) == n_heard
    assert case.titles().count("the venue refuses the key; nothing is sent any more") == 1
    case.check()


def test_a_key_that_is_refused_from_the_beginning_is_final_and_the_stream_is_dialed_no_more() -> None:
    """A20: only the subscription is signed until then, and whether a refusal of it is for good REST says."""
    case = CoreCase()
    case.case.exchange.operator.revoke_key(KEY)
    case.to(5)
    assert case.health.state is TradingState.HALTED
    assert case.health.reason.startswith("key: HTTP 401, -2015")
    assert len(case.sent("GET", "account")) == 1
    n_heard, dialed = len(case.trouble.heard), case.core.wants_stream.generation
    assert dialed <= 2
    case.to(600)
    assert (len(case.trouble.heard), case.core.wants_stream.generation) == (n_heard, dialed)


def test_a_subscription_that_is_refused_for_a_while_is_dialed_until_it_stands() -> None:
    """A14, A20: REST takes the key, so it is not the key."""
    case = CoreCase()
    refusal = '{"id":"1","status":401,"error":{"code":-2015,"msg":"Invalid API-key, IP, or permissions"}}'

    def refuse(frames: list[Frame]) -> list[Frame]:
        return [
            replace(each, text=refusal) if '"status":200' in (each.text or "") else each for each in frames
        ]

    case.trouble.on_frames = refuse
    case.to(20)
    assert case.health.reason.startswith("stream: the subscription was refused")
    assert case.core.wants_stream.generation > 3
    case.trouble.on_frames = lambda frames: frames
    case.to(60)
    assert case.core.is_ready


def test_an_overfill_is_told_and_a_person_too(case: CoreCase) -> None:
    """A12."""
    case.place("NJ-1", type_=OrderType.MARKET)
    case.to(3)
    report = {
        "e": "executionReport", "E": 1, "s": "BTCUSDT", "c": "NJ-1", "S": "BUY", "q": "1", "C": "", "x": "TRADE",
        "X": "FILLED", "r": "NONE", "i": 1, "z": "1", "T": case.time.now_ns() // NS_PER_MS, "t": 77, "l": "0.3",
        "L": "101", "n": "0.001", "N": "BNB", "m": False,
    }  # fmt: skip
    case.core.stream_said(msgspec.json.encode({"subscriptionId": 0, "event": report}), case.time.now_ns())
    case.shell.pump()
    assert [each.qty_lots for each in case.fills("NJ-1")] == [10, 3]
    assert case.statuses("NJ-1") == [S.ACCEPTED, S.FILLED]
    assert "an order filled beyond its quantity" in case.titles()


# --- snapshots ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [Response(status=200, body=b"[]"), error(500, -1000, "An unknown error.")])
def test_a_list_without_an_order_is_no_evidence_of_its_end(case: CoreCase, answer: Response) -> None:
    """A24."""
    case.place("NJ-1", price=80)
    case.to(3)
    spoil(case, is_("GET", "openOrders"), answer)
    case.case.exchange.operator.drop_streams()
    case.to(120)
    assert case.statuses("NJ-1") == [S.ACCEPTED]
    case.check()


def test_an_account_of_the_past_or_of_a_stranger_is_not_believed(case: CoreCase) -> None:
    """A23."""
    old: list[Response] = []

    def stale(request: Request, response: Response) -> Response:
        if request.path != "/api/v3/account":
            return response
        old.append(response)
        return old[0]

    case.trouble.after = stale
    case.to(30)
    case.place("NJ-1", type_=OrderType.MARKET)
    case.to(200)
    assert old[0].body != old[-1].body
    case.words.clear()
    case.to(400)
    assert [each for each in case.words if isinstance(each, Balances)] == []


def test_another_account_never_gets_as_far_as_ready(case: CoreCase) -> None:
    """A23."""

    def foreign(request: Request, response: Response) -> Response:
        if request.path != "/api/v3/account":
            return response
        body = msgspec.json.decode(response.body)
        body["uid"] = 99
        return replace(response, body=msgspec.json.encode(body))

    case.trouble.after = foreign
    case.case.exchange.operator.drop_streams()
    case.to(60)
    assert case.health.state is TradingState.HALTED
    assert case.health.reason == f"the account is not believed: account 99 answers, not {_uid(case)}"


def _uid(case: CoreCase) -> int:
    return int(case.case.alice.uid)


def test_trades_of_somebody_else_are_not_booked(case: CoreCase) -> None:
    """A23: a list of another account's trades moves nothing."""

    def foreign(request: Request, response: Response) -> Response:
        if request.path != "/api/v3/myTrades" or "orderId" in params_of(request):
            return response
        row = {
            "symbol": "BTCUSDT", "id": 700, "orderId": 4711, "price": "99", "qty": "1", "commission": "0",
            "commissionAsset": "BTC", "time": 1_700_000_080_000, "isBuyer": True, "isMaker": True,
        }  # fmt: skip
        return replace(response, body=msgspec.json.encode([row]))

    case.place("NJ-0", type_=OrderType.MARKET)
    case.to(20)
    case.trouble.after = foreign
    case.to(90)
    mute(case, *ALL_REPORTS)
    case.place("NJ-1", type_=OrderType.MARKET)
    case.case.exchange.operator.place_by_hand("alice", "BTCUSDT", BUY, OrderType.MARKET, Decimal("0.5"))
    case.to(100)
    case.trouble.after = lambda request, response: response
    case.to(160)
    case.case.exchange.operator.place_by_hand("alice", "BTCUSDT", BUY, OrderType.MARKET, Decimal("0.5"))
    case.to(260)
    assert "the venue listed trades of an order that the account does not have" in case.titles()
    case.check()
