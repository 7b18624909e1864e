"""The equity curve against plain sums: exact on several instruments, sampled on ticks, the same in any blocks."""

import io
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from njord.backtest.equity import EquityRecorder
from njord.backtest.market import Marks
from njord.core.account import Account
from njord.core.accounts import AccountKind, AccountTerms, make_account
from njord.core.contracts import FillEvent
from njord.core.errors import InvariantError
from njord.core.instrument import Instrument
from njord.core.types import BUY, SELL, InstrumentKind
from tests.unit.backtest.market_samples import instrument

SPOT = instrument("ETH/USDT")
OTHER = Instrument(
    symbol="BTC/USDT",
    venue="sim",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.5"),
    lot_size=Decimal("0.00001"),
)
CONTRACT = Instrument(
    symbol="SOL/USDT:USDT", venue="sim", base="SOL", quote="USDT", tick_size=Decimal("0.001"), lot_size=Decimal("0.1"),
    kind=InstrumentKind.LINEAR,
)  # fmt: skip
CAPITAL = Decimal("1000.25")
Row = tuple[int, int, int]  # Time, instrument, mark.
Fill = tuple[int, int, int, int]  # Before which row, instrument, signed lots, price.


def fill(row: int, index: int, lots: int, price: int) -> FillEvent:
    return FillEvent(
        ts_ns=row, instrument=index, account_id="a", strategy_id="s", intent_id="i", client_order_id="c",
        side=BUY if lots > 0 else SELL, price_ticks=price, qty_lots=abs(lots), fee=Decimal("0.01"), fee_asset="USDT",
        is_maker=False, venue_trade_id="1", ts_venue_ns=row,
    )  # fmt: skip


def record(
    rows: list[Row], fills: list[Fill], cuts: list[int], sample_ns: int = 0, kind: AccountKind = "margin"
) -> tuple[EquityRecorder, Account, list[list[int]]]:
    """Feed rows to a recorder in blocks that end at `cuts`; return it, the account, and the marks at every row."""
    instruments = (SPOT, OTHER, CONTRACT)
    terms = AccountTerms(kind=kind, leverage=Decimal(5))
    account = make_account(terms, instruments, "USDT", CAPITAL)
    settled = [kind == "perpetual" and each.kind is InstrumentKind.LINEAR for each in instruments]
    recorder = EquityRecorder(instruments, CAPITAL, io.BytesIO(), settled, sample_ns)
    ends = sorted({cut for cut in cuts if 0 < cut < len(rows)} | {len(rows)})
    marks = [0, 0, 0]
    every: list[list[int]] = []
    for begin, end in zip([0, *ends[:-1]], ends, strict=True):
        for row in range(begin, end):
            for each in fills:
                if each[0] == row:
                    account.apply_fill(fill(*each), marks)
                    recorder.change(row - begin, account)
            ts_ns, index, ticks = rows[row]
            marks[index] = ticks or marks[index]
            every.append([*marks, ts_ns, int(account.equity(marks) is not None)])
        own = np.array(rows[begin:end], dtype=np.int64).T
        recorder.close_block(Marks(own[0], own[1], own[2]))
    recorder.finish()
    return recorder, account, every


def curve(recorder: EquityRecorder) -> list[tuple[int, float, float]]:
    return [
        point for columns in recorder.batches() for point in zip(*(c.tolist() for c in columns), strict=True)
    ]


rows_of_bars = st.lists(
    st.tuples(st.integers(1, 10), st.integers(0, 2), st.integers(1, 5_000)), min_size=1, max_size=25
)
fills_of = st.lists(
    st.tuples(
        st.integers(0, 24), st.integers(0, 2), st.integers(-50, 50).filter(bool), st.integers(1, 5_000)
    ),
    max_size=8,
)


def naive(rows: list[Row], fills: list[Fill], sample_ns: int, kind: AccountKind) -> list[tuple[int, Decimal]]:
    """Every point by replaying everything before it with the account's own equity."""
    points: dict[int, Decimal] = {}
    instruments = (SPOT, OTHER, CONTRACT)
    account = make_account(AccountTerms(kind=kind, leverage=Decimal(5)), instruments, "USDT", CAPITAL)
    marks = [0, 0, 0]
    for row, (ts_ns, index, ticks) in enumerate(rows):
        for each in fills:
            if each[0] == row:
                account.apply_fill(fill(*each), marks)
        marks[index] = ticks or marks[index]
        worth = account.equity([mark or 1 for mark in marks])
        assert worth is not None
        points[-(-ts_ns // sample_ns) * sample_ns if sample_ns else ts_ns] = worth
    return sorted(points.items())


@pytest.mark.parametrize("kind", ["margin", "perpetual"])
@given(
    rows=rows_of_bars,
    fills=fills_of,
    cuts=st.lists(st.integers(1, 24), max_size=3),
    sample_ns=st.sampled_from([0, 4]),
)
def test_every_point_is_the_accounts_own_equity_whatever_the_blocks(
    kind: AccountKind, rows: list[Row], fills: list[Fill], cuts: list[int], sample_ns: int
) -> None:
    rows = sorted([(0, index, 100) for index in range(3)] + rows, key=lambda row: row[0])
    # Blocks of bars never split a time; those of ticks may.
    if not sample_ns:
        cuts = [cut for cut in cuts if cut < len(rows) and rows[cut][0] != rows[cut - 1][0]]
    fills = sorted((each for each in fills if 3 <= each[0] < len(rows)), key=lambda each: each[0])
    recorder, _, _ = record(rows, fills, cuts, sample_ns, kind)
    expected = naive(rows, fills, sample_ns, kind)
    got = curve(recorder)
    assert [ts_ns for ts_ns, _, _ in got] == [ts_ns for ts_ns, _ in expected]
    assert [worth for _, worth, _ in got] == [float(worth) for _, worth in expected]
    assert recorder.n_points == len(expected)


def test_the_benchmark_buys_equal_parts_at_the_first_marks_and_holds() -> None:
    rows = [(1, 0, 100), (2, 1, 40), (3, 0, 150), (4, 2, 8), (5, 2, 4), (6, 1, 0)]
    recorder, _, _ = record(rows, [], [2, 5])
    part = float(CAPITAL) / 3
    expected = [3.0, 3.0, 3.5, 3.5, 3.0, 3.0]
    assert [held for _, _, held in curve(recorder)] == pytest.approx([part * each for each in expected])
    assert recorder.first_marks == [100, 40, 8]
    assert recorder.last_marks == [150, 40, 4]


def test_a_fill_after_the_last_tick_of_a_second_still_belongs_to_it() -> None:
    recorder = EquityRecorder((SPOT,), CAPITAL, io.BytesIO(), (), 10)
    account = make_account(AccountTerms(), (SPOT,), "USDT", CAPITAL)
    block = np.array([[1, 7], [0, 0], [100, 200]], dtype=np.int64)
    assert recorder.close_block(Marks(*block))[0].tolist() == []
    account.apply_fill(fill(0, 0, 10, 100), [200])
    recorder.change(0, account)
    times, worth = recorder.finish()
    assert times.tolist() == [10]
    assert worth.tolist() == [float(account.equity([200]) or 0)]


def test_amounts_beyond_int64_stay_exact() -> None:
    large = Decimal(10) ** 15
    recorder = EquityRecorder((OTHER,), large, io.BytesIO())
    block = np.array([[1, 2], [0, 0], [10**15, 10**15 + 2]], dtype=np.int64)
    account = make_account(AccountTerms(kind="margin", leverage=Decimal(100)), (OTHER,), "USDT", large)
    account.apply_fill(fill(0, 0, 10**6, 10**15), [10**15])
    recorder.change(0, account)
    _, worth = recorder.close_block(Marks(*block))
    assert worth.tolist() == [float(account.equity([10**15]) or 0), float(account.equity([10**15 + 2]) or 0)]


def test_a_digit_that_the_curve_can_not_hold_is_refused_by_its_amount() -> None:
    recorder = EquityRecorder((OTHER,), CAPITAL, io.BytesIO())
    account = make_account(AccountTerms(), (OTHER,), "USDT", CAPITAL)
    account.cash = Decimal("1000.2500000000000001")
    recorder.change(0, account)
    with pytest.raises(InvariantError, match=r"^1000\.2500000000000001 has more than 9 decimals$"):
        recorder.close_block(Marks(*np.array([[1], [0], [100]], dtype=np.int64)))


def test_the_file_holds_all_three_columns_and_a_sample_its_last_point(tmp_path: object) -> None:
    rows = [(i, 0, 100 + i) for i in range(1, 11)]
    recorder, _, _ = record(rows, [(3, 0, 5, 100)], [4])
    buffer = io.BytesIO()
    recorder.write_parquet(buffer)  # type: ignore[arg-type]  # polars writes to either.
    frame = pl.read_parquet(buffer.getvalue())
    assert list(zip(*frame.get_columns(), strict=True)) == curve(recorder)
    times, worth, held = recorder.sample(4)
    assert (times[0], times[-1]) == (1, 10)
    assert len(times) <= 4
    assert (worth[-1], held[-1]) == curve(recorder)[-1][1:]
