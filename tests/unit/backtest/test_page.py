"""The report page: complete, bounded, closed to the outside, and honest where a number has no meaning."""

import base64
import hashlib
import itertools
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import pytest

from njord.adapters.config_loader import load_config
from njord.apps.synthetic import write_synthetic_csv
from njord.backtest.page import PAGE_BYTES_MAX, write_page
from njord.backtest.result import BacktestResult, ResultOpenLot, ResultOrder, ResultTrip
from njord.backtest.session import BacktestRequest, Prepared, prepare, run_backtest
from njord.core.types import RefusalReason
from njord.performance.findings import Finding

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&{{ 7*7 }}--><!--"
SECTIONS = {
    "findings", "before", "key", "equity", "price", "contribution", "activity", "liquidity", "months", "distribution",
    "trips", "orders", "open", "risk", "configuration", "definitions",
}  # fmt: skip


class Elements(HTMLParser):
    """All elements of a page, with the text of scripts, styles and everything else."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.texts.setdefault(tag, []).append("")
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1] == tag:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open[-1]][-1] += data
        else:
            self.texts.setdefault("text", []).append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts["text"]).split())

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.texts["script"][0])
        return found


class Run:
    """A real run of a small synthetic market, whose result can be varied before the page is written."""

    def __init__(self, folder: Path, n_bars: int | None = None, params: tuple[str, ...] = ()) -> None:
        data = folder / "SYNTH_USDT-1m.csv"
        write_synthetic_csv(data, 3_000, seed=7)
        start_ns = 0 if n_bars is None else self._start_ns(data)
        request = BacktestRequest(
            strategy="sma_cross", data=data, params=params, synthetic=True,
            end_ns=None if n_bars is None else start_ns + n_bars * 60_000_000_000,
        )  # fmt: skip
        self.prepared: Prepared = prepare(request, load_config(folder, {}, {}).config, {})
        self.finished = run_backtest(self.prepared, folder / "reports")
        self.result: BacktestResult = self.finished.result

    def page(self, folder: Path | None = None, **changes: Any) -> str:
        result = msgspec.structs.replace(self.result, **changes)
        path = (folder or self.finished.folder) / "report.html"
        write_page(path, result, self.prepared.market)
        return path.read_text(encoding="utf-8")

    @staticmethod
    def _start_ns(data: Path) -> int:
        return int(data.read_text().splitlines()[1].split(",")[0]) * 1_000_000


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    made = Run(tmp_path_factory.mktemp("run"))
    assert made.result.fills
    yield made
    made.prepared.market.close()


def contributions_of(result: BacktestResult, name: str) -> dict[str, Any]:
    row = {**result.contributions["total"], "strategy_id": name, "symbol": name}
    return {**result.contributions, "pairs": [row, row], "symbols": [row, row], "strategies": [row, row]}


def order(**changes: Any) -> ResultOrder:
    given: dict[str, Any] = {
        "order_no": 1, "ts_ns": 0, "strategy_id": "s", "symbol": "X", "side": "buy", "type": "limit", "tif": "gtc",
        "flags": [], "limit_price": None, "trigger_price": None, "trail": None, "qty": "1", "filled": "0",
        "avg_price": None, "fees": "0", "liquidity": "", "accepted_ns": None, "first_fill_ns": None, "end_ns": None,
        "terminal": "", "why": "", **changes,
    }  # fmt: skip
    return ResultOrder(**given)


def lot(**changes: Any) -> ResultOpenLot:
    given: dict[str, Any] = {
        "side": "buy", "ts_open_ns": 0, "qty": "1", "entry_price": "1", "fees": "0", "unrealized_pnl": "0",
        "symbol": "X", "strategy_id": "s", **changes,
    }  # fmt: skip
    return ResultOpenLot(**given)


def stats_with(result: BacktestResult, **changes: Any) -> dict[str, Any]:
    return {**result.stats, **changes}


def tile(page: str, name: str) -> str:
    found = re.search(rf"<dt>{re.escape(name)}</dt><dd>(.*?)</dd>", page)
    assert found, f"no tile {name}"
    return re.sub(r"<[^>]*>", "", found.group(1))


def test_every_section_is_there_and_every_link_within_the_page_leads_somewhere(run: Run) -> None:
    elements = Elements(run.page()).elements
    ids = [attrs["id"] for _, attrs in elements if attrs.get("id")]
    assert set(ids) >= SECTIONS
    assert len(ids) == len(set(ids))
    links = {attrs["href"] for tag, attrs in elements if tag == "a" and (attrs["href"] or "").startswith("#")}
    assert links >= {f"#{section}" for section in SECTIONS}
    assert {str(link)[1:] for link in links} <= set(ids)


def test_the_page_is_the_same_bytes_for_the_same_run(run: Run) -> None:
    assert run.page() == run.page()


def test_the_charts_get_every_bar_and_every_fill(run: Run) -> None:
    data = Elements(run.page()).data
    (market,) = data["markets"]
    assert sum(market["marks"]["n"]) == len(run.result.fills)
    assert len(market["candles"]["t"]) == 3_000
    piece = next(iter(run.prepared.market.prices(0)))
    (instrument,) = run.prepared.market.instruments
    assert market["candles"]["o"][:3] == [instrument.price_float(int(ticks)) for ticks in piece.open[:3]]
    assert data["equity"]["v"][0] == float(run.result.capital)
    assert data["equity"]["v"][-1] == pytest.approx(float(run.result.final_equity))
    assert len(data["benchmark"]) == len(data["equity"]["t"])
    assert data["benchmark"][-1] == pytest.approx(run.result.benchmark["final_equity"])
    assert max(data["exposure"]["v"]) == pytest.approx(run.result.exposure["gross"]["largest"], abs=1e-5)
    assert min(data["drawdown"]["v"]) == pytest.approx(-run.result.stats["max_drawdown"], rel=1e-6)
    assert len(data["trips"]["pnl"]) == len(run.result.round_trips)


@pytest.mark.integration
def test_hostile_text_stays_text_wherever_it_stands(run: Run) -> None:
    plain = Elements(run.page())
    page = run.page(
        strategies=[{"id": HOSTILE, "params": {HOSTILE: HOSTILE}, "source_hash": HOSTILE, "symbols": [HOSTILE]}] * 2,
        instruments=[{**run.result.instruments[0], "symbol": HOSTILE}] * 2,
        data=[{**run.result.data[0], "file": HOSTILE, "symbol": HOSTILE, "kind": HOSTILE}] * 2,
        findings=[Finding(rank=1, code=HOSTILE, severity="alarm", says=HOSTILE, figures={})],
        contributions=contributions_of(run.result, HOSTILE),
        report_asset=HOSTILE,
        error=HOSTILE,
        warnings=[HOSTILE],
        assumptions=[f"{HOSTILE} (change with --tick)"],
        refusals={HOSTILE: 3},
        endings={HOSTILE: 3},
        order_list_hash=HOSTILE,
        risk_profile={"name": HOSTILE, "rules": {HOSTILE: {HOSTILE: HOSTILE}}},
        open_lots=[lot(side=HOSTILE, symbol=HOSTILE, strategy_id=HOSTILE)],
        orders=[order(symbol=HOSTILE, side=HOSTILE, type=HOSTILE, terminal=HOSTILE, why=HOSTILE, flags=[HOSTILE])],
        orders_file=HOSTILE,
    )  # fmt: skip
    hostile = Elements(page)
    assert HOSTILE not in page
    assert not [
        tag for tag, _ in hostile.elements if tag in ("img", "iframe", "object", "embed", "base", "form")
    ]
    assert len(hostile.texts["script"]) == len(plain.texts["script"])
    assert hostile.texts["script"][1:] == plain.texts["script"][1:]
    assert hostile.data["asset"] == HOSTILE
    assert hostile.text.count("<img src=x onerror=alert(1)>") >= 20
    assert "{{ 7*7 }}" in hostile.text


def test_the_page_loads_nothing(run: Run) -> None:
    page = Elements(run.page())
    addresses = [
        value
        for tag, attrs in page.elements
        for name, value in attrs.items()
        if name
        in ("src", "srcset", "href", "action", "poster", "data", "background", "formaction", "xlink:href")
    ]
    outside = {value for value in addresses if not (value or "").startswith("#")}
    assert outside == {"data:,", "https://www.tradingview.com/"}
    assert not re.search(r"url\(|@import", " ".join(page.texts["style"]))
    own = page.texts["script"][-1]
    assert not re.search(
        r"https?:|fetch\(|XMLHttpRequest|WebSocket|import\(|sendBeacon|localStorage|cookie", own
    )


def test_only_the_scripts_and_styles_of_the_page_may_run(run: Run) -> None:
    page = Elements(run.page())
    policy = next(
        str(attrs["content"])
        for _, attrs in page.elements
        if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
    assert rules["default-src"] == ["'none'"]
    assert rules["base-uri"] == rules["form-action"] == ["'none'"]
    assert "unsafe" not in policy
    for text in page.texts["script"][1:]:
        assert _source(text) in rules["script-src"]
    for text in page.texts["style"]:
        assert _source(text) in rules["style-src"]
    assert len(rules["script-src"]) == len(page.texts["script"]) - 1
    assert len(rules["style-src"]) == len(page.texts["style"]) + 1, "one more for the logo of the price chart"
    assert not [
        name for _, attrs in page.elements for name in attrs if name == "style" or name.startswith("on")
    ]


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_a_synthetic_market_is_said_to_be_one(run: Run) -> None:
    assert "SYNTHETIC market" in Elements(run.page()).text
    assert "SYNTHETIC" not in Elements(run.page(synthetic=False)).text


def test_a_suspended_strategy_is_announced_with_its_error(run: Run) -> None:
    assert "failed and was suspended" not in run.page()
    assert "failed and was suspended. my.py:3: KeyError" in Elements(run.page(error="my.py:3: KeyError")).text


def test_refusals_and_endings_come_with_their_meaning_the_most_frequent_first(run: Run) -> None:
    text = Elements(
        run.page(
            refusals={"CASH_INSUFFICIENT": 14, "NAKED_SHORT": 19_129},
            endings={"canceled/INSUFFICIENT_FUNDS": 2},
        )
    ).text
    assert text.index(RefusalReason.NAKED_SHORT.meaning) < text.index(RefusalReason.CASH_INSUFFICIENT.meaning)
    assert "19,129" in text
    assert "At its fill the order cost more than the account's free funds. 2" in text


def test_the_counts_of_the_data_are_all_shown_and_the_bad_ones_marked(run: Run) -> None:
    certificate = run.result.data[0]["certificate"]
    place = {"ts_ns": run.result.start_ns, "row": 5, "detail": f"1,234 bars {HOSTILE}"}
    missing = {"check": "missing_bars", "n": 1_234, "grade": "C", "rule": "C: at most 1 %", "places": [place]}
    others = [finding for finding in certificate["findings"] if finding["check"] != "missing_bars"]
    worse = {**certificate, "grade": "C", "because": "1,234 bars are missing", "findings": [missing, *others]}
    data = {**run.result.data[0], "certificate": worse, "bad_ns": 90_000_000_000, "bad_in_positions_ns": 0}
    page = run.page(data=[data])
    text = Elements(page).text
    assert '<td><span class="warn">1,234 (C)</span></td>' in page
    assert "Grade 1,234 bars are missing. Look at the places before you trust a trade near them. C" in text
    assert "1 min 30 s" in text
    assert "Missing bars: the first 1 places" in text
    assert "<td>0</td>" in page
    assert HOSTILE not in page


def test_what_has_no_meaning_is_undefined_with_its_reason_and_never_zero(run: Run) -> None:
    nothing = dict.fromkeys(("sharpe", "sortino", "calmar", "volatility", "cagr", "best_day", "worst_day"))
    page = run.page(stats=stats_with(run.result, **nothing))
    for name in ("Sharpe", "Sortino", "Calmar", "Volatility", "Growth per year", "Best day", "Worst day"):
        assert tile(page, name) == "undefined"
    assert "returns that do not deviate" in Elements(page).text


def test_an_unbounded_profit_factor_is_not_undefined(run: Run) -> None:
    trades = {**run.result.stats["trades"], "profit_factor": "inf"}
    assert tile(run.page(stats=stats_with(run.result, trades=trades)), "Profit factor") == "\N{INFINITY}"


def test_a_run_without_a_fill_has_its_page(tmp_path: Path) -> None:
    silent = Run(tmp_path, params=("fast=2500", "slow=2900"))
    page = silent.page()
    silent.prepared.market.close()
    assert silent.result.stats["trades"]["n_trades"] == 0
    assert tile(page, "Won") == tile(page, "Profit factor") == tile(page, "Average time held") == "undefined"
    assert tile(page, "Net profit") == "0.00 USDT"
    assert "There is no fill to mark." in page
    assert "No round trip was closed." in page


@pytest.mark.parametrize("n_bars", [1, 2])
def test_a_run_of_one_or_two_bars_has_its_page(tmp_path: Path, n_bars: int) -> None:
    short = Run(tmp_path, n_bars=n_bars)
    page = short.page()
    short.prepared.market.close()
    assert short.result.stats["n_bars"] == n_bars
    assert len(Elements(page).data["markets"][0]["candles"]["t"]) == n_bars
    assert tile(page, "Won") == tile(page, "Average return") == tile(page, "Calmar") == "undefined"


def test_ruin_is_announced(run: Run) -> None:
    assert "Ruined." not in run.page()
    assert "Ruined." in run.page(stats=stats_with(run.result, ruined_ns=run.result.end_ns))


def test_a_sampled_curve_is_drawn_from_its_parquet_file_or_said_to_be_a_sample(
    run: Run, tmp_path: Path
) -> None:
    assert "This is the sample" not in run.page(tmp_path)
    sample = [*run.result.equity_curve[:-1:7], run.result.equity_curve[-1]]
    held = [*run.result.benchmark_curve[:-1:7], run.result.benchmark_curve[-1]]
    beside = run.page(equity_curve=sample, benchmark_curve=held)
    assert "The full curve is in equity.parquet." in beside
    assert Elements(beside).data["equity"] == Elements(run.page()).data["equity"]
    assert "This is the sample from summary.json" in run.page(
        tmp_path, equity_curve=sample, benchmark_curve=held
    )


def test_the_curve_of_another_run_is_not_borrowed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "equity.parquet").write_bytes((run.finished.folder / "equity.parquet").read_bytes())
    ts_ns, equity = run.result.equity_curve[-1]
    sample = run.result.equity_curve[:-1:7]
    held = [1.0] * (len(sample) + 1)
    for last, borrowed in ((equity, True), (equity + 1.0, False)):
        page = run.page(tmp_path, equity_curve=[*sample, (ts_ns, last)], benchmark_curve=held)
        assert ("This is the sample" not in page) is borrowed


@pytest.mark.integration
def test_a_long_curve_keeps_its_deepest_point_and_the_peak_before_it(run: Run, tmp_path: Path) -> None:
    start_ns, n_points = run.result.start_ns, 90_001
    curve = [(start_ns + (i + 1) * 1_000_000, 10_000.0) for i in range(n_points)]
    for i, equity in ((40, 20_000.0), (70_013, 4_000.0)):
        curve[i] = (curve[i][0], equity)
    held = [10_000.0] * n_points
    held[50_007] = 30_000.0
    data = Elements(run.page(tmp_path, equity_curve=curve, benchmark_curve=held)).data
    assert len(data["equity"]["t"]) == len(data["benchmark"]) <= 4_002
    assert max(data["benchmark"]) == 30_000.0
    assert (max(data["equity"]["v"]), min(data["equity"]["v"])) == (20_000.0, 4_000.0)
    assert min(data["drawdown"]["v"]) == -0.8
    assert data["drawdown"]["v"][-1] == -0.5
    assert all(a < b for a, b in itertools.pairwise(data["equity"]["t"]))


def test_the_page_names_the_command_that_replays_it(run: Run) -> None:
    assert f"njord replay {run.finished.folder.name}" in Elements(run.page()).text


@pytest.mark.integration
def test_the_page_stays_small_however_much_was_traded(run: Run) -> None:
    long = "0." + "1234567890" * 2
    trips = [
        ResultTrip(
            side="buy", ts_open_ns=run.result.start_ns + i, ts_close_ns=run.result.end_ns,
            qty=long, entry_price=f"12345678{long[1:]}", exit_price=f"12345678{long[1:]}", fees=long,
            pnl=f"{-1 if i % 3 else 1}{i}.{long[2:]}", return_fraction=-0.1234567890123456, symbol="X" * 50,
            strategy_id="s" * 50,
        )
        for i in range(20_000)
    ]  # fmt: skip
    long_order = order(
        limit_price=long, trigger_price=long, qty=long, filled=long, avg_price=long, fees=long, terminal="e" * 100,
        why="w" * 1_000, flags=["f" * 100] * 5, symbol="X" * 50, strategy_id="s" * 50,
    )  # fmt: skip
    long_lot = lot(qty=long, entry_price=long, fees=long, unrealized_pnl=long)
    several: dict[str, Any] = {
        "strategies": [{"id": "s" * 1_000_000, "params": {"p": "q" * 1_000_000}}, {"id": "t"}]
    }
    page = run.page(
        round_trips=trips,
        orders=[long_order] * 4_000,
        n_orders=20_000,
        open_lots=[long_lot] * 20_000,
        warnings=["w" * 100_000] * 300,
        error="e" * 5_000_000,
        findings=[Finding(code="c", severity="note", says="f" * 100_000, figures={})] * 24,
        **several,
    )
    assert len(page.encode()) < PAGE_BYTES_MAX
    assert len(msgspec.json.encode(Elements(page).data["trips"])) <= 1_000_000
    text = Elements(page).text
    assert "Of 20,000 round trips the table holds" in text
    assert re.search(r"The first [\d,]+ of 20,000 orders; all of them are in orders.parquet.", text)
    assert len(msgspec.json.encode(Elements(page).data["orders"])) <= 700_000
    assert "100 more in summary.json" in text


def test_without_scripts_the_page_says_what_is_missing(run: Run) -> None:
    page = run.page()
    assert re.search(r"<noscript>.*Scripts are off.*</noscript>", page)
    assert '<html lang="en" class="no-script">' in page
    assert ".no-script .script-only { display: none; }" in page


def test_license_texts_travel_with_the_libraries(run: Run) -> None:
    text = Elements(run.page()).text
    assert "Apache License" in text
    assert "Leon Sorokin" in text
    assert "TradingView" in text


def test_vendored_files_are_the_ones_that_are_recorded() -> None:
    vendor = files("njord.backtest").joinpath("assets", "vendor")
    recorded = dict(
        re.findall(
            r"^\| (\S+) \|.* ([0-9a-f]{64}) \|$", vendor.joinpath("README.md").read_text(), re.MULTILINE
        )
    )
    present = {entry.name: hashlib.sha256(entry.read_bytes()).hexdigest() for entry in vendor.iterdir()}
    present.pop("README.md")
    assert present == recorded
