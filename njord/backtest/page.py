"""The self-contained HTML report of a backtest: a result and its bars come in, one offline file goes out."""

from pathlib import Path

from jinja2 import Environment

from njord.backtest.result import BacktestResult
from njord.storage.dataset import BarDataset

_TEMPLATE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{{ r.strategy.id }}</title>
<h1>{{ r.strategy.id }} on {{ r.instrument.symbol }}{{ " SYNTHETIC" if r.synthetic }}</h1>
<p>{{ r.error }}</p><ul>{% for line in r.warnings + r.assumptions %}<li>{{ line }}</li>{% endfor %}</ul>
<p>Capital {{ r.capital }}, final equity {{ r.final_equity }} {{ r.report_asset }}.</p></html>
"""


def write_page(path: Path, result: BacktestResult, dataset: BarDataset, rows: tuple[int, int]) -> None:
    """Write the page of `result`, whose bars are `rows` of `dataset`, to `path`."""
    path.write_text(Environment(autoescape=True).from_string(_TEMPLATE).render(r=result), encoding="utf-8")
