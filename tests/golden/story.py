"""What happened, in lines that a person can check: one for each order and what became of it, then what is left."""

from collections.abc import Sequence
from decimal import Decimal

from njord.core.account import Account
from njord.core.contracts import (
    VENUE,
    AmendEvent,
    CancelEvent,
    FillEvent,
    FundingEvent,
    Message,
    OrderEvent,
    OrderUpdate,
    ProposalRefused,
    RiskDecision,
    StrategySuspended,
)
from njord.core.instrument import Instrument
from njord.core.orders import TERMINAL
from njord.core.units import plain
from njord.performance.streaming import EquityStatistics

_FLAGS = ("reduce_only", "post_only")


class Story:
    """Tells a run's messages.

    Args:
        instruments: Of the run.
        start_ns: What times are told from.
    """

    def __init__(self, instruments: Sequence[Instrument], start_ns: int) -> None:
        self._instruments = instruments
        self._start_ns = start_ns
        self._numbers: dict[str, int] = {}

    def lines(self, messages: Sequence[Message]) -> list[str]:
        """Return a line for every message that belongs to an order, a refusal, a payment or an error."""
        told = [(message, self._line(message)) for message in messages]
        return [f"{self._time(message.ts_ns)} {line}" for message, line in told if line]

    def _time(self, ts_ns: int) -> str:
        return f"{Decimal(ts_ns - self._start_ns).scaleb(-9).normalize():f}s"

    def _line(self, message: Message) -> str:
        match message:
            case OrderEvent():
                self._numbers[message.client_order_id] = len(self._numbers) + 1
                return f"order {self._number(message.client_order_id)}: {self._order(message)}"
            case FillEvent():
                return self._fill(message)
            case OrderUpdate() if message.status in TERMINAL or message.reason:
                return f"order {self._number(message.client_order_id)}: {_word(message)}"
            case AmendEvent() | CancelEvent():
                wish = "cancel" if isinstance(message, CancelEvent) else "amend"
                return f"order {self._number(message.client_order_id)}: {wish} asked for"
            case RiskDecision(allowed=False):
                return f"refused: {message.strategy_id} {message.rule} {message.reason}"
            case ProposalRefused():
                return f"refused: {message.strategy_id} {message.proposal} {message.reason}"
            case FundingEvent():
                return f"funding {message.rate} on a mark of {message.mark_ticks}: {plain(message.amount)} {message.asset}"
            case StrategySuspended():
                return f"suspended: {message.strategy_id} {message.error.partition(': ')[2]}"
        return ""

    def _number(self, client_order_id: str) -> int:
        return self._numbers.get(client_order_id, 0)

    def _order(self, order: OrderEvent) -> str:
        words = [
            order.strategy_id,
            order.side,
            str(order.qty_lots),
            self._instruments[order.instrument].symbol,
        ]
        words += [order.type, order.tif]
        for name, value in (
            ("at", order.limit_price_ticks),
            ("trigger", order.trigger_price_ticks),
            ("trail", order.trail_ticks),
        ):
            words += [f"{name} {value}"] if value else []
        words += [f"until {self._time(order.expire_ns)}"] if order.expire_ns else []
        words += [flag for flag in _FLAGS if getattr(order, flag)]
        if order.after_client_order_id:
            words.append(f"after order {self._number(order.after_client_order_id)}")
        words += [f"group {order.group_id}"] if order.group_id else []
        return " ".join(words)

    def _fill(self, fill: FillEvent) -> str:
        of = f"order {self._number(fill.client_order_id)}: filled"
        if fill.strategy_id == VENUE:
            of = f"liquidation: {fill.side}"
        return (
            f"{of} {fill.qty_lots} at {fill.price_ticks} as {'maker' if fill.is_maker else 'taker'}, "
            f"fee {plain(fill.fee)} {fill.fee_asset}, at the venue {self._time(fill.ts_venue_ns)}"
        )


def _word(update: OrderUpdate) -> str:
    word = f"{update.status} {update.reason}".rstrip()
    if update.qty_lots:
        word += f" {update.qty_lots} at {update.limit_price_ticks} trigger {update.trigger_price_ticks}"
    return word


def left(
    account: Account, instruments: Sequence[Instrument], marks: Sequence[int], slippage: Decimal
) -> list[str]:
    """Return what the account holds in the end, and what it paid."""
    lines = [f"cash {plain(account.balances()[account.report_asset])}"]
    for index, instrument in enumerate(instruments):
        position = account.position(index)
        lines.append(
            f"holds {plain(position.qty)} {instrument.symbol}, realized {plain(position.realized_pnl)}"
        )
    equity = account.equity(marks)
    lines.append(f"equity {'unknown' if equity is None else plain(equity)}, slippage {plain(slippage)}")
    return lines


def measured(statistics: EquityStatistics) -> str:
    """Return the two numbers that every change of the equity curve would move."""
    return f"return {statistics.total_return:.9g}, deepest drawdown {statistics.max_drawdown:.9g}"
