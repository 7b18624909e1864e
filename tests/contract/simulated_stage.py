"""The simulated venue of backtests and paper sessions, behind its host and its gateway, on a card's market."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from njord.backtest.host import SimulatedHost
from njord.backtest.recorder import Recorder
from njord.core.contracts import BalanceAdjusted
from njord.core.units import NS_PER_S
from njord.venues.fees import FeeModel
from njord.venues.simulated import SimulatedVenue
from njord.venues.terms import VenueTerms
from njord.venues.tick_market import TickMarket
from tests.contract.cards import Setup, Where
from tests.contract.heard import ACCOUNT
from tests.contract.stages import BEGIN_NS, BaseStage

_FEES = FeeModel(maker_bps=Decimal(10), taker_bps=Decimal(10), fee_asset="received")


class SimulatedStage(BaseStage):
    """The terms are those of the local exchange as far as terms can say them: fees in kind, which order of two ends."""

    where = Where.SIMULATED

    def __init__(self, setup: Setup) -> None:
        cash = Decimal(setup.balances["USDT"])
        super().__init__(BEGIN_NS, cash)
        instrument = setup.instrument
        venue = SimulatedVenue([instrument], _FEES, VenueTerms(self_trade="expire_maker"), cash, "USDT")
        held = Decimal(setup.balances["BTC"])
        venue.account.held[0] = held
        venue.add_market(0, TickMarket(self.tape.rows(), queue_model="risk_averse", partial_fills=True))
        self.broker = self._venue = venue
        self._host = SimulatedHost(
            self.ear, self.ear.account, venue, [instrument], [True], ACCOUNT, Recorder([instrument])
        )
        self._host.tell(
            BalanceAdjusted(
                ts_ns=BEGIN_NS, account_id=ACCOUNT, asset="BTC", amount=held, instrument=0, price_ticks=100
            )
        )

    def _move(self, change: Callable[[int], None]) -> None:
        change(self.clock.now_ns())
        self._host.pass_time(self.clock.now_ns())

    def _tell(self, message: Any) -> None:
        self._host.tell(message)

    def _hear_until(self, n_lines: int) -> None:
        self._host.pass_time(self.clock.now_ns())  # It says all it knows at once.

    def _settle(self) -> None:
        self._host.pass_time(self.clock.now_ns())
        self._host.reconcile()

    def passes(self, seconds: float) -> None:
        """Let time pass."""
        self._host.pass_time(self.clock.pass_ns(round(seconds * NS_PER_S)))
