"""A live host with a real engine and gate, at a venue that says exactly what a test wants it to say."""

from collections.abc import Sequence
from decimal import Decimal

from njord.apps.live_host import LiveHost
from njord.apps.live_recorder import LiveRecorder
from njord.core.clock import ManualClock
from njord.core.config import Config
from njord.core.contracts import (
    INBOUND,
    BalanceSnapshot,
    Bar,
    BrokerAmendReq,
    BrokerCancelReq,
    BrokerFill,
    BrokerOrderReq,
    BrokerOrderUpdate,
    BrokerPending,
    BrokerReply,
    Message,
    OrderIntent,
    Proposal,
    TimerFired,
)
from njord.core.errors import VenueError
from njord.core.instrument import Instrument
from njord.core.types import OrderReason, OrderStatus, OrderType, Side, TradingState
from njord.core.units import NS_PER_MINUTE, NS_PER_S
from njord.execution.gateway import Gateway
from njord.strategies.base import Strategy
from njord.strategies.context import BarView, Context
from njord.system import HostedSpec, System, SystemSpec
from njord.venues.broker_wire import Balances, Health

START_NS = 1_700_000_040 * NS_PER_S
BTC = Instrument(
    symbol="BTC/USDT",
    venue="binanceus",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.001"),
)


class Pending:
    """A venue's order side that takes note and answers that it is on its way."""

    def __init__(self) -> None:
        self.placed: list[BrokerOrderReq] = []
        self.canceled: list[BrokerCancelReq] = []
        self.amended: list[BrokerAmendReq] = []

    def place(self, req: BrokerOrderReq) -> BrokerReply:
        self.placed.append(req)
        return BrokerPending(client_order_id=req.client_order_id)

    def cancel(self, req: BrokerCancelReq) -> BrokerReply:
        self.canceled.append(req)
        return BrokerPending(client_order_id=req.client_order_id)

    def amend(self, req: BrokerAmendReq) -> BrokerReply:
        self.amended.append(req)
        return BrokerPending(client_order_id=req.client_order_id)

    def fetch_order(self, symbol: str, client_order_id: str) -> BrokerOrderUpdate | None:
        raise VenueError("not asked here")

    def fetch_trades(self, symbol: str, after_trade_id: str) -> Sequence[BrokerFill]:
        raise VenueError("not asked here")

    def fetch_open_orders(self, symbol: str | None) -> Sequence[BrokerOrderUpdate]:
        raise VenueError("not asked here")

    def fetch_balances(self) -> Sequence[BalanceSnapshot]:
        raise VenueError("not asked here")

    def server_time(self) -> int:
        raise VenueError("not asked here")

    def exchange_rules(self) -> Sequence[Instrument]:
        raise VenueError("not asked here")


class Script(Strategy):
    """Proposes what stands for a bar, counted from 1."""

    def __init__(self, by_bar: dict[int, list[Proposal]]) -> None:
        super().__init__(Strategy.Params())
        self._by_bar = by_bar

    def on_bar(self, ctx: Context, bar: BarView) -> list[Proposal]:
        return self._by_bar.get(ctx.n_bars, [])


class Memory(list[Message]):
    """A journal that is a list."""


class LiveScene:
    """One host, its venue and its journal."""

    def __init__(self, by_bar: dict[int, list[Proposal]], capital: str = "1000") -> None:
        self.by_bar = by_bar  # A test may go on writing it.
        self.journal = Memory()
        self.venue = Pending()
        self.clock = ManualClock(START_NS)
        spec = SystemSpec(
            run_id="live",
            account_id="main",
            report_asset="USDT",
            capital=Decimal(capital),
            instruments=(BTC,),
            strategies=(HostedSpec(strategy_id="script", objects=((0, Script(by_bar)),)),),
            risk_profile="research",
            risk_rules=Config().risk.profiles["research"].rules,
            cost_bps=Decimal(15),
        )
        self.system = System(spec, self.journal)
        self.recorder = LiveRecorder((BTC,))
        self.gateway = Gateway(self.venue, (BTC,), "main")
        self.host = LiveHost(
            self.system.engine,
            self.system.ledger.account,
            self.gateway,
            (BTC,),
            self.system.gate.exposure.mark_ticks,
            "main",
            self.recorder,
            self.clock,
        )

    def start(self) -> None:
        """Let the venue be ready."""
        self.host.switch(TradingState.ACTIVE)
        self.host.hear([Health(state=TradingState.ACTIVE, reason="")])

    def bar(self, number: int, close: int = 10_000) -> None:
        """Tell the bar of that number, from 1; 100 USDT if nothing else is said."""
        close_ns = START_NS + number * NS_PER_MINUTE
        self.clock.advance_to(max(close_ns, self.clock.now_ns()))
        self.host.accept(
            Bar(
                ts_ns=close_ns,
                instrument=0,
                ts_open_ns=close_ns - NS_PER_MINUTE,
                open=close,
                high=close,
                low=close,
                close=close,
                volume_lots=1000,
            )
        )

    @property
    def order_id(self) -> str:
        """The client order id of the last order that was sent."""
        return self.venue.placed[-1].client_order_id

    def goes_on_from(self, first: "LiveScene") -> None:
        """Run another scene's journal again, as a session does that was killed."""
        self.host.is_replaying = True
        for message in list(first.journal):
            if isinstance(message, TimerFired):
                self.host.fired(message)
            elif isinstance(message, Bar):
                self.host.accept(message)
            elif isinstance(message, INBOUND):
                self.host.tell(message)
        self.host.is_replaying = False
        self.clock.advance_to(first.clock.now_ns())

    def of(self, kind: type[Message]) -> list[Message]:
        """Return the journal's messages of one kind."""
        return [message for message in self.journal if type(message) is kind]

    def held(self) -> tuple[Decimal, Decimal]:
        """Return cash and position by our books."""
        account = self.system.ledger.account
        return account.cash, account.position(0).qty


def buy(lots: int = 1000, limit: int = 0) -> OrderIntent:
    """Return a wish to buy; 1,000 lots are one BTC."""
    kind = OrderType.LIMIT if limit else OrderType.MARKET
    return OrderIntent(side=Side.BUY, type=kind, qty_lots=lots, limit_price_ticks=limit)


def fill(name: str, trade_id: str, lots: int, price: int = 10_000, fee: str = "0.1") -> BrokerFill:
    """Return a trade of an order."""
    return BrokerFill(
        client_order_id=name,
        venue_trade_id=trade_id,
        price_ticks=price,
        qty_lots=lots,
        fee=Decimal(fee),
        fee_asset="USDT",
        is_maker=False,
        ts_venue_ns=START_NS,
    )


def state(
    name: str, status: OrderStatus, filled: int = 0, reason: OrderReason = OrderReason.NONE
) -> BrokerOrderUpdate:
    """Return the venue's word on an order."""
    return BrokerOrderUpdate(
        client_order_id=name,
        venue_order_id="77",
        symbol="BTC/USDT",
        side=Side.BUY,
        type=OrderType.MARKET,
        status=status,
        reason=reason,
        qty_lots=1000,
        filled_lots=filled,
        limit_price_ticks=0,
        ts_venue_ns=START_NS,
    )


def balances(usdt: str, btc: str) -> Balances:
    """Return what the venue holds."""
    return Balances(
        balances=(
            BalanceSnapshot(asset="USDT", free=Decimal(usdt), locked=Decimal(0), ts_venue_ns=START_NS),
            BalanceSnapshot(asset="BTC", free=Decimal(btc), locked=Decimal(0), ts_venue_ns=START_NS),
        )
    )
