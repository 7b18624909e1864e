"""Does a plain order pass? The rules' answer in one comparison of whole numbers; where it is not yes, they are asked.

Most orders of a run are plain (`RiskRule.bounds` says what that is), and asking every rule about them costs more than
all the rest of the gate. Nothing is decided here that the rules would decide otherwise: `test_risk_plain.py` holds the
two against each other, in both directions.
"""

from collections.abc import Sequence
from decimal import Decimal, Inexact

from njord.core.account import ONE, SpotAccount
from njord.core.contracts import NO_PRICE, OrderIntent
from njord.core.filters import INT64_MAX
from njord.core.position import Position
from njord.core.types import ACTIVE, BUY, MARKET, Side, TimeInForce
from njord.core.units import EXACT, ZERO, exponent
from njord.kernels.fused_tables import PASSED
from njord.kernels.limits import Limits, refusal
from njord.risk.bounds import Unbounded, limits_of
from njord.risk.exposure import Exposure
from njord.risk.rules import RiskRule

_FIRST = 0  # The instrument.
_GTC = TimeInForce.GTC
_UNKNOWN = Decimal("NaN")  # Told apart from any amount by identity.
_NO_LINKS = ("",) * 5
_multiply, _to_integral_exact = EXACT.multiply, EXACT.to_integral_exact


class PlainOrders:
    """Says of plain orders that they pass.

    Args:
        limits: What the rules ask.
        scale: Money counts in 10**-scale of the quote asset.
        exposure: What the rules read, of one instrument.
    """

    __slots__ = (
        "_began_with",
        "_cash",
        "_day_start",
        "_exposure",
        "_held",
        "_instrument",
        "_limits",
        "_lot_multiple",
        "_lot_unit",
        "_money",
        "_position",
        "_unit",
    )

    def __init__(self, limits: Limits, scale: int, exposure: Exposure) -> None:
        self._limits = limits
        self._unit = EXACT.scaleb(ONE, scale)
        self._exposure = exposure
        self._instrument = instrument = exposure.instruments[0]
        self._lot_multiple = instrument.lot_multiple
        self._lot_unit = EXACT.scaleb(ONE, instrument.lot_scale)
        # What the whole numbers below were made of: told apart by identity, as amounts never change.
        self._cash = _UNKNOWN
        self._position: Position | None = None
        self._day_start: Decimal | None = _UNKNOWN
        self._money: int | None = None  # None where it is no whole number.
        self._began_with: int | None = None
        self._held = 0

    def passes(self, intent: OrderIntent) -> bool:
        """Say whether `intent` is plain and every rule lets it pass; the day of its time has begun."""
        exposure = self._exposure
        reading, ts_ns, lots, side = exposure.kill_switch, intent.ts_ns, intent.qty_lots, intent.side
        close = exposure.mark_ticks[0]
        reduces: object = intent.reduce_only
        # It is what it says it is: a strategy may have handed in anything. What is told apart by identity needs no look
        # at its type.
        if (
            intent.type is not MARKET
            or intent.tif is not _GTC
            or exposure.working.by_id
            or type(ts_ns) is not int
            or type(lots) is not int
            or not 0 < lots <= INT64_MAX
            or type(side) is not Side
            or intent.instrument is not _FIRST
            or type(reduces) is not bool
            or intent.post_only is not False
            or intent.limit_price_ticks is not NO_PRICE
            or intent.trigger_price_ticks is not NO_PRICE
            or intent.trail_ticks is not NO_PRICE
            or intent.expire_ns is not NO_PRICE
        ):
            return False
        intent_id, strategy_id, account_id = intent.intent_id, intent.strategy_id, intent.account_id
        links = (
            intent.parent_id,
            intent.execution_id,
            intent.slice_id,
            intent.group_id,
            intent.after_intent_id,
        )
        if (
            links != _NO_LINKS
            or type(intent_id) is not str
            or type(strategy_id) is not str
            or type(account_id) is not str
            or not intent_id
            or not strategy_id
            or not (intent_id.isascii() and strategy_id.isascii() and account_id.isascii())
        ):
            return False
        if (
            reading is None
            or reading.state is not ACTIVE
            or not exposure.kill_switch_from_ns <= ts_ns <= exposure.kill_switch_until_ns
            or not close
            or exposure.mark_ts_ns[0] != ts_ns
            or not exposure.interval_ns[0]
            or (intent_id not in exposure.decided.expected and intent_id in exposure.decided)
        ):
            return False
        limits, change = self._limits, lots if side is BUY else -lots
        recent = exposure.pace.in_last_minute(ts_ns)
        qty = exposure.account.positions[0].qty
        if qty and (qty > ZERO) is not (side is BUY) and self._instrument.qty(lots) <= qty.copy_abs():
            # It only closes: no rule asks what the account is worth, nor how much more is held.
            return refusal(limits, change, -change, close, 0, 0, recent) == PASSED
        if reduces:
            return False
        self._count()
        money, began_with, held = self._money, self._began_with, self._held
        if money is None or began_with is None:
            return False
        equity = money + held * close * limits.unit
        return refusal(limits, change, held, close, equity, began_with, recent) == PASSED

    # Cash, position and the day's first equity as whole numbers, if they have changed.
    def _count(self) -> None:
        exposure = self._exposure
        account = exposure.account
        cash, position = account.cash, account.positions[0]
        if cash is not self._cash or position is not self._position:
            self._cash, self._position = cash, position
            self._money = _whole(cash, self._unit) if account.is_valued else None
            qty, self._held = position.qty, 0
            if qty:
                steps = _whole(qty, self._lot_unit)
                self._held, rest = (0, 1) if steps is None else divmod(steps, self._lot_multiple)
                if rest:
                    self._money = None
        began_with = exposure.day_start_equity
        if began_with is not self._day_start:
            self._day_start = began_with
            self._began_with = None if began_with is None else _whole(began_with, self._unit)


def _whole(amount: Decimal, unit: Decimal) -> int | None:
    try:
        return int(_to_integral_exact(_multiply(amount, unit)))
    except Inexact:
        return None


def plain_orders(rules: Sequence[RiskRule], exposure: Exposure) -> PlainOrders | None:
    """Return the quick way for the orders of a gate; None where none of them is plain, or a rule has no bounds."""
    account, instruments = exposure.account, exposure.instruments
    if len(instruments) != 1 or type(account) is not SpotAccount or exposure.leverage[0] is not ONE:
        return None
    instrument = instruments[0]
    scale = max(instrument.unit_scale, instrument.money_scale, exponent(account.cash))
    try:
        limits = limits_of(rules, instrument, scale, exposure.cost_bps, account.may_short(0))
    except Unbounded:
        return None
    return PlainOrders(limits, scale, exposure)
