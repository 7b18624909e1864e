"""`njord new`: a strategy file of one's own, ready to run, and a test that holds it to its contract."""

import keyword
import re
from pathlib import Path

import msgspec

from njord.adapters.plugins import load_strategy, strategy_names
from njord.cli import EXIT_OK
from njord.cli.summary import make_console
from njord.core.errors import StrategyError

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_CALLBACKS = ("decide", "on_bar", "on_book", "on_trade")  # Where a strategy decides.
_TEST = '''"""The contract of {name}: it trades without error, decides the same every time, and respects its warm-up."""

from pathlib import Path

from njord.apps.trial import run_on_synthetic

STRATEGY = Path(__file__).with_name("{name}.py")


def test_{name}_decides_the_same_on_the_same_market(tmp_path: Path) -> None:
    first = run_on_synthetic(STRATEGY, tmp_path / "first")
    second = run_on_synthetic(STRATEGY, tmp_path / "second")
    assert first.error == ""
    assert first.fills, "the strategy never traded on 3,000 bars"
    assert first.order_list_hash == second.order_list_hash


def test_{name}_proposes_nothing_before_its_warm_up(tmp_path: Path) -> None:
    assert "WARM_UP" not in run_on_synthetic(STRATEGY, tmp_path).refusals
'''


def run(name: str, source: str, folder: Path, json_out: bool) -> int:
    """Run the verb and return its exit code."""
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise StrategyError(
            f"a strategy's name is lower case letters, digits and underscores, was {name!r}",
            "try: njord new my_strategy",
        )
    if name in strategy_names():
        raise StrategyError(f"{name} is the name of a strategy that exists already", "choose another name")
    loaded = load_strategy(source)
    strategy, test = folder / f"{name}.py", folder / f"test_{name}.py"
    for path in (strategy, test):
        if path.exists():
            raise StrategyError(
                f"{path} exists already", "choose another name or --folder; nothing was written"
            )
    if not folder.is_dir():
        raise StrategyError(f"the folder {folder} does not exist", f"mkdir -p {folder}")
    class_name = "".join(part.capitalize() for part in name.split("_"))
    text = re.sub(rf"\b{loaded.cls.__name__}\b", class_name, loaded.path.read_text(encoding="utf-8"))
    strategy.write_text(text, encoding="utf-8")
    test.write_text(_TEST.format(name=name), encoding="utf-8")
    if json_out:
        print(msgspec.json.encode({"strategy": str(strategy), "test": str(test)}).decode())
        return EXIT_OK
    callback = next(each for each in _CALLBACKS if each in vars(loaded.cls))
    shown = f"./{strategy}" if not strategy.is_absolute() else str(strategy)
    console = make_console()
    for line in (
        f"wrote {strategy}, a copy of {loaded.name}: change {callback}",
        f"wrote {test}, run it with: pytest {test}",
        f"next: njord backtest {shown} --data your-bars.csv",
    ):
        console.print(line, highlight=False, soft_wrap=True)
    return EXIT_OK
