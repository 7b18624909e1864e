"""From a golden to its story: through `simulate`, the way of every backtest, with nothing on disk."""

from typing import Any

from njord.backtest.request import BacktestRequest
from njord.backtest.simulation import Prepared, account_of, simulate
from njord.core.config import BacktestConfig, Config
from njord.core.contracts import Bar, Message, RunStarted, TradeEvent
from njord.core.units import EXACT
from njord.system import HostedSpec, SystemSpec
from tests.golden.algorithm import Golden
from tests.golden.market import MemoryMarket
from tests.golden.story import Story, left, measured


class _Prepared(Prepared, frozen=True, kw_only=True):
    """A run whose strategy objects are made for it alone, not from files, and whose market was not recorded."""

    market: Any

    def fresh_spec(self) -> SystemSpec:
        """Return the spec: nobody has used it yet."""
        return self.spec


class _Memory(list[Message]):
    """A journal that is a list."""


def tell(golden: Golden) -> list[str]:
    """Run a golden and return its story."""
    market = golden.market()
    settings = BacktestConfig(
        **{"capital": golden.capital, "fee_bps": 0, "maker_fee_bps": 0, "slippage_bps": 0, **golden.settings}
    )
    prepared = _prepared(golden, market, settings)
    journal = _Memory()
    outcome = simulate(prepared, market, journal)
    lines = [f"must: {golden.must}", *Story(market.instruments, market.start_ns).lines(journal)]
    account = outcome.system.ledger.account
    lines += left(account, market.instruments, last_prices(market), outcome.venue.slippage_paid)
    return [*lines, measured(outcome.statistics), f"order list {outcome.recorder.order_list_hash()}"]


def last_prices(market: MemoryMarket) -> list[int]:
    """Return what each instrument was last traded at, 0 if never."""
    marks = [0] * len(market.instruments)
    for message in market.messages:
        if isinstance(message, Bar):
            marks[message.instrument] = message.close
        elif isinstance(message, TradeEvent):
            marks[message.instrument] = message.price_ticks
    return marks


def _prepared(golden: Golden, market: MemoryMarket, settings: BacktestConfig) -> Prepared:
    config = Config().model_copy(update={"backtest": settings})
    rules = {name: dict(params) for name, params in config.risk.profiles["research"].rules.items()}
    for name, params in golden.rules.items():
        rules.setdefault(name, {}).update(params)
    hosted = golden.hosted()
    spec = SystemSpec(
        run_id="golden",
        account_id=settings.account_id,
        report_asset="USDT",
        capital=settings.capital,
        instruments=market.instruments,
        strategies=tuple(
            HostedSpec(strategy_id=name, objects=tuple(objects)) for name, objects in hosted.items()
        ),
        risk_profile="research",
        risk_rules=rules,
        cost_bps=EXACT.add(settings.fee_bps, settings.slippage_bps),
        account=account_of(settings, [instrument.kind for instrument in market.instruments]),
    )
    started = RunStarted(
        ts_ns=market.start_ns,
        run_id=spec.run_id,
        config_hash="",
        code_hash="",
        seed=settings.seed,
        account_id=spec.account_id,
        report_asset=spec.report_asset,
        capital=spec.capital,
        instruments=spec.instruments,
        strategies=(),
        risk_profile=spec.risk_profile,
    )
    request = BacktestRequest(strategy=tuple(hosted), data=())
    return _Prepared(request=request, config=config, strategies=(), market=market, spec=spec, started=started)
