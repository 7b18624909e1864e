"""A sweep in a process of its own, for tests that kill it: arguments are the data, the folder, and the workers."""

import sys
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from njord.adapters.config_loader import load_config
from njord.backtest.point import point_spec
from njord.backtest.request import BacktestRequest
from njord.research.axes import Axis
from njord.research.sweep import Sweep
from njord.research.sweep_result import SweepResult
from njord.research.sweep_wishes import Wishes

AXES = (
    Axis("fast", tuple(f"{value}" for value in range(2, 12))),
    Axis("slow", tuple(f"{value}" for value in range(8, 32, 4))),
)


def wishes(workers: str, **more: Any) -> Wishes:
    """Return a sweep of 60 combinations, of which the strategy refuses some."""
    return replace(Wishes(axes=AXES, workers=workers, n_top=3, engine="ordered"), **more)


def opened(data: Path, folder: Path, asked: Wishes, strategy: str = "sma_cross") -> Sweep:
    """Return a sweep that is checked and has written nothing."""
    request = BacktestRequest(strategy=strategy, data=data, synthetic=True)
    spec = point_spec(request, load_config(folder.parent, {}, {}).config, {})
    return Sweep(spec, asked)


def sweep(data: Path, folder: Path, asked: Wishes, strategy: str = "sma_cross") -> SweepResult:
    """Run one sweep into `folder`."""
    with opened(data, folder, asked, strategy) as found:
        return found.run(folder, lambda done, total: print(done, flush=True))


# Says how far it is and goes on when it is told to: whoever kills it knows what it has done by then.
def _step(done: int, total: int) -> None:
    print(done, flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    with opened(Path(sys.argv[1]), Path(sys.argv[2]), wishes(sys.argv[3])) as stepped:
        stepped.run(Path(sys.argv[2]), _step)
