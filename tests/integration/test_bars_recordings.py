"""The recordings beside the project open as what they are: real, dirty, and counted."""

import csv
import gzip
import os
from decimal import Decimal
from pathlib import Path

import pytest

from njord.core.types import InstrumentKind
from njord.storage.bars_file import open_bars
from njord.storage.bars_text import show_time

pytestmark = pytest.mark.integration

BARS = Path(__file__).resolve().parents[3] / "shared" / "data" / "bars"


@pytest.fixture(autouse=True, scope="module")
def _recordings_are_there() -> None:
    if not BARS.is_dir():
        message = "the recordings are not there: expected the folder ../shared/data/bars beside the project"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


@pytest.mark.parametrize(
    ("name", "symbol", "kind", "tick", "interval_ns", "grade", "faults"),
    [
        (
            "BTC-PERP-1m-20211231-20220201.csv.gz", "BTC/USD:USD", InstrumentKind.LINEAR, "1", 60_000_000_000,
            "B", {"straight_lines": 14, "off_grid": 41},
        ),
        (
            "ETH_BTC-5m-20180110-20180130.csv.gz", "ETH/BTC", InstrumentKind.SPOT, "1e-8", 300_000_000_000,
            "A", {"float_dirt": 4_710},
        ),
        (
            "LTC_BTC-5m-20180110-20180130.csv.gz", "LTC/BTC", InstrumentKind.SPOT, "1e-8", 300_000_000_000,
            "A", {"float_dirt": 4_030},
        ),
    ],
)  # fmt: skip
def test_a_recording_opens_with_known_faults(
    name: str,
    symbol: str,
    kind: InstrumentKind,
    tick: str,
    interval_ns: int,
    grade: str,
    faults: dict[str, int],
) -> None:
    with open_bars(BARS / name) as bars:
        assert (bars.instrument.symbol, bars.instrument.kind) == (symbol, kind)
        assert bars.instrument.tick_size == Decimal(tick)
        assert bars.interval_ns == interval_ns
        assert bars.certificate.grade == grade
        assert {finding.check: finding.n for finding in bars.certificate.faults()} == faults


@pytest.mark.parametrize(
    "name", ["BTC-PERP-1m-20211231-20220201.csv.gz", "ETH_BTC-5m-20180110-20180130.csv.gz"]
)
def test_every_row_of_a_recording_is_the_nearest_tick_of_its_text(name: str) -> None:
    with gzip.open(BARS / name, "rt") as file, open_bars(BARS / name) as bars:
        rows = csv.DictReader(file)
        for chunk in bars.chunks():
            columns = (chunk.ts_open_ns, chunk.open, chunk.high, chunk.low, chunk.close)
            for ts_open_ns, *ticks in zip(*(column.tolist() for column in columns), strict=True):
                row = next(rows)
                assert (row.get("timestamp") or row["date"])[:19] == show_time(ts_open_ns)[:19].replace(
                    "T", " "
                )
                for ours, column in zip(ticks, ("open", "high", "low", "close"), strict=True):
                    assert (
                        abs(Decimal(row[column]) - bars.instrument.price(ours)) * 2
                        <= bars.instrument.tick_size
                    )
        assert next(rows, None) is None
