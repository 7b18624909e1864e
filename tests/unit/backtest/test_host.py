"""The history host: several strategies, instruments and kinds of data on one account, in one order, and again."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from njord.adapters.config_loader import load_config
from njord.backtest.replay import replay_run
from njord.backtest.session import BacktestRequest, Finished, Prepared, prepare, run_backtest
from njord.backtest.simulation import simulate
from njord.core.codec import encode
from njord.core.contracts import FillEvent, Message, OrderEvent, OrderUpdate, TradeEvent
from njord.storage.bars_options import BarOptions
from njord.storage.journal_reader import read_blocks
from tests.unit.backtest.market_samples import (
    MS,
    START_NS,
    Change,
    instrument,
    store_book,
    store_trades,
    write_bars,
)

PRICES = [100, 101, 103, 102, 99, 98, 101, 104, 106, 103, 100, 97, 99, 102, 105, 107, 104, 101, 98, 96]

HEADER = """
from decimal import Decimal
from njord.strategies import *


class Mine(Strategy):
"""
SWITCHES = """
    class Params(StrategyParams, frozen=True):
        every: int = 2

    def on_bar(self, ctx, bar):
        if ctx.n_bars % self.params.every:
            return None
        long = ctx.own_qty > 0
        return OrderIntent(side=Side.SELL if long else Side.BUY, qty_lots=ctx.instrument.lots("0.5"))
"""
TAKES = """
    def on_trade(self, ctx, trade):
        if trade.trade_id in (2, 4):
            return OrderIntent(side=Side.BUY if trade.trade_id == 2 else Side.SELL, qty_lots=1000)
        return None
"""
BARS = BarOptions(tick=Decimal("0.01"), lot=Decimal("0.001"))


class Listening:
    """A journal in memory."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def append(self, message: Message) -> None:
        self.messages.append(message)


def ready(
    folder: Path,
    strategies: tuple[str, ...],
    data: tuple[Path, ...],
    params: tuple[str, ...] = (),
    **settings: str,
) -> Prepared:
    keys = {f"backtest.{key}": value for key, value in {"capital": "10000", **settings}.items()}
    bars = BARS if any(path.is_file() for path in data) else BarOptions()
    request = BacktestRequest(strategy=strategies, data=data, params=params, bars=bars)
    return prepare(request, load_config(folder, keys, {}).config, {})


def write(folder: Path, name: str, body: str) -> str:
    path = folder / f"{name}.py"
    path.write_text(HEADER + body)
    return str(path)


def run(folder: Path, *args: Any, **settings: Any) -> Finished:
    prepared = ready(folder, *args, **settings)
    with prepared.market:
        finished = run_backtest(prepared, folder / "reports")
    assert finished.result.error == ""
    verdict = replay_run(finished.folder)
    assert verdict.identical, verdict.difference
    return finished


def lines(finished: Finished) -> list[dict[str, Any]]:
    return [
        msgspec.json.decode(line.message)
        for block in read_blocks(finished.folder / "journal")
        for line in block.lines
    ]


# The rows that Refs name, by instrument.
def referred(refs: list[dict[str, Any]]) -> dict[int, list[int]]:
    rows: dict[int, list[int]] = {}
    for ref in refs:
        rows.setdefault(ref["instrument"], []).extend(range(ref["first_row"], ref["last_row"] + 1))
    return rows


def test_two_strategies_on_two_symbols_share_an_account_and_a_replay_derives_every_message(
    tmp_path: Path,
) -> None:
    mine = write(tmp_path, "mine", SWITCHES)
    data = (
        write_bars(tmp_path, "BTC/USDT", PRICES),
        write_bars(tmp_path, "ETH/USDT", PRICES[:7], minutes=3, first=2),
    )
    finished = run(tmp_path, (f"a={mine}@BTC/USDT", f"b={mine}"), data, ("a.every=3",))
    result = finished.result
    fills = {(fill.strategy_id, fill.symbol) for fill in result.fills}
    assert fills == {("a", "BTC/USDT"), ("b", "BTC/USDT"), ("b", "ETH/USDT")}
    journal = lines(finished)
    refs = [line for line in journal if line["kind"] == "Ref"]
    assert referred(refs) == {0: list(range(20)), 1: list(range(7))}
    assert not any(line["kind"] == "Bar" for line in journal)
    assert result.journal["n_messages"] == len(journal) + 27
    assert Decimal(result.stats["net_profit"]) == Decimal(result.final_equity) - 10_000


def test_one_strategy_of_two_symbols_gives_the_total_of_two_strategies_of_one(tmp_path: Path) -> None:
    mine = write(tmp_path, "mine", SWITCHES)
    data = (write_bars(tmp_path, "BTC/USDT", PRICES), write_bars(tmp_path, "ETH/USDT", PRICES[::-1]))
    together = run(tmp_path, (mine,), data)
    apart = run(tmp_path, (f"a={mine}@BTC/USDT", f"b={mine}@ETH/USDT"), data)
    assert together.result.final_equity == apart.result.final_equity
    assert [fill.price for fill in together.result.fills] == [fill.price for fill in apart.result.fills]


def test_the_same_strategy_alone_is_not_changed_by_data_that_nobody_trades(tmp_path: Path) -> None:
    mine = write(tmp_path, "mine", SWITCHES)
    btc, eth = write_bars(tmp_path, "BTC/USDT", PRICES), write_bars(tmp_path, "ETH/USDT", PRICES[::-1])
    alone = run(tmp_path, (mine,), (btc,))
    beside = run(tmp_path, (f"{mine}@BTC/USDT",), (btc, eth))
    assert alone.result.order_list_hash == beside.result.order_list_hash
    assert alone.result.final_equity == beside.result.final_equity


def tick_data(folder: Path) -> tuple[Path, Path]:
    trades = [(10 * i, 10 * i, 1 if i % 2 else -1, 10_000 + i, 5_000) for i in range(1, 10)]
    book: list[Change] = [
        (1, 1, 1, 1, True, [("bid", 9_990, 50_000), ("ask", 10_010, 50_000)]),
        (35, 35, 2, 2, False, [("ask", 10_010, 0), ("ask", 10_020, 50_000)]),
    ]
    return store_trades(folder / "store", trades), store_book(folder / "store", book)


def test_an_order_on_ticks_meets_the_book_as_it_is_at_its_arrival_and_is_known_after_the_way_back(
    tmp_path: Path,
) -> None:
    mine = write(tmp_path, "mine", TAKES)
    prepared = ready(
        tmp_path, (mine,), tick_data(tmp_path), entry_latency_ns=str(7 * MS), response_latency_ns=str(4 * MS)
    )
    heard = Listening()
    with prepared.market as market:
        simulate(prepared, market, heard)
    times = [message.ts_ns for message in heard.messages if not isinstance(message, OrderEvent)]
    assert times == sorted(times)
    orders = [message for message in heard.messages if isinstance(message, OrderEvent)]
    assert [(order.ts_ns - START_NS) // MS for order in orders] == [20, 40]
    fills = [message for message in heard.messages if isinstance(message, FillEvent)]
    # The second arrives at 47 ms, after the ask has moved; it sells, and the bid has not.
    assert [((fill.ts_venue_ns - START_NS) // MS, fill.price_ticks) for fill in fills] == [
        (27, 10_010),
        (47, 9_990),
    ]
    assert [(fill.ts_ns - START_NS) // MS for fill in fills] == [31, 51]
    first = next(message for message in heard.messages if isinstance(message, OrderUpdate))
    assert (first.ts_ns - START_NS) // MS == 31


def test_a_run_on_ticks_is_replayed_from_its_datasets(tmp_path: Path) -> None:
    mine = write(tmp_path, "mine", TAKES)
    finished = run(tmp_path, (mine,), tick_data(tmp_path), entry_latency_ns=str(7 * MS))
    assert finished.result.endings == {"filled": 2}
    kinds = {line["kind"] for line in lines(finished)}
    assert kinds.isdisjoint({"TradeEvent", "BookEvent"})
    refs = [line for line in lines(finished) if line["kind"] == "Ref"]
    trades, book = finished.result.data
    # Nine trades of one row each; of the book a snapshot and a change of two levels each.
    assert referred([ref for ref in refs if ref["dataset_hash"] == trades["hash"]]) == {0: list(range(9))}
    assert referred([ref for ref in refs if ref["dataset_hash"] == book["hash"]]) == {0: list(range(4))}
    assert finished.result.journal["n_messages"] == len(lines(finished)) + 11


def test_bars_of_one_symbol_and_ticks_of_another_run_together(tmp_path: Path) -> None:
    both = write(tmp_path, "both", SWITCHES + TAKES)
    store = tmp_path / "store"
    moments = [(30_000 * i, 30_000 * i, 1, 10_000 + i, 5_000) for i in range(1, 20)]
    ticks = store_trades(store, moments)
    bars = write_bars(tmp_path, "BTC/USDT", PRICES)
    prepared = prepare(
        BacktestRequest(strategy=both, data=(bars, ticks)),
        load_config(tmp_path, {"backtest.capital": "100000"}, {}).config,
        {"BTC/USDT": instrument("BTC/USDT")},
    )
    with prepared.market:
        finished = run_backtest(prepared, tmp_path / "reports")
    assert finished.result.error == ""
    assert {fill.symbol for fill in finished.result.fills} == {"BTC/USDT", "ETH/USDT"}
    assert replay_run(finished.folder).identical


TIMED = """
    def on_trade(self, ctx, trade):
        if trade.trade_id == 1:
            return TimerSet(key="go", due_ns=ctx.ts_ns + 5_000_000)
        return None

    def on_timer(self, ctx, timer):
        return OrderIntent(side=Side.BUY, qty_lots=1000)
"""


def test_a_timer_between_two_ticks_sends_at_its_own_time(tmp_path: Path) -> None:
    prepared = ready(tmp_path, (write(tmp_path, "timed", TIMED),), tick_data(tmp_path))
    heard = Listening()
    with prepared.market as market:
        simulate(prepared, market, heard)
    (fill,) = (message for message in heard.messages if isinstance(message, FillEvent))
    assert (fill.ts_venue_ns - START_NS) // MS == 15
    assert (fill.ts_ns - START_NS) // MS == 15
    later = heard.messages[heard.messages.index(fill) :]
    assert next(each for each in later if isinstance(each, TradeEvent)).ts_ns == START_NS + 20 * MS


@pytest.mark.parametrize("kind", ["bars", "ticks"])
def test_a_simulation_until_a_moment_tells_exactly_what_the_whole_one_has_told_by_then(
    kind: str, tmp_path: Path
) -> None:
    if kind == "bars":
        mine = write(tmp_path, "mine", SWITCHES)
        data = (write_bars(tmp_path, "BTC/USDT", PRICES), write_bars(tmp_path, "ETH/USDT", PRICES[::-1]))
        moments = [START_NS + minute * 60_000 * MS for minute in (1, 5, 9)]
    else:
        mine, data = write(tmp_path, "mine", TAKES), tick_data(tmp_path)
        moments = [START_NS + moment * MS for moment in (1, 27, 33, 60)]
    prepared = ready(tmp_path, (mine,), data, entry_latency_ns=str(7 * MS), response_latency_ns=str(4 * MS))
    with prepared.market as market:
        whole = Listening()
        simulate(prepared, market, whole)
        for until_ns in moments:
            part = Listening()
            simulate(prepared, market, part, until_ns=until_ns)
            expected = [message for message in whole.messages if message.ts_ns <= until_ns]
            assert list(map(encode, part.messages)) == list(map(encode, expected))


def test_every_simulation_runs_on_fresh_strategies(tmp_path: Path) -> None:
    body = SWITCHES.replace("if ctx", "self.n = getattr(self, 'n', 0) + 1\n        if self.n % 2 or ctx")
    prepared = ready(
        tmp_path, (write(tmp_path, "mine", body),), (write_bars(tmp_path, "BTC/USDT", PRICES[:11]),)
    )
    with prepared.market as market:
        runs = []
        for _ in range(2):
            heard = Listening()
            simulate(prepared, market, heard)
            runs.append(list(map(encode, heard.messages)))
    assert runs[0] == runs[1]


FEATURED = """
    def precompute(self, bars):
        return {"rise": bars.close_price - bars.open_price[0]}

    def on_bar(self, ctx, bar):
        if ctx.feature("rise") > 4.5 and not ctx.qty:
            return OrderIntent(side=Side.BUY, qty_lots=100)
        return None
"""


def test_features_are_there_before_the_first_event_and_in_a_replay(tmp_path: Path) -> None:
    finished = run(
        tmp_path, (write(tmp_path, "mine", FEATURED),),
        (write_bars(tmp_path, "BTC/USDT", PRICES), write_bars(tmp_path, "ETH/USDT", PRICES[::-1])),
    )  # fmt: skip
    # Of each symbol the first close that far above its first open is that of a bar; it fills at the next bar's open.
    assert [(fill.symbol, fill.price) for fill in finished.result.fills] == [
        ("ETH/USDT", "104.06"), ("BTC/USDT", "103.06"),
    ]  # fmt: skip


HOLDS = """
    def on_bar(self, ctx, bar):
        return OrderIntent(side=Side.BUY, qty_lots=ctx.instrument.lots("50")) if ctx.n_bars == 1 else None
"""


def contract(folder: Path, closes: list[int]) -> Path:
    path = write_bars(folder, "BTC/USDT", closes, minutes=60)
    return path.rename(folder / "contract.csv")


def on_contract(folder: Path, closes: list[int], **settings: str) -> Finished:
    bars = msgspec.structs.replace(BARS, symbol="BTC/USDT:USDT")
    keys = {
        f"backtest.{key}": value for key, value in {"capital": "10000", "fee_bps": "0", **settings}.items()
    }
    request = BacktestRequest(
        strategy=write(folder, "holds", HOLDS), data=contract(folder, closes), bars=bars
    )
    prepared = prepare(request, load_config(folder, keys | {"backtest.slippage_bps": "0"}, {}).config, {})
    with prepared.market:
        finished = run_backtest(prepared, folder / "reports")
    assert finished.result.error == ""
    assert replay_run(finished.folder).identical
    return finished


def test_funding_comes_between_bars_and_the_curve_ends_at_the_final_equity(tmp_path: Path) -> None:
    result = on_contract(tmp_path, [100] * 10 + [110] * 10, funding_bps="10").result
    # Held from 01:00: 50 x 100 at 08:00 and 50 x 110 at 16:00, ten basis points each.
    assert Decimal(result.funding) == Decimal("-10.5")
    assert Decimal(result.final_equity) == 10_000 + 500 - Decimal("10.5")
    assert result.equity_curve[-1][1] == float(result.final_equity)
    assert result.equity_curve[7][1] - result.equity_curve[8][1] == 5


def test_a_liquidation_is_the_venues_own_fill_and_leaves_no_position(tmp_path: Path) -> None:
    result = on_contract(
        tmp_path, [100, 100, 100, 70, 70], capital="1500", leverage="5", liquidation_fee_bps="0"
    ).result
    assert result.endings == {"filled": 1, "liquidated": 1}
    assert not result.open_lots
    # 1,500 minus 30 x 50: the gap took all of it, and the fill was at the open.
    assert Decimal(result.final_equity) == 0
    assert result.equity_curve[-1][1] == 0


AMENDS = """
    def on_bar(self, ctx, bar):
        if ctx.n_bars == 1:
            return OrderIntent(side=Side.BUY, type=OrderType.LIMIT, qty_lots=100, limit_price_ticks=9_000)
        if ctx.n_bars == 2:
            return AmendIntent(client_order_id=ctx.open_orders[0].client_order_id, limit_price_ticks=9_800)
        return None
"""


def test_an_amendment_leaves_for_the_venue_like_an_order(tmp_path: Path) -> None:
    result = run(
        tmp_path, (write(tmp_path, "amends", AMENDS),), (write_bars(tmp_path, "BTC/USDT", PRICES),)
    ).result
    assert [fill.price for fill in result.fills] == ["98"]
    assert result.endings == {"filled": 1}


WAITS = """
    def on_bar(self, ctx, bar):
        return TimerSet(key="go", due_ns=bar.ts_ns + 330_000_000_000) if ctx.n_bars == 1 else None

    def on_timer(self, ctx, timer):
        return OrderIntent(side=Side.BUY, qty_lots=ctx.instrument.lots("0.5"))
"""


def test_among_several_instruments_too_an_order_is_measured_at_the_last_known_price(tmp_path: Path) -> None:
    mine = write(tmp_path, "waits", WAITS)
    closes = [1, 1, 1, 1, 100, 101, 102, 103, 104]
    data = (write_bars(tmp_path, "BTC/USDT", closes), write_bars(tmp_path, "ETH/USDT", closes))
    bars = msgspec.structs.replace(BARS, min_notional=Decimal(10))
    request = BacktestRequest(strategy=f"{mine}@ETH/USDT", data=data, bars=bars)
    prepared = prepare(request, load_config(tmp_path, {"backtest.slippage_bps": "0"}, {}).config, {})
    with prepared.market:
        result = run_backtest(prepared, tmp_path / "reports").result
    assert result.endings == {"filled": 1}
    assert [fill.price for fill in result.fills] == ["103"]
