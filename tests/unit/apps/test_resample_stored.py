"""Bars of a stored dataset: the columns and rows that are asked for, whatever parts they lie in."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from njord.apps.resample import resample
from njord.apps.stored_rows import stored_rows
from njord.core.errors import DataError
from njord.core.units import NS_PER_DAY
from njord.storage.store.key import DatasetKey
from njord.storage.store.kinds import COLUMNS, DataKind
from njord.storage.store.store import Store
from njord.storage.store.stored import StoredDataset
from tests.unit.data.bars_host import INSTRUMENT, MINUTE_NS, START_NS, bar_columns, bar_rows, trade_rows

T = START_NS
TRADES = [(T + n * 7 * MINUTE_NS, 100 + n % 9, 1 + n % 5) for n in range(700)]  # Over four days: four parts.


@pytest.fixture
def trades(tmp_path: Path) -> Iterator[StoredDataset]:
    """Trades that happened a second before they were known."""
    key = DatasetKey(kind=DataKind.TRADES, venue=INSTRUMENT.venue, symbol=INSTRUMENT.symbol)
    rows = {**trade_rows(TRADES)}
    rows["ts_venue_ns"] = rows["ts_ns"] - 1_000_000_000
    with Store(tmp_path / "store", create=True).begin(key, instrument=INSTRUMENT) as commit:
        commit.append(rows)
        with commit.commit() as dataset:
            assert len(dataset.manifest.parts) == 4
            yield dataset


@pytest.mark.parametrize(("time", "shift_ns"), [("ts_ns", 0), ("ts_venue_ns", 1_000_000_000)])
def test_the_bars_of_stored_trades_are_those_of_the_trades(
    trades: StoredDataset, time: Literal["ts_venue_ns", "ts_ns"], shift_ns: int
) -> None:
    found = resample(stored_rows(trades, time=time), INSTRUMENT, timeframe="1h", time=time)
    moved = [(at - shift_ns, price, qty) for at, price, qty in TRADES]
    assert bar_rows(found) == bar_rows(resample([trade_rows(moved)], INSTRUMENT, timeframe="1h"))


def test_only_the_columns_that_bars_need_are_read(trades: StoredDataset) -> None:
    for block in stored_rows(trades):
        assert list(block) == ["ts_venue_ns", "price_ticks", "qty_lots"]


@pytest.mark.parametrize(
    ("start_ns", "end_ns"),
    [
        (None, T + 30),
        (None, TRADES[205][0]),  # The last one of its part.
        (TRADES[206][0], None),  # The first one of its part.
        (T + 1, None),
        (TRADES[5][0], TRADES[6][0]),
        (TRADES[5][0] + 1, TRADES[650][0]),
        (T + NS_PER_DAY, T + 2 * NS_PER_DAY),
        (T + 9 * NS_PER_DAY, None),
        (TRADES[5][0] + 1, TRADES[6][0]),
    ],
)
def test_the_rows_of_a_range_are_those_known_in_it(
    trades: StoredDataset, start_ns: int | None, end_ns: int | None
) -> None:
    blocks = stored_rows(trades, start_ns=start_ns, end_ns=end_ns, time="ts_ns")
    assert [at for block in blocks for at in block["ts_ns"].tolist()] == [
        at for at, *_ in TRADES if (start_ns is None or at >= start_ns) and (end_ns is None or at < end_ns)
    ]


def test_a_part_that_is_not_what_was_written_is_named(trades: StoredDataset) -> None:
    part = trades.folder / trades.manifest.parts[2].file
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.chmod(0o644)
    part.write_bytes(data)
    blocks = stored_rows(trades)
    assert len(next(blocks)["price_ticks"]) == trades.manifest.parts[0].n_rows
    with pytest.raises(DataError, match=f"{part.name} is damaged"):
        list(blocks)


def test_reading_can_stop_in_the_middle(trades: StoredDataset) -> None:
    blocks = stored_rows(trades)
    next(blocks)
    blocks.close()  # type: ignore[attr-defined]  # It is a generator; nobody else has to know.
    with pytest.raises(StopIteration):
        next(blocks)


def test_stored_bars_are_folded_and_other_rows_are_refused(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", create=True)
    key = DatasetKey(kind=DataKind.BARS, venue=INSTRUMENT.venue, symbol=INSTRUMENT.symbol, timeframe="1m")
    with store.begin(key, instrument=INSTRUMENT) as commit:
        commit.append(bar_columns((T + n * MINUTE_NS, 5, 9, 4, 6, 2) for n in range(120)))
        with commit.commit() as bars:
            found = resample(stored_rows(bars), bars.instrument, timeframe="1h", interval_ns=bars.interval_ns)
            assert bar_rows(found) == [(T + n * 60 * MINUTE_NS, 5, 9, 4, 6, 120) for n in (0, 1)]
    key = DatasetKey(kind=DataKind.QUOTES, venue=INSTRUMENT.venue, symbol=INSTRUMENT.symbol)
    with store.begin(key, instrument=INSTRUMENT) as commit:
        one = trade_rows([(T, 5, 5)])["ts_ns"]
        commit.append(dict.fromkeys(COLUMNS[DataKind.QUOTES], one))
        with commit.commit() as quotes, pytest.raises(DataError, match="holds no trades and no bars"):
            stored_rows(quotes)
