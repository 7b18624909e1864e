"""`njord walkforward`: flags to folds, the trainings with their progress, and what the tests say in a few lines."""

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
from njord.cli.flags import known_instruments
from njord.cli.progress import Progress
from njord.cli.request import Flags, request_of
from njord.cli.walkforward_flags import WalkForwardFlags
from njord.cli.walkforward_text import lines_of
from njord.core.config import Config
from njord.core.errors import ConfigError
from njord.core.registry import nearest
from njord.core.units import NS_PER_S
from njord.research.axes import parse_axes
from njord.research.executors import n_workers_of
from njord.research.splits import Mode
from njord.research.walkforward_page import write_page
from njord.research.walkforward_result import WalkForward
from njord.research.walkforward_session import OpenWalkForward, WalkForwardRequest, run_walk_forward
from njord.research.walkforward_store import WalkForwardFolder, json_of, read_plan

ENGINES: dict[str, EngineChoice] = {"auto": "auto", "fast": "fast", "ordered": "ordered"}
MODES: dict[str, Mode] = {"rolling": "rolling", "anchored": "anchored", "cpcv": "cpcv"}
_EXAMPLE = (
    "for example njord walkforward sma_cross --data BTCUSDT-1m.csv --param fast=5,10,20 --param slow=30,60"
)
# Flags that a resumed walk-forward has from its folder; workers may be others this time.
_KEPT = ("folds", "mode", "test_folds", "train", "test", "purge", "embargo", "objective", "engine")


class _Typed(msgspec.Struct, frozen=True, kw_only=True):
    """What was typed, as a folder keeps it: enough to type it again."""

    strategy: str
    data: tuple[str, ...]
    flags: Flags
    walk: dict[str, Any]


def run(
    strategy: str | None,
    data: tuple[Path, ...],
    flags: Flags,
    walk: WalkForwardFlags,
    root: Path,
    json_out: bool,
) -> int:
    """Run the verb and return its exit code."""
    if walk.resume is not None:
        strategy, data, flags, walk = _typed_before(walk, walk.resume, strategy, data)
    if strategy is None:
        raise ConfigError("no strategy is named", _EXAMPLE)
    if not data:
        raise ConfigError("no data are named", _EXAMPLE)
    n_workers_of(walk.workers)
    with redirect_stdout(sys.stderr):  # What strategies print is no output of ours.
        config = load_config(root, flags.settings).config
        request, typed = _requested(strategy, data, flags, walk, config, root)
        with OpenWalkForward(request) as opened:
            result, folder = _executed(opened, typed, walk, config, root)
    page = write_page(folder)
    if json_out:
        print(msgspec.json.encode({"folder": str(folder), **json_of(result)}).decode())
    else:
        print("\n".join([*lines_of(result, folder), f"page     {page}"]))
    return _exit_code(result)


def _requested(
    strategy: str, data: tuple[Path, ...], flags: Flags, walk: WalkForwardFlags, config: Config, root: Path
) -> tuple[WalkForwardRequest, dict[str, Any]]:
    if walk.mode not in MODES:
        raise ConfigError(f"--mode {walk.mode!r} is not known", nearest(walk.mode, MODES))
    if walk.engine not in ENGINES:
        raise ConfigError(f"--engine {walk.engine!r} is not known", nearest(walk.engine, ENGINES))
    axes, shared = parse_axes(flags.params, load_strategies((strategy,))[0])
    asked = request_of((strategy,), data, replace(flags, params=shared), config, root)
    spec = point_spec(asked, config, known_instruments(root, config.exchange.venue))
    typed = _Typed(
        strategy=spec.request.strategies[0],
        data=tuple(str(path) for path in spec.request.paths),
        flags=replace(flags, settings=_plain(flags)),
        walk={name: getattr(walk, name) for name in _KEPT},
    )
    request = WalkForwardRequest(
        spec=spec,
        axes=axes,
        n_folds=walk.folds,
        mode=MODES[walk.mode],
        train=walk.train,
        test=walk.test,
        purge=walk.purge,
        embargo=walk.embargo,
        n_test_folds=walk.test_folds,
        objective=walk.objective,
        engine=ENGINES[walk.engine],
    )
    return request, msgspec.to_builtins(typed)


# Redis' URL may hold a password, and has no part in this.
def _plain(flags: Flags) -> dict[str, str]:
    return {key: text for key, text in flags.settings.items() if not key.startswith("redis.")}


def _executed(
    opened: OpenWalkForward, typed: dict[str, Any], walk: WalkForwardFlags, config: Config, root: Path
) -> tuple[WalkForward, Path]:
    path = walk.resume or _new_folder(root / config.paths.reports, opened)
    folder = WalkForwardFolder(path, opened.id, len(opened.folds))
    if walk.resume is None:
        folder.begin(typed)
    try:
        with Progress("points") as progress:
            result = run_walk_forward(
                opened,
                folder,
                root / config.paths.state,
                WallClock().now_ns(),
                walk.workers,
                progress.show,
                is_resumed=walk.resume is not None,
            )
    except KeyboardInterrupt:
        print(
            f"\nnjord: interrupted; {folder.n_kept} of {len(opened.folds)} folds are kept, go on with: "
            f"njord walkforward --resume {path}",
            file=sys.stderr,
        )
        raise SystemExit(EXIT_INTERRUPTED) from None
    return result, path


def _typed_before(
    walk: WalkForwardFlags, folder: Path, strategy: str | None, data: tuple[Path, ...]
) -> tuple[str, tuple[Path, ...], Flags, WalkForwardFlags]:
    if strategy is not None or data:
        raise ConfigError(
            "--resume takes strategy and data from its folder", f"njord walkforward --resume {folder}"
        )
    typed = msgspec.convert(read_plan(folder).typed, _Typed)
    return typed.strategy, tuple(Path(path) for path in typed.data), typed.flags, replace(walk, **typed.walk)


def _new_folder(reports: Path, opened: OpenWalkForward) -> Path:
    now_s = WallClock().now_ns() // NS_PER_S
    stamp = datetime.fromtimestamp(now_s, UTC).strftime("%Y%m%dT%H%M%S")
    names = ["".join(letter for letter in name if letter.isalnum() or letter == "_") for name in opened.names]
    base = f"{stamp}-walkforward-{'-'.join(names[:4])}-{opened.id[:6]}"
    folder, again = reports / base, 1
    while folder.exists():
        again += 1
        folder = reports / f"{base}-{again}"
    return Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder


# A choice that does not hold is a finding; a strategy that failed in a test spoils the curve itself.
def _exit_code(result: WalkForward) -> int:
    for fault in (result.trial or {}).get("faults", ()):
        print(f"njord: {fault}", file=sys.stderr)
    if result.error:
        print(f"njord: the strategy failed in a test and was suspended: {result.error}", file=sys.stderr)
        return EXIT_STRATEGY
    return EXIT_CHECK_FAILED if verdict(result) == "overfit" else EXIT_OK


def verdict(result: WalkForward) -> str:
    """Return what the stitched curve shows; empty if its trial could not be counted."""
    report = (result.trial or {}).get("report")
    return "" if report is None else str(report["verdict"])
