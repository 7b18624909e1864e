"""The fused loop makes the very decisions of the ordered engine: same orders, same ledger, same curve, on random worlds."""

from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from njord.adapters.plugins import LoadedStrategy, load_strategy
from njord.backtest.fused import outcome_of, run_fused
from njord.backtest.market_open import RecordedMarket
from njord.backtest.no_journal import NoJournal
from njord.backtest.request import PreparedStrategy
from njord.backtest.session import BacktestRequest, prepare_on
from njord.backtest.simulation import Prepared, simulate
from njord.backtest.summing_up import Outcome
from njord.core.config import Config
from njord.core.contracts import Bar
from njord.core.instrument import Instrument
from njord.core.types import InstrumentKind
from njord.core.units import NS_PER_MINUTE, NS_PER_S
from njord.strategies.base import StrategyParams
from njord.strategies.features import BarColumns
from tests.golden.market import MemoryMarket

LEVELS = Path(__file__).with_name("compiled_levels.py")
BEFORE_MIDNIGHT_NS = (1_704_067_200 - 20 * 60) * NS_PER_S


class ColumnMarket(MemoryMarket):
    """Bars of one instrument, which are there as columns too."""

    def columns(self, instrument: int) -> BarColumns:
        """Return the bars."""
        names = ("ts_open_ns", "ts_ns", "open", "high", "low", "close", "volume_lots")
        bars = self.messages
        columns = {name: np.array([getattr(bar, name) for bar in bars], np.int64) for name in names}
        return BarColumns(instrument=self.instruments[0], **columns)


@st.composite
def bars(draw: st.DrawFn) -> list[Bar]:
    """Draw bars that jump, contradict themselves, leave gaps, and pass midnight."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, spread = draw(st.integers(2, 70)), draw(st.sampled_from([1, 8, 60]))
    gap_share, price = draw(st.sampled_from([0.0, 0.15])), draw(st.sampled_from([5, 900, 60_000]))
    drawn: list[Bar] = []
    ts_open_ns = BEFORE_MIDNIGHT_NS
    for _ in range(n):
        prices = np.maximum(1, price + rng.integers(-spread, spread + 1, 4)).tolist()
        if rng.random() > 0.1:
            prices[1], prices[2] = max(prices), min(prices)
        drawn.append(
            Bar(
                ts_ns=ts_open_ns + NS_PER_MINUTE,
                instrument=0,
                ts_open_ns=ts_open_ns,
                open=prices[0],
                high=prices[1],
                low=prices[2],
                close=prices[3],
                volume_lots=int(rng.integers(0, 50)),
            )
        )
        price = int(prices[3])
        ts_open_ns += NS_PER_MINUTE * (1 if rng.random() >= gap_share else int(rng.integers(2, 90)))
    return drawn


INSTRUMENTS = st.builds(
    Instrument,
    symbol=st.just("BTC/USDT"),
    venue=st.just("here"),
    base=st.just("BTC"),
    quote=st.just("USDT"),
    tick_size=st.sampled_from([Decimal("0.01"), Decimal("0.5"), Decimal(5)]),
    lot_size=st.sampled_from([Decimal("0.0001"), Decimal(1), Decimal("0.0000001")]),
    min_qty=st.sampled_from([Decimal(0), Decimal("0.01")]),
    max_qty=st.sampled_from([Decimal(0), Decimal(3)]),
    min_notional=st.sampled_from([Decimal(0), Decimal(10)]),
    kind=st.sampled_from(list(InstrumentKind)),
    money_scale=st.sampled_from([8, 2]),
)
FRACTIONS = st.sampled_from([0, 1, "0.5", "0.137"])
CAPS = st.fixed_dictionaries(
    {"cap_notional": st.sampled_from([0, "250.5", 20_000]), "cap_equity_fraction": FRACTIONS}
)
RULES = st.fixed_dictionaries(
    {"affordable": st.fixed_dictionaries({"buffer_bps": st.sampled_from([0, "37.5"])})},
    optional={
        "order_rate": st.sampled_from(
            [{"per_minute": 1}, {"per_minute": 3, "per_strategy_per_minute": 2}, {"per_minute": 1000}]
        ),
        "daily_loss": CAPS,
        "max_order_notional": CAPS,
        "max_position": CAPS,
        "max_gross": CAPS,
        "open_orders": st.just({"cap": 1}),
        "price_collar": st.just({"max_distance_fraction": "0.1"}),
    },
)
SETTINGS = st.fixed_dictionaries(
    {
        "capital": st.sampled_from(["10000", "150.25", "1000000"]),
        "fee_bps": st.sampled_from(["0", "10", "7.5"]),
        "slippage_bps": st.sampled_from(["0", "3", "120.5"]),
        "account": st.sampled_from(["spot", "margin"]),
        "entry_latency_ns": st.sampled_from([0, 5_000_000, 40 * NS_PER_S]),
    }
)
CODES = st.sampled_from([-4, -1, 0, 0, 1, 2, 4, 99, 100, 101, 102])
LEVEL_PARAMS = st.fixed_dictionaries(
    {
        "wanted": st.lists(CODES, min_size=1, max_size=12).map(tuple),
        "weight": st.sampled_from([1.0, 0.3, 0.1234]),
        "warm": st.sampled_from([0, 1, 5]),
    },
    optional={"qty": st.sampled_from([Decimal("0.3"), Decimal(2), Decimal("0.00001")])},
)


def prepared_run(
    loaded: LoadedStrategy,
    params: StrategyParams,
    instrument: Instrument,
    drawn: list[Bar],
    settings: dict[str, Any],
    rules: dict[str, Any],
) -> Prepared:
    """Return a run that has passed every check."""
    market: Any = ColumnMarket((instrument,), drawn, drawn[0].ts_open_ns)
    profile = {"description": "drawn", "rules": rules}
    config = Config.model_validate(
        {
            "backtest": {**settings, "risk_profile": "drawn"},
            "paper": {"risk_profile": "drawn"},
            "live": {"risk_profile": "drawn"},
            "risk": {"profiles": {"drawn": profile}},
        }
    )
    request = BacktestRequest(strategy=loaded.name, data=Path("drawn"))
    strategy = PreparedStrategy(
        strategy_id=loaded.name, reference=loaded.name, loaded=loaded, params=params, instruments=(0,)
    )
    opened: RecordedMarket = market
    base = prepare_on(request, config, [], opened, lambda strategies, market: None)
    return msgspec.structs.replace(base, strategies=(strategy,))


def check_same(prepared: Prepared) -> Outcome:
    """Run both ways, and compare everything that is left."""
    ordered = simulate(prepared, prepared.market, NoJournal(), BytesIO())
    assert not ordered.recorder.suspended, ordered.recorder.suspended
    fast = outcome_of(prepared, run_fused(prepared), BytesIO())
    assert fast.recorder.orders == ordered.recorder.orders
    assert fast.recorder.fills == ordered.recorder.fills
    assert fast.recorder.order_list_hash() == ordered.recorder.order_list_hash()
    assert fast.recorder.refusals == ordered.recorder.refusals
    assert fast.recorder.endings == ordered.recorder.endings
    assert fast.recorder.n_intents == ordered.recorder.n_intents
    ours, theirs = fast.system.ledger.account, ordered.system.ledger.account
    assert (ours.cash, ours.fees, ours.position(0)) == (theirs.cash, theirs.fees, theirs.position(0))
    assert fast.venue.slippage_paid == ordered.venue.slippage_paid
    assert str(fast.statistics.bar) == str(ordered.statistics.bar)
    assert list(map(str, fast.equity.batches())) == list(map(str, ordered.equity.batches()))
    assert fast.equity.n_bars_invested == ordered.equity.n_bars_invested
    return ordered


@pytest.mark.integration
@given(INSTRUMENTS, bars(), SETTINGS, RULES, LEVEL_PARAMS)
def test_random_wishes_end_the_same_way_in_the_loop_and_in_the_ordered_engine(
    instrument: Instrument,
    drawn: list[Bar],
    settings: dict[str, Any],
    rules: dict[str, Any],
    params: dict[str, Any],
) -> None:
    loaded = load_strategy(str(LEVELS))
    typed = loaded.cls.Params(**params)
    check_same(prepared_run(loaded, typed, instrument, drawn, settings, rules))


@pytest.mark.integration
@given(INSTRUMENTS, bars(), SETTINGS, RULES, st.integers(1, 5), st.integers(1, 9))
def test_a_signal_ends_the_same_way_in_the_loop_and_in_the_ordered_engine(
    instrument: Instrument,
    drawn: list[Bar],
    settings: dict[str, Any],
    rules: dict[str, Any],
    fast: int,
    more: int,
) -> None:
    loaded = load_strategy("sma_cross")
    typed = msgspec.convert({"fast": fast, "slow": fast + more}, loaded.cls.Params)
    check_same(prepared_run(loaded, typed, instrument, drawn, settings, rules))
