"""`njord sweep`: flags to a plan, the forecast, the search with its progress, and what it has found in a few lines."""

import os
import sys
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from njord.adapters.clock import WallClock
from njord.adapters.config_loader import load_config
from njord.backtest.point import point_spec
from njord.backtest.points import EngineChoice
from njord.backtest.request import load_strategies
from njord.cli import EXIT_CHECK_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_STRATEGY
from njord.cli.flags import known_instruments, parse_number
from njord.cli.progress import Progress
from njord.cli.request import Flags, request_of
from njord.cli.sweep_flags import SweepFlags
from njord.cli.sweep_text import forecast_line, result_lines
from njord.core.config import Config
from njord.core.errors import ConfigError
from njord.core.registry import nearest
from njord.core.units import NS_PER_S
from njord.research.axes import parse_axes
from njord.research.resident import give_back
from njord.research.sweep import Sweep
from njord.research.sweep_page import write_page
from njord.research.sweep_result import SweepResult, encode, read_plan
from njord.research.sweep_store import ROWS
from njord.research.sweep_table import write_csv
from njord.research.sweep_wishes import Wishes

ENGINES: dict[str, EngineChoice] = {"auto": "auto", "fast": "fast", "ordered": "ordered"}
_EXAMPLE = "for example njord sweep sma_cross --data BTCUSDT-1m.csv --param fast=5,10,20"


class _Typed(msgspec.Struct, frozen=True, kw_only=True):
    """What was typed, as a folder keeps it: enough to type it again."""

    strategy: str
    data: tuple[str, ...]
    flags: Flags
    search: dict[str, Any]


def run(
    strategy: str | None, data: tuple[Path, ...], flags: Flags, search: SweepFlags, root: Path, json_out: bool
) -> int:
    """Run the verb and return its exit code."""
    if search.csv is not None and not search.csv.parent.is_dir():
        raise ConfigError(f"the folder {search.csv.parent} does not exist", f"mkdir -p {search.csv.parent}")
    if search.resume is not None:
        strategy, data, flags, search = _typed_before(search, strategy, data)
    if strategy is None:
        raise ConfigError("no strategy is named", _EXAMPLE)
    if not data:
        raise ConfigError("no data are named", _EXAMPLE)
    with redirect_stdout(sys.stderr):  # What strategies print is no output of ours.
        config = load_config(root, flags.settings).config
        sweep = _open(strategy, data, flags, search, config, root)
        with sweep:
            result = None if search.dry_run else _search(sweep, search, root, config)
    if result is not None and search.csv is not None:
        write_csv(result.folder, result.objective, search.csv)
    if result is None:
        print(_json(sweep.forecast) if json_out else forecast_line(sweep.forecast))
        return EXIT_OK
    give_back()
    page = write_page(search.resume or result.folder)
    if json_out:
        sys.stdout.write(encode(result).decode())
    else:
        print("\n".join([*result_lines(result), f"page     {page}"]))
    if result.n_failed == result.n_points:
        first = next((twin.inside.error for twin in result.top), "see the column error of points.parquet")
        print(f"njord: every point failed: {first}", file=sys.stderr)
        return EXIT_STRATEGY
    return EXIT_CHECK_FAILED if (result.honesty or {}).get("verdict") == "overfit" else EXIT_OK


def _open(
    strategy: str, data: tuple[Path, ...], flags: Flags, search: SweepFlags, config: Config, root: Path
) -> Sweep:
    found = load_strategies((strategy,))[0]
    axes, shared = parse_axes(flags.params, found)
    holdout = parse_number("--holdout", search.holdout)
    if search.engine not in ENGINES:
        raise ConfigError(f"--engine {search.engine!r} is not known", nearest(search.engine, ENGINES))
    request = request_of((strategy,), data, replace(flags, params=shared), config, root)
    spec = point_spec(request, config, known_instruments(root, config.exchange.venue))
    settings = {key: value for key, value in flags.settings.items() if not key.startswith("redis.")}
    typed = _Typed(
        strategy=spec.request.strategies[0],
        data=tuple(str(path) for path in spec.request.paths),
        flags=replace(flags, settings=settings),
        search={name: getattr(search, name) for name in _KEPT},
    )
    wishes = Wishes(
        axes=axes,
        objective=search.objective,
        sampler=search.sampler,
        pruner=search.pruner,
        n_points=search.points,
        seed=config.backtest.seed,
        n_top=search.top,
        holdout=holdout if holdout is not None else Wishes(axes=axes).holdout,
        workers=search.workers,
        engine=ENGINES[search.engine],
        typed=msgspec.to_builtins(typed),
    )
    with Progress("points") as progress:
        progress.say("trying a few points")
        return Sweep(spec, wishes)


def _search(sweep: Sweep, search: SweepFlags, root: Path, config: Config) -> SweepResult:
    print(forecast_line(sweep.forecast), file=sys.stderr)
    folder = search.resume or _new_folder(root / config.paths.reports, sweep)
    try:
        with Progress("points") as progress:
            return sweep.run(folder, progress.show, root / config.paths.state)
    except KeyboardInterrupt:
        if not (folder / ROWS).exists():
            raise
        print(
            f"\nnjord: interrupted; what is done is kept, go on with: njord sweep --resume {folder}",
            file=sys.stderr,
        )
        raise SystemExit(EXIT_INTERRUPTED) from None


# Flags that a resumed sweep has from its folder; workers may be others this time.
_KEPT = ("objective", "sampler", "pruner", "points", "holdout", "top", "engine")


def _typed_before(
    search: SweepFlags, strategy: str | None, data: tuple[Path, ...]
) -> tuple[str, tuple[Path, ...], Flags, SweepFlags]:
    assert search.resume is not None
    if strategy is not None or data:
        raise ConfigError(
            "--resume takes strategy and data from its folder", f"njord sweep --resume {search.resume}"
        )
    typed = msgspec.convert(read_plan(search.resume).typed, _Typed)
    before = replace(search, **typed.search)
    return typed.strategy, tuple(Path(path) for path in typed.data), typed.flags, before


def _new_folder(reports: Path, sweep: Sweep) -> Path:
    now_s = WallClock().now_ns() // NS_PER_S
    stamp = datetime.fromtimestamp(now_s, UTC).strftime("%Y%m%dT%H%M%S")
    symbols = "".join(letter for letter in sweep.plan.symbol if letter.isalnum())
    base = f"{stamp}-sweep-{sweep.plan.strategy}-{symbols}-{sweep.plan.identity[:6]}"
    folder, again = reports / base, 1
    while folder.exists():
        again += 1
        folder = reports / f"{base}-{again}"
    return Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder


def _json(value: msgspec.Struct) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=1).decode()
