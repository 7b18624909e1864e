"""Try a strategy on a small synthetic market in one call: for a strategy's own tests."""

from pathlib import Path

from njord.adapters.config_loader import load_config
from njord.apps.synthetic import write_synthetic_csv
from njord.backtest.result import BacktestResult
from njord.backtest.session import BacktestRequest, prepare, run_backtest


def run_on_synthetic(
    strategy: str | Path, folder: Path, *, n_bars: int = 3_000, seed: int = 7, params: tuple[str, ...] = ()
) -> BacktestResult:
    """Backtest `strategy` (a name or a file) on `n_bars` synthetic minute bars; everything is written to `folder`."""
    data = folder / f"SYNTH_USDT-1m-seed{seed}.csv"
    write_synthetic_csv(data, n_bars, seed)
    request = BacktestRequest(strategy=str(strategy), data=data, params=params, synthetic=True)
    prepared = prepare(request, load_config(folder, {}, {}).config, {})
    with prepared.market:
        return run_backtest(prepared, folder / "reports").result
