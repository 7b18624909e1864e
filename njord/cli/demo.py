"""`njord demo`: the main job in one word, on a seeded synthetic market or on the user's own file."""

import sys
from pathlib import Path

import msgspec
from rich.console import Console

from njord.adapters.config_loader import load_config
from njord.apps.synthetic import write_synthetic_csv
from njord.cli.backtest import execute, exit_code
from njord.cli.request import Flags
from njord.cli.summary import make_console, print_summary

DEMO_BARS = 43_200  # Thirty days of minutes.


def run(data: Path | None, seed: int, json_out: bool, root: Path) -> int:
    """Run the verb and return its exit code."""
    console = make_console(stderr=json_out)
    is_synthetic = data is None
    if data is None:
        data = root / load_config(root).config.paths.var / "demo" / f"SYNTH_USDT-1m-seed{seed}.csv"
        if not json_out:
            console.print(
                f"generating a SYNTHETIC market: {DEMO_BARS:,} minute bars from seed {seed}", highlight=False
            )
        write_synthetic_csv(data, DEMO_BARS, seed)
    flags = Flags(settings={})
    finished = execute(("sma_cross",), (data,), flags, root, synthetic=is_synthetic)
    if json_out:
        print(
            msgspec.json.encode(
                {
                    "report": str(finished.folder / "report.html"),
                    "summary": str(finished.folder / "summary.json"),
                    "order_list_hash": finished.result.order_list_hash,
                    "final_equity": finished.result.final_equity,
                }
            ).decode()
        )
    else:
        print_summary(console, finished)
        _next(console, data)
    return exit_code(finished.result)


def _next(console: Console, data: Path) -> None:
    program = Path(sys.argv[0])
    name = _short(program) if program.name == "njord" and program.parent.name == "bin" else "njord"
    console.print("\n[bold]next[/bold]", highlight=False)
    for line in (
        "open the report in a browser: it needs no network",
        f"{name} replay last                      # every message again, byte for byte",
        f"{name} new my_strategy --from sma_cross # a strategy of your own, with its test",
        f"{name} backtest ./my_strategy.py --data {data}",
        "make demo DATA=your-bars.csv             # the same on your own file",
    ):
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
