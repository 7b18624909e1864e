"""The engine against an independent simulator, on recorded markets: every fill, and the money at the end."""

from decimal import Decimal
from pathlib import Path

import pytest

from njord.adapters.config_loader import load_config
from njord.backtest.result import BacktestResult
from njord.backtest.session import BacktestRequest, prepare, run_backtest
from tests.integration.reference_simulator import Row, read, signals, simulate

pytestmark = pytest.mark.integration
FAST, SLOW = 10, 30
FILES = {
    "BTC-PERP-1m-20211231-20220201.csv.gz": "1",
    "ETH_BTC-5m-20180110-20180130.csv.gz": "0.00000001",
    "LTC_BTC-5m-20180110-20180130.csv.gz": "0.00000001",
}
COSTS = [("0", "0"), ("10", "0"), ("10", "5")]


def engine(path: Path, folder: Path, fee_bps: str, slippage_bps: str) -> BacktestResult:
    settings = {
        "backtest.fee_bps": fee_bps,
        "backtest.maker_fee_bps": fee_bps,
        "backtest.slippage_bps": slippage_bps,
    }
    config = load_config(folder, settings, {}).config
    params = (f"fast={FAST}", f"slow={SLOW}")
    prepared = prepare(BacktestRequest(strategy="sma_cross", data=path, params=params), config, {})
    with prepared.market:
        return run_backtest(prepared, folder).result


def exact_ties(rows: list[Row], tick: str) -> list[int]:
    ticks = [round(Decimal(repr(row.close)) / Decimal(tick)) for row in rows]
    return [
        i
        for i in range(SLOW - 1, len(ticks))
        if sum(ticks[i + 1 - FAST : i + 1]) * SLOW == sum(ticks[i + 1 - SLOW : i + 1]) * FAST
    ]


@pytest.mark.parametrize("name", FILES)
def test_every_fill_agrees_with_an_independent_simulator(
    name: str, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, tick = recordings / "bars" / name, FILES[name]
    rows = read(path, float(tick))
    naive = signals(rows, FAST, SLOW)
    ties = exact_ties(rows, tick)
    # At an exact tie floats may fall on either side; the engine says flat. Nowhere else may they differ.
    want = [wanted and i not in set(ties) for i, wanted in enumerate(naive)]
    wrong = [i for i in ties if naive[i]]
    with capsys.disabled():
        print(f"\n{name}: {len(ties)} exact ties of the averages at bars {ties}; floats differ at {wrong}")
    for number, (fee_bps, slippage_bps) in enumerate(COSTS):
        result = engine(path, tmp_path / str(number), fee_bps, slippage_bps)
        assert result.instruments[0]["tick_size"] == Decimal(tick)
        fills, equity = simulate(
            rows, want, float(tick), 10_000.0, float(fee_bps) / 1e4, float(slippage_bps) / 1e4
        )
        ours = [(fill.ts_ns, fill.side) for fill in result.fills]
        assert ours == [(fill.ts_ns, fill.side) for fill in fills]
        assert len(ours) > 100
        for mine, theirs in zip(result.fills, fills, strict=True):
            assert float(mine.price) == pytest.approx(theirs.price, abs=float(tick) / 1000), mine
            assert float(mine.qty) == pytest.approx(theirs.qty, rel=1e-6), mine
        assert float(result.final_equity) == pytest.approx(equity, rel=1e-6)
