"""The system on one page: which components there are, and in which order they are asked.

    bar, trade ─▶ ledger, gate (prices) ─▶ strategies ─Target─▶ rebalancer ─OrderIntent─▶ gate ─OrderEvent─▶ gateway
    fill, funding ─▶ order manager, ledger ─PositionSnapshot─▶ gate, strategies, rebalancer
    kill switch ─▶ order manager ─CancelIntent─▶ gate;  ─▶ flattener ─OrderIntent─▶ gate

The books are brought up to date before anyone decides: the order manager and the ledger first, then the gate's view,
then strategies, then sizing. Hosts (`backtest/runner.py`, later the paper and live node) own the clock, the venue
and the disk; they feed `engine.step` and hand approved orders to the gateway.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol, runtime_checkable

import msgspec

from njord.core.account import Books
from njord.core.accounts import AccountTerms, make_account
from njord.core.component import Component, JournalSink
from njord.core.contracts import Bar
from njord.core.engine import Engine
from njord.core.holdings import Holdings
from njord.core.ids import Counter
from njord.core.instrument import Instrument
from njord.execution.flatten import Flattener
from njord.execution.oms import OrderManager
from njord.portfolio.ledger import Ledger
from njord.portfolio.rebalance import Rebalancer
from njord.risk.exposure import Exposure
from njord.risk.gate import RiskGate
from njord.risk.profile import build_rules
from njord.strategies.base import Strategy
from njord.strategies.hosted import HostedStrategy
from njord.strategies.runner import StrategyRunner


class HostedSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy of a run: its id, a fresh object per instrument; several may trade one instrument."""

    strategy_id: str
    objects: tuple[tuple[int, Strategy], ...]


class SystemSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides, and nothing of the machine it decides on."""

    run_id: str
    account_id: str
    report_asset: str
    capital: Decimal
    instruments: tuple[Instrument, ...]
    strategies: tuple[HostedSpec, ...]
    risk_profile: str
    risk_rules: Mapping[str, Mapping[str, Any]]
    cost_bps: Decimal
    fixed_qty: Decimal | None = None
    account: AccountTerms = AccountTerms()


@runtime_checkable
class CountsRows(Protocol):
    """A journal that need not be told every row that a Ref names."""

    def count_rows(self, n_rows: int) -> None:
        """Take the next rows as appended."""


class System:
    """The components of one run, wired.

    Args:
        spec: What decides.
        journal: Written before anything is acted on.

    Attributes:
        stages: By name, in the order in which they are asked.
    """

    def __init__(self, spec: SystemSpec, journal: JournalSink) -> None:
        instruments = spec.instruments
        counters = {strategy.strategy_id: Counter(strategy.strategy_id) for strategy in spec.strategies}
        self.rules = build_rules(spec.risk_profile, spec.risk_rules)
        holdings = Holdings(_account(spec), instruments)
        self.oms = OrderManager(spec.account_id, holdings)
        exposure = Exposure(instruments, _account(spec), spec.cost_bps)
        prices = exposure.mark_ticks  # Kept once, by the gate; ledger and rebalancer read them.
        self.ledger = Ledger(_account(spec), len(instruments), prices)
        self.flattener = Flattener(self.ledger.account, instruments, holdings, prices, spec.account_id)
        self.gate = RiskGate(self.rules, exposure, spec.account_id, spec.run_id)
        self.strategies = StrategyRunner(
            _hosted(spec.strategies),
            instruments,
            holdings,
            spec.account_id,
            counters,
            follows_holdings=False,  # The order manager does, who is asked before.
        )
        self.rebalancer = Rebalancer(
            instruments,
            holdings,
            spec.account_id,
            counters,
            spec.cost_bps,
            spec.fixed_qty,
            prices,
            follows_holdings=False,
        )
        self.stages: dict[str, Component] = {
            "oms": self.oms,
            "flatten": self.flattener,
            "ledger": self.ledger,
            "gate": self.gate,
            "strategies": self.strategies,
            "rebalancer": self.rebalancer,
        }
        self.engine = Engine(tuple(self.stages.values()), journal)
        self._rows = journal if isinstance(journal, CountsRows) else None

    @property
    def may_skip(self) -> bool:
        """Whether the journal takes rows that it does not see; one that compares every message does not."""
        return self._rows is not None

    def skip(self, last: Bar, n_bars: int) -> None:
        """Let `n_bars` bars of one UTC day pass, `last` the last of them: as `engine.step` with each, if nobody decides.

        They must be rows that a Ref has named; no stage but the gate and the strategies follows bars.
        """
        self.pass_over(last.instrument, n_bars)
        self.gate.exposure.observe_bar(last)
        self.strategies.observe(last)

    def pass_over(self, instrument: int, n_bars: int) -> None:
        """Count `n_bars` bars that pass, as `skip` does, where the next bar comes at once: what they said it says anew."""
        assert self._rows is not None
        self._rows.count_rows(n_bars)
        self.strategies.pass_over(instrument, n_bars)


# The ledger owns the account; the others hold mirrors that follow its snapshots.
def _account(spec: SystemSpec) -> Books:
    return make_account(spec.account, spec.instruments, spec.report_asset, spec.capital)


def _hosted(strategies: Sequence[HostedSpec]) -> list[HostedStrategy]:
    return [
        HostedStrategy(spec.strategy_id, strategy, index)
        for spec in strategies
        for index, strategy in spec.objects
    ]
