"""The recordings beside the project come in, go out in every form and come back; large files stay small in memory."""

import csv
import gzip
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from njord.storage.bars_file import open_bars
from njord.storage.bars_options import BarOptions
from njord.storage.export import ExportFormat, export
from njord.storage.ingest.frames import open_rows
from njord.storage.ingest.ndjson import RowDecoder, encode_rows
from njord.storage.ingest.trades_file import open_trades
from njord.storage.store.kinds import COLUMNS, DataKind
from tests.unit.storage.rows_samples import SPOT, rows_of

pytestmark = pytest.mark.integration

TRADES = "trades/XRP_ETH-trades-20191011-20191013.csv.gz"
BARS = (
    "bars/BTC-PERP-1m-20211231-20220201.csv.gz", "bars/ETH_BTC-5m-20180110-20180130.csv.gz",
    "bars/LTC_BTC-5m-20180110-20180130.csv.gz",
)  # fmt: skip
ROWS_A_SECOND_MIN = 150_000


def test_the_recorded_trades_are_the_decimals_of_their_text(recordings: Path) -> None:
    with gzip.open(recordings / TRADES, "rt") as file:
        rows = list(csv.DictReader(file))
    with open_trades(recordings / TRADES) as source:
        instrument = source.instrument
        assert (instrument.tick_size, instrument.lot_size) == (Decimal("1e-8"), Decimal(1))
        assert instrument.symbol == "XRP/ETH"
        assert source.n_rows == len(rows) == 12_477
        facts = source.facts
        assert facts.duplicates.n == facts.out_of_order.n == facts.off_grid.n == facts.skipped.n == 0
        (block,) = source.rows(100_000)
    assert np.isin(block["side"], (-1, 1)).all()
    for index, row in enumerate(rows):
        assert instrument.price(int(block["price_ticks"][index])) == Decimal(row["price"])
        assert instrument.qty(int(block["qty_lots"][index])) == Decimal(row["amount"])
        assert int(block["ts_ns"][index]) == int(row["timestamp"]) * 1_000_000
        assert int(block["trade_id"][index]) == int(row["id"])
        assert {"buy": 1, "sell": -1}[row["side"]] == block["side"][index]


@pytest.mark.parametrize("form", ExportFormat)
def test_the_recorded_trades_come_back_from_every_form(
    form: ExportFormat, recordings: Path, tmp_path: Path
) -> None:
    path = tmp_path / f"x{form.value}"
    with open_trades(recordings / TRADES) as source:
        done = export(source.rows(), DataKind.TRADES, source.instrument, 0, path, form)
        with open_trades(path) as back, open_rows(path) as rows:
            assert done.hash == source.hash == back.hash == rows.hash
            assert back.instrument == source.instrument


@pytest.mark.parametrize("name", BARS)
@pytest.mark.parametrize("form", ExportFormat)
def test_the_recorded_bars_come_back_from_every_form(
    name: str, form: ExportFormat, recordings: Path, tmp_path: Path
) -> None:
    path = tmp_path / f"x{form.value}"
    with open_bars(recordings / name) as bars:
        chunks = ({name: getattr(chunk, name) for name in COLUMNS[DataKind.BARS]} for chunk in bars.chunks())
        done = export(chunks, DataKind.BARS, bars.instrument, bars.interval_ns, path, form)
        assert done.hash == bars.hash
        with open_rows(path) as back:
            assert (back.hash, back.instrument) == (bars.hash, bars.instrument)
        if "ndjson" not in form.value:
            symbol = bars.instrument.symbol
            with open_bars(path, BarOptions(symbol=symbol), {symbol: bars.instrument}) as again:
                assert again.hash == bars.hash


@pytest.mark.timing
def test_rows_become_lines_and_lines_rows_fast_enough() -> None:
    columns = list(rows_of(DataKind.TRADES, 100_000, step_ns=1_000_000).values())
    decoder = RowDecoder(DataKind.TRADES, SPOT, "x")
    seconds = [float("inf")] * 2
    for _ in range(3):
        start = time.perf_counter()
        lines = encode_rows(columns, DataKind.TRADES, SPOT)
        middle = time.perf_counter()
        back = decoder.decode(lines, 1).columns
        end = time.perf_counter()
        seconds = [min(seconds[0], middle - start), min(seconds[1], end - middle)]
    assert all(np.array_equal(one, other) for one, other in zip(columns, back, strict=True))
    assert max(seconds) < 100_000 / ROWS_A_SECOND_MIN


READ = """
import sys
from pathlib import Path
from njord.storage.ingest.trades_file import open_trades
from njord.storage.export import ExportFormat, export
from njord.storage.store.kinds import DataKind
path, out = Path(sys.argv[1]), Path(sys.argv[2])
with open_trades(path) as source:
    n = source.n_rows
    for form in (ExportFormat.PARQUET, ExportFormat.FEATHER, ExportFormat.CSV, ExportFormat.NDJSON_LZ4):
        export(source.rows(), DataKind.TRADES, source.instrument, 0, out / f"x{form.value}", form)
(peak,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(n, peak)
"""


@pytest.mark.long
def test_memory_stays_flat_in_the_number_of_rows(tmp_path: Path) -> None:
    peaks = []
    for n_rows in (200_000, 1_000_000):
        path = tmp_path / f"{n_rows}.csv"
        blocks = (rows_of(DataKind.TRADES, 50_000, first, 1_000_000) for first in range(0, n_rows, 50_000))
        export(blocks, DataKind.TRADES, SPOT, 0, path, ExportFormat.CSV)
        (tmp_path / f"{path.name}.njord.json").unlink()  # The way of a file of unknown origin.
        out = tmp_path / str(n_rows)
        out.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", READ, str(path), str(out)], capture_output=True, text=True, check=True
        )
        read, peak = map(int, done.stdout.split())
        assert read == n_rows
        peaks.append(peak)
    # 0.8 M rows more are 38 MB of columns, 60 MB of text and 58 MB of staged decimals: none of it may stay.
    assert peaks[1] - peaks[0] < 40_000, peaks
