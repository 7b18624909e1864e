"""What happens to orders and money: locks, fills by queue position, triggers, halts, fees; nothing is lost or made."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from njord.core.types import OrderType, Side
from njord.core.units import EXACT
from njord.exchange.errors import ApiError
from tests.unit.exchange.exchange_case import KEY, OTHER_KEY, OTHER_SECRET, Case, change, trade

ZERO = Decimal(0)


# BTC free and locked, USDT free and locked.
def _money(case: Case) -> list[Decimal | int]:
    return [case.free("BTC"), case.locked("BTC"), case.free("USDT"), case.locked("USDT")]


# --- locks ---


def test_a_limit_order_locks_what_it_may_cost_and_a_cancel_frees_it() -> None:
    case = Case()
    case.place(price="98", quantity="2", newClientOrderId="b")
    case.place(side="SELL", price="110", quantity="3", newClientOrderId="s")
    assert _money(case) == [7, 3, 9804, 196]
    case.cancel("b")
    case.cancel("s")
    assert _money(case) == [10, 0, 10_000, 0]


def test_what_is_locked_can_not_be_spent_again() -> None:
    case = Case()
    case.place(side="SELL", price="110", quantity="8")
    assert case.refuse(side="SELL", quantity="3")[0] == -2010
    assert case.refuse(side="SELL", price="111", quantity="2.1")[0] == -2010
    assert case.place(side="SELL", quantity="2")["status"] == "FILLED"
    with pytest.raises(ApiError, match="-2010 Account has insufficient balance"):
        case.exchange.operator.withdraw("alice", "BTC", Decimal("0.1"))


def test_a_better_price_than_the_limit_frees_the_rest_of_the_lock() -> None:
    case = Case()
    assert case.place(price="105", quantity="5")["status"] == "FILLED"
    assert _money(case) == [15, 0, 10_000 - 505, 0]


def test_a_partial_fill_keeps_the_lock_of_what_is_left() -> None:
    case = Case()
    said = case.place(price="101", quantity="8")  # 5 are there.
    assert (said["status"], said["executedQty"]) == ("PARTIALLY_FILLED", "5.00000000")
    assert _money(case) == [15, 0, 10_000 - 808, 303]


# --- how orders meet the market ---


def test_a_resting_order_fills_when_the_queue_before_it_is_gone() -> None:
    case = Case(trade(1, 99, 40), trade(2, 99, 15), trade(3, 99, 20))
    case.place(price="99", quantity="2", newClientOrderId="b")  # 50 lots are before its 20.
    seen = []
    for at_s in (1.0, 2.0, 3.0):
        case.to(at_s)
        seen.append((case.state("b")["status"], case.state("b")["executedQty"]))
    assert seen == [("NEW", "0.00000000"), ("PARTIALLY_FILLED", "0.50000000"), ("FILLED", "2.00000000")]
    (first, second) = case.ask("GET", "myTrades", symbol="BTCUSDT")
    assert [first["isMaker"], second["isMaker"]] == [True, True]
    assert case.state("b")["updateTime"] == case.now_ns // 1_000_000


@pytest.mark.parametrize(
    ("given", "status", "executed"),
    [
        ({"price": "101", "quantity": "8", "timeInForce": "IOC"}, "EXPIRED", "5.00000000"),
        ({"price": "100", "quantity": "8", "timeInForce": "IOC"}, "EXPIRED", "0.00000000"),
        ({"price": "101", "quantity": "8", "timeInForce": "FOK"}, "EXPIRED", "0.00000000"),
        ({"price": "102", "quantity": "8", "timeInForce": "FOK"}, "FILLED", "8.00000000"),
        ({"quantity": "16"}, "EXPIRED", "15.00000000"),
    ],
)
def test_what_may_not_rest_ends_at_once(given: dict[str, Any], status: str, executed: str) -> None:
    case = Case()
    said = case.place(newClientOrderId="x", newOrderRespType="RESULT", **given)
    assert (said["status"], said["executedQty"]) == (status, executed)
    assert case.locked("USDT") == 0
    assert case.ask("GET", "openOrders") == []


@pytest.mark.parametrize(
    ("quote", "qty"), [("505", "5.00000000"), ("600", "5.90000000"), ("101", "1.00000000")]
)
def test_an_order_by_quote_buys_what_the_book_gives_for_it(quote: str, qty: str) -> None:
    case = Case()
    said = case.place(quoteOrderQty=quote)
    assert (said["executedQty"], said["origQuoteOrderQty"]) == (qty, f"{quote}.00000000")
    assert Decimal(said["cummulativeQuoteQty"]) <= Decimal(quote)


def test_a_sale_by_quote_sells_what_brings_it() -> None:
    assert Case().place(side="SELL", quoteOrderQty="198")["executedQty"] == "2.00000000"


def test_a_market_buy_beyond_what_is_free_fills_as_far_as_it_goes() -> None:
    case = Case(balances={"USDT": Decimal(606)})
    said = case.place(quantity="8")
    assert (said["status"], said["executedQty"]) == ("EXPIRED", "5.00000000")
    assert case.free("USDT") == 101
    assert Case(balances={"USDT": Decimal(100)}).refuse(quantity="1")[0] == -2010


def test_a_stop_waits_outside_the_book_and_then_takes() -> None:
    case = Case(trade(5, 104, 1, buys=True))
    case.place(type="STOP_LOSS_LIMIT", price="105", stopPrice="104", quantity="2", newClientOrderId="stop")
    case.to(4)
    waiting = case.state("stop")
    assert (waiting["status"], waiting["isWorking"], waiting["stopPrice"]) == ("NEW", False, "104.00000000")
    assert case.locked("USDT") == 210
    case.to(5)
    filled = case.state("stop")
    assert (filled["status"], filled["cummulativeQuoteQty"]) == ("FILLED", "208.00000000")
    assert filled["workingTime"] == case.now_ns // 1_000_000
    assert case.locked("USDT") == 0


def test_a_take_profit_rests_at_its_limit_once_it_is_triggered() -> None:
    case = Case(trade(5, 103, 1, buys=True))
    case.place(side="SELL", type="TAKE_PROFIT_LIMIT", price="106", stopPrice="103", newClientOrderId="profit")
    case.to(5)
    state = case.state("profit")
    assert (state["status"], state["isWorking"]) == ("NEW", True)


def test_a_stop_at_market_is_offered_only_where_the_exchange_says_so() -> None:
    case = Case(trade(5, 98, 1), has_trigger_market_orders=True)
    assert "STOP_LOSS" in case.keyed("GET", "exchangeInfo")["symbols"][0]["orderTypes"]
    case.place(side="SELL", type="STOP_LOSS", stopPrice="98", newClientOrderId="stop")
    case.to(5)
    assert case.state("stop")["status"] == "FILLED"


def test_an_order_that_would_meet_ones_own_ends_the_resting_one() -> None:
    case = Case()
    case.place(side="SELL", price="100", newClientOrderId="resting")
    case.place(price="100", newClientOrderId="taking")
    assert case.state("resting")["status"] == "EXPIRED_IN_MATCH"
    assert case.state("taking")["status"] == "NEW"
    assert case.locked("BTC") == 0


def test_accounts_do_not_see_each_other() -> None:
    case = Case()
    case.place(price="100")
    bob = {"key": OTHER_KEY, "secret": OTHER_SECRET}
    assert case.place(side="SELL", price="100", **bob)["status"] == "NEW"
    assert len(case.ask("GET", "openOrders")) == len(case.ask("GET", "openOrders", **bob)) == 1


# --- what the world does ---


def test_a_halted_symbol_takes_no_orders_and_fills_none_and_goes_on_later() -> None:
    case = Case(trade(1, 99, 200), trade(3, 99, 200))
    case.place(price="99", newClientOrderId="b")
    operator = case.exchange.operator
    operator.halt("BTCUSDT")
    assert case.keyed("GET", "exchangeInfo")["symbols"][0]["status"] == "BREAK"
    assert case.refuse(price="98") == (-1013, "Market is closed.")
    case.to(1)
    assert case.state("b")["status"] == "NEW"
    assert case.locked("USDT") == 99
    operator.resume("BTCUSDT")
    case.to(3)
    assert case.state("b")["status"] == "FILLED"
    assert case.locked("USDT") == 0


def test_a_halted_order_can_be_canceled() -> None:
    case = Case()
    case.place(price="99", newClientOrderId="b")
    case.exchange.operator.halt("BTCUSDT")
    assert case.cancel("b")["status"] == "CANCELED"
    case.exchange.operator.resume("BTCUSDT")
    assert _money(case) == [10, 0, 10_000, 0]


def test_a_partly_filled_order_keeps_what_it_has_over_a_halt() -> None:
    case = Case(trade(1, 99, 55), trade(3, 98, 5))
    case.place(price="99", quantity="2", newClientOrderId="b")
    case.to(1)
    case.exchange.operator.halt("BTCUSDT")
    case.to(2)
    case.exchange.operator.resume("BTCUSDT")
    assert case.state("b")["executedQty"] == "0.50000000"
    case.to(3)  # Through its price: the whole rest.
    assert case.state("b")["executedQty"] in ("1.00000000", "2.00000000")


def test_an_order_that_comes_back_after_a_halt_still_pays_from_its_lock() -> None:
    case = Case(trade(2, 98, 5), balances={"USDT": Decimal(198)})
    case.place(price="99", quantity="2", newClientOrderId="b")
    case.exchange.operator.halt("BTCUSDT")
    case.to(1)
    case.exchange.operator.resume("BTCUSDT")
    case.to(2)
    assert case.state("b")["status"] == "FILLED"
    assert case.free("USDT") == case.locked("USDT") == 0


def test_the_venue_may_end_an_order() -> None:
    case = Case(trade(1, 99, 55))
    case.place(price="99", quantity="2", newClientOrderId="b")
    case.to(1)
    assert case.exchange.operator.cancel_by_venue("alice", "b")
    assert not case.exchange.operator.cancel_by_venue("alice", "b")
    assert (case.state("b")["status"], case.state("b")["executedQty"]) == ("EXPIRED", "0.50000000")
    assert case.locked("USDT") == 0


def test_the_owner_trades_moves_money_and_is_refused_like_everybody() -> None:
    case = Case()
    operator = case.exchange.operator
    order = operator.place_by_hand("alice", "BTCUSDT", Side.BUY, OrderType.MARKET, Decimal(1), None)
    assert case.state(order.ticket.client_id)["status"] == "FILLED"
    resting = operator.place_by_hand("alice", "BTCUSDT", Side.SELL, OrderType.LIMIT, Decimal(1), Decimal(110))
    assert case.ask("GET", "openOrders")[0]["orderId"] == resting.order_id
    operator.deposit("alice", "DOGE", Decimal(5))
    operator.withdraw("alice", "USDT", Decimal(99))
    assert case.free("DOGE") == 5
    assert case.free("USDT") == 10_000 - 101 - 99
    with pytest.raises(ApiError, match="LOT_SIZE"):
        operator.place_by_hand("alice", "BTCUSDT", Side.BUY, OrderType.MARKET, Decimal("0.01"), None)


# --- fees ---


@pytest.mark.parametrize(
    ("side", "asset", "fee"), [("BUY", "BTC", "0.00100000"), ("SELL", "USDT", "0.09900000")]
)
def test_a_fee_is_taken_from_what_is_received(side: str, asset: str, fee: str) -> None:
    case = Case(taker_bps=Decimal(10))
    (fill,) = case.place(side=side)["fills"]
    assert (fill["commission"], fill["commissionAsset"]) == (fee, asset)


def test_fees_in_a_third_asset_are_paid_while_there_is_some() -> None:
    case = Case(
        taker_bps=Decimal(10), balances={"BTC": Decimal(10), "USDT": Decimal(10_000), "BNB": Decimal("0.15")}
    )
    case.exchange.operator.charge_fees_in(
        "alice", "BNB", Decimal(10)
    )  # BNB has no price here: it counts as 1 USDT.
    paid = [case.place()["fills"][0] for _ in range(2)]
    assert [(fill["commission"], fill["commissionAsset"]) for fill in paid] == [
        ("0.10100000", "BNB"),
        ("0.00100000", "BTC"),
    ]
    assert case.free("BNB") == Decimal("0.049")


def test_no_fee_takes_more_than_the_fill_brings() -> None:
    case = Case()
    case.exchange.operator.charge_fees_in("alice", None, Decimal(20_000))
    assert case.place()["fills"][0]["commission"] == "1.00000000"
    assert case.free("BTC") == 10


def test_a_rebate_is_received() -> None:
    case = Case()
    case.exchange.operator.charge_fees_in("alice", None, Decimal(-10))
    assert case.place()["fills"][0]["commission"] == "-0.00100000"
    assert case.free("BTC") == Decimal("11.001")


# --- nothing is lost or made ---

_deed = st.tuples(
    st.sampled_from(["BUY", "SELL"]),
    st.sampled_from(["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "CANCEL", "HALT", "EXPIRE"]),
    st.integers(95, 105),
    st.integers(2, 120),
    st.sampled_from(["GTC", "IOC", "FOK"]),
)


@given(
    deeds=st.lists(_deed, min_size=1, max_size=25),
    prints=st.lists(st.tuples(st.integers(96, 104), st.integers(1, 90), st.booleans()), max_size=25),
    bps=st.tuples(st.integers(-10, 40), st.integers(0, 40)),
)
def test_balances_add_up_to_what_was_traded_and_are_never_negative(
    deeds: list[tuple[str, str, int, int, str]],
    prints: list[tuple[int, int, bool]],
    bps: tuple[int, int],
) -> None:
    rows = [trade(1 + at, price, lots, buys=buys) for at, (price, lots, buys) in enumerate(prints)]
    renewed = [change(1.5 + at, [(99, 50)], [(101, 50)]) for at in range(len(prints))]
    merged = [row for pair in zip(rows, renewed, strict=True) for row in pair]
    case = Case(*merged, maker_bps=Decimal(bps[0]), taker_bps=Decimal(bps[1]))
    for at, (side, kind, price, lots, tif) in enumerate(deeds):
        case.to(at)
        _do(case, side, kind, price, lots, tif)
        assert min(case.free("BTC"), case.locked("BTC"), case.free("USDT"), case.locked("USDT")) >= 0
    _adds_up(case)
    case.to(60)
    _adds_up(case)
    for name in [order.ticket.client_id for order in case.alice.open_orders.values()]:
        case.cancel(name)
    _adds_up(case)
    assert case.locked("BTC") == case.locked("USDT") == 0


def _do(case: Case, side: str, kind: str, price: int, lots: int, tif: str) -> None:
    open_names = [order.ticket.client_id for order in case.alice.open_orders.values()]
    if kind == "CANCEL" and open_names:
        case.cancel(open_names[lots % len(open_names)])
    elif kind == "EXPIRE" and open_names:
        case.exchange.operator.cancel_by_venue("alice", open_names[lots % len(open_names)])
    elif kind == "HALT":
        is_on = case.exchange.trading.rules.at(0).is_trading
        (case.exchange.operator.halt if is_on else case.exchange.operator.resume)("BTCUSDT")
    elif kind not in ("CANCEL", "EXPIRE"):
        given: dict[str, Any] = {"side": side, "type": kind, "quantity": f"{lots / 10:.1f}"}
        if kind != "MARKET":
            given["price"] = str(price)
        if kind == "STOP_LOSS_LIMIT":
            given["stopPrice"] = str(price)
        if kind == "LIMIT":
            given["timeInForce"] = tif
        case.send("POST", "order", **case.order(**given))


def _adds_up(case: Case) -> None:
    held = {"BTC": Decimal(10), "USDT": Decimal(10_000)}
    executed: dict[int, Decimal] = {}
    for row in case.ask("GET", "myTrades", symbol="BTCUSDT", limit=1000):
        qty, quote = Decimal(row["qty"]), Decimal(row["quoteQty"])
        sign = 1 if row["isBuyer"] else -1
        held["BTC"] = EXACT.add(held["BTC"], sign * qty)
        held["USDT"] = EXACT.subtract(held["USDT"], sign * quote)
        held[row["commissionAsset"]] = EXACT.subtract(
            held[row["commissionAsset"]], Decimal(row["commission"])
        )
        executed[row["orderId"]] = executed.get(row["orderId"], ZERO) + qty
    needed = {"BTC": ZERO, "USDT": ZERO}
    for order in case.ask("GET", "allOrders", symbol="BTCUSDT", limit=1000):
        assert executed.get(order["orderId"], ZERO) == Decimal(order["executedQty"])
        if order["status"] in ("NEW", "PARTIALLY_FILLED"):
            left = Decimal(order["origQty"]) - Decimal(order["executedQty"])
            is_sale = order["side"] == "SELL"
            needed["BTC" if is_sale else "USDT"] += left if is_sale else left * Decimal(order["price"])
    for asset, total in held.items():
        assert case.free(asset) >= 0
        assert case.locked(asset) == needed[asset]
        assert EXACT.add(case.free(asset), case.locked(asset)) == total


def test_a_key_is_only_a_way_in() -> None:
    case = Case()
    assert case.exchange.trading.account_of(KEY) is case.alice
    assert case.exchange.trading.account_of("unknownkey") is None
