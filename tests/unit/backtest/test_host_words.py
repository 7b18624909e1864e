"""The history host and the venue's words: told in the order in which they became known, whatever they cause, to the end."""

from pathlib import Path

import pytest

from njord.backtest.simulation import simulate
from njord.core.contracts import FillEvent, Message, OrderEvent, OrderUpdate, RiskDecision
from njord.core.types import RefusalReason
from tests.unit.backtest.market_samples import Change, store_book, store_trades, write_bars
from tests.unit.backtest.test_host import PRICES, Listening, ready, tick_data, write

REACTS = """
    fills = 0

    def first(self, ctx):
        buy = dict(side=Side.BUY, type=OrderType.LIMIT, qty_lots=100)
        return [
            OrderIntent(**buy, limit_price_ticks=self.PRICE),
            OrderIntent(**buy, limit_price_ticks=self.PRICE),
            OrderIntent(**buy, limit_price_ticks=self.PRICE - 1000),
        ]

    def on_fill(self, ctx, fill):
        self.fills += 1
        if self.fills > 1:
            return None
        return [
            OrderIntent(side=Side.BUY, qty_lots=50),
            CancelIntent(client_order_id=ctx.open_orders[-1].client_order_id),
        ]
"""
REACTS_ON_TICKS = (
    REACTS
    + """
    PRICE = 10_000

    def on_trade(self, ctx, trade):
        return self.first(ctx) if trade.trade_id == 1 else None
"""
)
REACTS_ON_BARS = (
    REACTS
    + """
    PRICE = 10_000

    def on_bar(self, ctx, bar):
        return self.first(ctx) if ctx.n_bars == 1 else None
"""
)


def words(messages: list[Message]) -> list[str]:
    orders = {
        message.client_order_id: str(number)
        for number, message in enumerate((each for each in messages if isinstance(each, OrderEvent)), 1)
    }
    return [
        f"{'fill' if isinstance(each, FillEvent) else each.status} {orders[each.client_order_id]}"
        for each in messages
        if isinstance(each, FillEvent | OrderUpdate)
    ]


def test_what_a_reaction_to_a_fill_causes_on_ticks_is_told_after_the_fills_known_before_it(
    tmp_path: Path,
) -> None:
    trades = [(10, 10, 1, 10_010, 5_000), (20, 20, -1, 9_990, 5_000), (30, 30, 1, 10_020, 5_000)]
    book: list[Change] = [(1, 1, 1, 1, True, [("bid", 9_980, 5_000), ("ask", 10_010, 5_000)])]
    store = tmp_path / "store"
    data = (store_trades(store, trades), store_book(store, book))
    prepared = ready(tmp_path, (write(tmp_path, "reacts", REACTS_ON_TICKS),), data)
    heard = Listening()
    with prepared.market as market:
        simulate(prepared, market, heard)  # It compares the books with the venue's after every delivery.
    assert words(heard.messages)[3:] == [
        "fill 1", "filled 1", "fill 2", "filled 2", "accepted 4", "fill 4", "filled 4", "canceled 3",
    ]  # fmt: skip


def test_what_a_reaction_to_a_fill_causes_on_bars_is_told_after_the_fills_known_before_it(
    tmp_path: Path,
) -> None:
    data = (write_bars(tmp_path, "BTC/USDT", [101, 100, 102, 103]),)
    prepared = ready(tmp_path, (write(tmp_path, "reacts", REACTS_ON_BARS),), data)
    heard = Listening()
    with prepared.market as market:
        simulate(prepared, market, heard)
    assert words(heard.messages)[3:] == [
        "fill 1", "filled 1", "fill 2", "filled 2", "accepted 4", "canceled 3", "fill 4", "filled 4",
    ]  # fmt: skip


REPLACES = """
    def on_bar(self, ctx, bar):
        if ctx.n_bars == 1:
            return OrderIntent(side=Side.BUY, type=OrderType.LIMIT, qty_lots=100, limit_price_ticks=9_000)
        if ctx.n_bars == 2:
            open_order = ctx.open_orders[0]
            cancel = CancelIntent(client_order_id=open_order.client_order_id)
            return [cancel, OrderIntent(side=Side.BUY, qty_lots=200)]
        return None

    def on_order(self, ctx, update):
        return OrderIntent(side=Side.BUY, qty_lots=300) if update.status == "canceled" else None
"""


def test_orders_reach_the_venue_in_the_order_in_which_they_were_decided(tmp_path: Path) -> None:
    data = (write_bars(tmp_path, "BTC/USDT", PRICES),)
    prepared = ready(tmp_path, (write(tmp_path, "replaces", REPLACES),), data)
    heard = Listening()
    with prepared.market as market:
        simulate(prepared, market, heard)
    fills = [message.qty_lots for message in heard.messages if isinstance(message, FillEvent)]
    assert fills == [200, 300]


INSISTS = """
    def first(self):
        return OrderIntent(side=Side.BUY, type=OrderType.LIMIT, qty_lots=100, limit_price_ticks=9_000)

    def on_bar(self, ctx, bar):
        return self.first() if ctx.n_bars == 1 else None

    def on_trade(self, ctx, trade):
        return self.first() if trade.trade_id == 1 else None

    def on_order(self, ctx, update):
        return self.first() if update.status == "expired" else None
"""


@pytest.mark.parametrize("kind", ["bars", "ticks"])
def test_an_order_that_answers_the_end_of_data_is_refused_instead_of_never_ending(
    kind: str, tmp_path: Path
) -> None:
    data = tick_data(tmp_path) if kind == "ticks" else (write_bars(tmp_path, "BTC/USDT", PRICES),)
    prepared = ready(tmp_path, (write(tmp_path, "insists", INSISTS),), data)
    heard = Listening()
    with prepared.market as market:
        simulate(prepared, market, heard)
    decisions = [message for message in heard.messages if isinstance(message, RiskDecision)]
    assert [decision.allowed for decision in decisions] == [True, False]
    assert decisions[1].reason is RefusalReason.KILL_SWITCH_HALTED
    assert words(heard.messages) == ["accepted 1", "expired 1"]
