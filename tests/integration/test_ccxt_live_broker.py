"""The live broker on the local exchange: the same words that the exchange's truth ledger holds, by both user streams."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from njord.adapters.clock import WallClock
from njord.adapters.kill_switch_watch import Reading
from njord.apps.live_locks import LockState, Measured, live_locks
from njord.apps.live_look import look_at_venue
from njord.apps.live_venue import live_broker
from njord.core.config import Config
from njord.core.contracts import (
    BrokerAmendReq,
    BrokerCancelReq,
    BrokerFill,
    BrokerOrderReq,
    BrokerOrderUpdate,
    BrokerPending,
    BrokerReject,
    BrokerUnknown,
)
from njord.core.errors import ConfigError, VenueRejected, VenueUnavailable
from njord.core.instrument import Instrument
from njord.core.types import (
    BUY,
    LIMIT,
    MARKET,
    OrderReason,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
    TradingState,
)
from njord.exchange.exchange import AccountSpec, Exchange, ExchangeOptions
from njord.exchange.server import ServedThread, serve_in_thread
from njord.exchange.synthetic_market import SyntheticMarket
from njord.venues.binanceus import ShellOptions
from njord.venues.broker_wire import Health, Notice, Word
from njord.venues.live_broker import Admits, LiveBroker, LiveOptions
from tests.integration.broker_world import KEY, SECRET, CanaryKeys, ScriptedCore, until

pytestmark = pytest.mark.integration

BTC = Instrument(
    symbol="BTC/USDT",
    venue="binanceus",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.00001"),
    min_notional=Decimal(10),
)
CLOCK = WallClock()


class Market:
    """A served exchange with one account."""

    def __init__(self, exchange: Exchange, served: ServedThread) -> None:
        self.exchange = exchange
        self.served = served

    def config(self, stream: str = "signature") -> Config:
        live = {
            "endpoint": f"http://127.0.0.1:{self.served.address.port}",
            "account": "main",
            "user_stream": stream,
        }
        return Config.model_validate({"live": live})

    def truth(self) -> dict[str, Any]:
        account: dict[str, Any] = self.served.call(self.exchange.truth)["accounts"]["main"]
        return account


@pytest.fixture
def market() -> Iterator[Market]:
    now_ns = CLOCK.now_ns()
    account = AccountSpec(
        name="main", key=KEY, secret=SECRET, balances={"USDT": Decimal(10_000), "BTC": Decimal(1)}
    )
    exchange = Exchange(SyntheticMarket([BTC], 1, now_ns), [account], ExchangeOptions(), now_ns)
    exchange.advance(CLOCK.now_ns())  # What is compiled is compiled now.
    with serve_in_thread(exchange) as served:
        yield Market(exchange, served)


class Heard:
    """A running broker and all its words."""

    def __init__(self, broker: LiveBroker) -> None:
        self.broker = broker
        self.words: list[Word] = []
        self.spoken = threading.Event()

    def has(self, kind: type[Word], **values: object) -> bool:
        """Whether such a word has come by now."""
        self.words += self.broker.take_words()
        return any(
            isinstance(word, kind) and all(getattr(word, name) == value for name, value in values.items())
            for word in self.words
        )

    def waits_for(self, kind: type[Word], **values: object) -> bool:
        """Whether such a word comes."""
        return until(lambda: self.has(kind, **values))

    def of(self, client_order_id: str) -> list[str]:
        """What was said of an order, in order."""
        return [
            "fill" if isinstance(word, BrokerFill) else str(word.status)
            for word in self.words
            if isinstance(word, BrokerFill | BrokerOrderUpdate) and word.client_order_id == client_order_id
        ]


@contextmanager
def running(
    market: Market, stream: str = "signature", admits: Admits = lambda req: "", *, reads_only: bool = False
) -> Iterator[Heard]:
    broker = live_broker(market.config(stream), [BTC], CanaryKeys(), CLOCK, admits, reads_only=reads_only)
    heard = Heard(broker)
    broker.start((), {}, heard.spoken.set)
    try:
        assert heard.waits_for(Health, state=TradingState.ACTIVE), broker.health
        yield heard
    finally:
        assert broker.stop()


def order(
    number: int, type_: OrderType = MARKET, ticks: int = 0, lots: int = 100, side: Side = BUY
) -> BrokerOrderReq:
    return BrokerOrderReq(
        instrument=0,
        symbol=BTC.symbol,
        side=side,
        type=type_,
        tif=TimeInForce.GTC,
        qty_lots=lots,
        limit_price_ticks=ticks,
        reduce_only=False,
        client_order_id=f"NJ-{number:020d}",
        ts_ns=CLOCK.now_ns(),
    )


@pytest.mark.parametrize("stream", ["signature", "listen_key"])
def test_orders_live_and_end_as_the_exchange_has_them(market: Market, stream: str) -> None:
    with running(market, stream) as heard:
        broker = heard.broker
        taking, resting = order(1), order(2, LIMIT, 5_000_000)
        assert broker.place(taking) == BrokerPending(client_order_id=taking.client_order_id)
        assert broker.place(resting) == BrokerPending(client_order_id=resting.client_order_id)
        assert heard.waits_for(
            BrokerOrderUpdate, client_order_id=taking.client_order_id, status=OrderStatus.FILLED
        )
        assert heard.waits_for(BrokerOrderUpdate, client_order_id=resting.client_order_id)
        assert heard.spoken.is_set()

        (open_order,) = broker.fetch_open_orders(None)
        assert open_order.client_order_id == resting.client_order_id
        assert broker.fetch_order("BTC/USDT", resting.client_order_id) == open_order
        assert broker.fetch_order("BTC/USDT", order(9).client_order_id) is None
        fills = [word for word in heard.words if isinstance(word, BrokerFill)]
        assert broker.fetch_trades("BTC/USDT", "") == fills
        assert broker.fetch_trades("BTC/USDT", fills[-1].venue_trade_id) == []
        amendment = BrokerAmendReq(
            symbol=BTC.symbol, client_order_id=resting.client_order_id, qty_lots=0,
            limit_price_ticks=5_000_001, trigger_price_ticks=0, ts_ns=CLOCK.now_ns(),
        )  # fmt: skip
        assert broker.amend(amendment) == BrokerPending(client_order_id=resting.client_order_id)
        assert heard.waits_for(BrokerOrderUpdate, reason=OrderReason.AMENDED)
        (amended,) = broker.fetch_open_orders(None)
        assert (amended.client_order_id, amended.limit_price_ticks) == (resting.client_order_id, 5_000_001)
        assert abs(broker.server_time() - CLOCK.now_ns()) < 10**9
        (rules,) = broker.exchange_rules()
        assert (rules.tick_size, rules.lot_size) == (BTC.tick_size, BTC.lot_size)
        held = {each.asset: (each.free, each.locked) for each in broker.fetch_balances()}

        cancel = BrokerCancelReq(
            symbol=BTC.symbol, client_order_id=resting.client_order_id, ts_ns=CLOCK.now_ns()
        )
        assert broker.cancel(cancel) == BrokerPending(client_order_id=resting.client_order_id)
        assert heard.waits_for(
            BrokerOrderUpdate, client_order_id=resting.client_order_id, status=OrderStatus.CANCELED
        )
        assert heard.of(taking.client_order_id)[-1] == "filled"
        assert heard.of(taking.client_order_id).count("fill") == len(fills)

        truth = market.truth()
    assert {
        asset: (Decimal(each["free"]), Decimal(each["locked"])) for asset, each in truth["balances"].items()
    } | {"USDT": held["USDT"]} == held
    assert [each["status"] for each in truth["orders"]] == ["FILLED", "CANCELED", "CANCELED"]
    assert [each["trade_id"] for each in truth["trades"]] == [int(fill.venue_trade_id) for fill in fills]


def test_a_lock_that_closes_refuses_orders_and_lets_cancels_pass(market: Market) -> None:
    why = ""
    with running(market, admits=lambda req: why) as heard:
        resting = order(1, LIMIT, 5_000_000)
        heard.broker.place(resting)
        assert heard.waits_for(BrokerOrderUpdate, client_order_id=resting.client_order_id)
        why = "consent is closed"
        refused = heard.broker.place(order(2))
        assert isinstance(refused, BrokerReject)
        assert (refused.reason, refused.detail) == (OrderReason.LIVE_LOCK, "consent is closed")
        heard.broker.cancel(
            BrokerCancelReq(symbol=BTC.symbol, client_order_id=resting.client_order_id, ts_ns=0)
        )
        assert heard.waits_for(
            BrokerOrderUpdate, client_order_id=resting.client_order_id, status=OrderStatus.CANCELED
        )
        assert len(market.truth()["orders"]) == 1


def test_a_revoked_key_halts_by_name_and_is_not_tried_again_and_again(market: Market) -> None:
    with running(market) as heard:
        market.served.call(lambda: market.exchange.operator.revoke_key(KEY))
        heard.broker.place(order(1))
        assert heard.waits_for(Health, state=TradingState.HALTED)
        assert until(lambda: heard.has(Notice))
        assert "-2015" in heard.broker.health.reason
        asked = len(market.truth()["requests"])
        assert not until(lambda: len(market.truth()["requests"]) > asked + 3, 1.5), "it goes on asking"
        with pytest.raises(VenueRejected, match="-2015"):
            heard.broker.fetch_balances()


def test_checking_reads_everything_and_sends_no_order(market: Market) -> None:
    broker = live_broker(market.config(), [BTC], CanaryKeys(), CLOCK, reads_only=True)
    seen = look_at_venue(broker, CLOCK, within_s=120.0)
    assert seen.health.state is TradingState.ACTIVE
    assert 0 <= seen.doubt_ns < 10**9
    assert abs(seen.offset_ns) < 10**9
    assert {each["method"] for each in market.truth()["requests"]} <= {"GET", "WS"}
    assert isinstance(broker.place(order(1)), BrokerReject), "it was stopped"


def test_wrong_keys_are_a_closed_lock_by_name_in_bounded_time(market: Market) -> None:
    class Others(CanaryKeys):
        api_key = type(CanaryKeys.api_key)("anotherKEYanotherKEY")

    broker = live_broker(market.config(), [BTC], Others(), CLOCK, reads_only=True)
    seen = look_at_venue(broker, CLOCK, within_s=120.0)  # It gives up by itself, at once.
    assert seen.health.state is TradingState.HALTED
    assert seen.health.reason.startswith("key: HTTP 401, -2015")


def test_a_broker_whose_venue_is_gone_says_so_and_queries_raise(market: Market) -> None:
    config = Config.model_validate({"live": {"endpoint": "http://127.0.0.1:9"}})
    broker = live_broker(config, [BTC], CanaryKeys(), CLOCK)
    with pytest.raises(VenueUnavailable, match="not started"):
        broker.fetch_balances()
    broker.start((), {}, lambda: None)
    try:
        with pytest.raises(VenueUnavailable, match="no connection"):
            broker.fetch_open_orders(None)
        with pytest.raises(ConfigError, match="DOGE/USDT is not traded here"):
            broker.fetch_open_orders("DOGE/USDT")
        refused = broker.place(order(1))
        assert isinstance(refused, BrokerReject)
        assert refused.reason is OrderReason.VENUE_NOT_READY
    finally:
        assert broker.stop()
    stopped = broker.place(order(2))
    assert isinstance(stopped, BrokerReject)
    assert stopped.reason is OrderReason.VENUE_NOT_READY
    assert isinstance(
        broker.cancel(BrokerCancelReq(symbol="BTC/USDT", client_order_id="x", ts_ns=0)), BrokerReject
    )


def test_a_core_that_breaks_halts_once_and_its_order_is_unknown(market: Market) -> None:
    core = ScriptedCore()
    options = LiveOptions(shell=_shell_at(market))
    broker = LiveBroker(lambda known, cursors: core, CanaryKeys(), [BTC], CLOCK, options=options)
    heard = Heard(broker)
    broker.start((), {}, heard.spoken.set)
    try:
        assert isinstance(broker.place(order(1)), BrokerPending)
        core.breaks = True
        reply = broker.place(order(2))
        assert isinstance(reply, BrokerUnknown), "nobody knows how far it came"
        assert heard.waits_for(Notice)
        (health,) = [word for word in heard.words if isinstance(word, Health)]
        assert health == broker.health
        assert health.state is TradingState.HALTED
        assert KEY not in repr((reply, heard.words))
        later = broker.place(order(3))
        assert isinstance(later, BrokerReject)
        amend = BrokerAmendReq(
            symbol="BTC/USDT",
            client_order_id="x",
            qty_lots=1,
            limit_price_ticks=1,
            trigger_price_ticks=0,
            ts_ns=0,
        )
        assert isinstance(broker.amend(amend), BrokerReject)
    finally:
        assert broker.stop()


def _shell_at(market: Market) -> ShellOptions:
    return ShellOptions(endpoint=market.config().live.endpoint)


def test_the_words_of_a_host_that_has_gone_do_not_stop_the_broker(market: Market) -> None:
    broker = live_broker(market.config(), [BTC], CanaryKeys(), CLOCK)

    def gone() -> None:
        raise RuntimeError("Event loop is closed")

    broker.start((), {}, gone)
    try:
        assert until(lambda: broker.health.state is TradingState.ACTIVE)
    finally:
        assert broker.stop()


def test_every_lock_is_open_at_a_venue_in_order(market: Market) -> None:
    broker = live_broker(market.config(), [BTC], CanaryKeys(), CLOCK, reads_only=True)
    seen = look_at_venue(broker, CLOCK, within_s=120.0)
    measured = Measured(
        env="live", consent="1", account="main", named="main", keys_origin="the environment",
        switch=Reading(TradingState.ACTIVE, "file", "", ""), venue=seen, tolerance_ms=1000, cap=Decimal(10),
    )  # fmt: skip
    assert {lock.state for lock in live_locks(measured)} == {LockState.OPEN}
