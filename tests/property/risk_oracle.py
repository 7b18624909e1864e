"""What each risk rule promises, said a second time and naively: fractions, lists, brute force. No rule is called here.

`expected` names the first rule that an intent would break, in the order in which the gate asks.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from njord.core.contracts import AmendIntent, OrderIntent
from njord.core.types import InstrumentKind, OrderType, RefusalReason, Side, TimeInForce, TradingState
from njord.core.units import NS_PER_MINUTE
from tests.property.risk_world import Order, World

R = RefusalReason


class Oracle(World):
    """Says what the gate must say."""

    def expected_of_amend(self, intent: AmendIntent, order: Order | None) -> RefusalReason | None:
        """What an amendment must be told; one that only takes lots away passes, any other is asked as a new order."""
        if order is None or not order.is_open or order.event.strategy_id != intent.strategy_id:
            return R.ORDER_NOT_FOUND
        event, kind = order.event, order.event.type
        if 0 < intent.qty_lots <= order.filled:
            return R.AMEND_INVALID
        if (intent.limit_price_ticks and "limit" not in kind) or (
            intent.trigger_price_ticks and kind in ("market", "limit", "trailing_stop")
        ):
            return R.AMEND_INVALID
        wanted = (
            intent.qty_lots or event.qty_lots,
            intent.limit_price_ticks or event.limit_price_ticks,
            intent.trigger_price_ticks or event.trigger_price_ticks,
        )
        now = (event.qty_lots, event.limit_price_ticks, event.trigger_price_ticks)
        if wanted == now and not order.pending:
            return R.AMEND_INVALID
        has_price = intent.limit_price_ticks or intent.trigger_price_ticks
        if not order.pending and not has_price and intent.qty_lots <= event.qty_lots:
            return None
        entry = order.entry if order.entry is not None and order.entry.is_open else None
        if order.event.after_client_order_id and entry is None and intent.qty_lots > event.qty_lots:
            return R.ENTRY_NOT_WORKING
        new = OrderIntent(
            ts_ns=intent.ts_ns,
            instrument=event.instrument,
            account_id=intent.account_id,
            strategy_id=intent.strategy_id,
            intent_id=intent.intent_id,
            side=event.side,
            type=kind,
            tif=event.tif,
            qty_lots=wanted[0] - order.filled,
            limit_price_ticks=wanted[1],
            trigger_price_ticks=wanted[2],
            trail_ticks=event.trail_ticks,
            expire_ns=event.expire_ns,
            reduce_only=event.reduce_only,
            post_only=event.post_only,
            group_id=event.group_id,
            after_intent_id=entry.event.intent_id if entry is not None else "",
        )
        claimed, order.is_open = order.filled, False
        expected = self.expected(new, claimed)
        order.is_open = True
        return expected

    def expected(self, intent: OrderIntent, claimed: int = 0) -> RefusalReason | None:
        """The first broken promise, in the order in which the gate asks; `claimed` lots of it have filled already."""
        for broken in self._broken(intent, claimed):
            if broken is not None:
                return broken
        return None

    def _broken(self, intent: OrderIntent, claimed: int) -> Iterator[RefusalReason | None]:
        well_formed = self.is_well_formed(intent)
        yield self._kill_switch(intent)
        yield None if well_formed else R.INTENT_MALFORMED
        yield R.EXPIRY_PAST if intent.tif is TimeInForce.GTD and intent.expire_ns <= intent.ts_ns else None
        yield R.INTENT_DUPLICATE if intent.intent_id in self.decided else None
        allowed = self.rules["symbol_allowed"]["symbols"]
        symbol = self.instruments[intent.instrument].symbol
        yield R.SYMBOL_NOT_ALLOWED if allowed and symbol not in allowed else None
        yield self._filters(intent)
        yield self._market_price(intent)
        yield self._collar(intent)
        yield self._links(intent, claimed)
        yield R.REDUCE_ONLY_INCREASES if intent.reduce_only and not self.reduces(intent) else None
        full = len(self.open_orders()) >= self.rules["open_orders"]["cap"]
        yield R.OPEN_ORDERS_EXCEED_CAP if full else None
        yield self._rate(intent)
        if self.reduces(intent):
            return  # No cap may lock anyone into a position.
        yield self._cool_down(intent)
        yield self._daily_loss(intent)
        yield self._order_notional(intent)
        yield self._position(intent)
        yield self._gross(intent)
        yield self._affordable(intent)

    def is_well_formed(self, intent: OrderIntent) -> bool:
        prices: list[Any] = [
            intent.limit_price_ticks,
            intent.trigger_price_ticks,
            intent.trail_ticks,
            intent.expire_ns,
        ]
        numbers: list[Any] = [intent.instrument, intent.qty_lots, intent.ts_ns, *prices]
        if any(isinstance(number, bool) or not isinstance(number, int) for number in numbers):
            return False
        texts: list[Any] = [intent.intent_id, intent.strategy_id, intent.account_id, intent.parent_id]
        texts += [intent.group_id, intent.after_intent_id]
        if any(not isinstance(text, str) or "\ud800" in text for text in texts):
            return False
        words = (
            (intent.side, Side),
            (intent.type, OrderType),
            (intent.tif, TimeInForce),
            (intent.reduce_only, bool),
            (intent.post_only, bool),
        )
        if not all(isinstance(value, kind) for value, kind in words):
            return False
        kind = intent.type
        return (
            all(0 <= price < 2**63 for price in prices)
            and 0 <= intent.instrument < len(self.instruments)
            and 1 <= intent.qty_lots < 2**63
            and (intent.limit_price_ticks > 0) == ("limit" in kind)
            and (
                kind == "trailing_stop"
                or (intent.trigger_price_ticks > 0) == (kind not in ("market", "limit"))
            )
            and (intent.trail_ticks > 0) == (kind == "trailing_stop")
            and (intent.expire_ns > 0) == (intent.tif == "gtd")
            and not (intent.post_only and ("limit" not in kind or intent.tif in ("ioc", "fok")))
            and bool(intent.intent_id)
            and bool(intent.strategy_id)
        )

    def _kill_switch(self, intent: OrderIntent) -> RefusalReason | None:
        if not self.readings:
            return R.KILL_SWITCH_UNKNOWN
        states = set()
        for reading in self.readings.values():
            if not reading.ts_ns <= intent.ts_ns <= reading.valid_until_ns:
                return R.KILL_SWITCH_UNKNOWN
            states.add(reading.state)
        if states - {TradingState.ACTIVE, TradingState.REDUCE_ONLY}:
            return R.KILL_SWITCH_HALTED
        if TradingState.REDUCE_ONLY not in states:
            return None
        is_plain = (
            all(type(v) is int for v in (intent.instrument, intent.qty_lots)) and type(intent.side) is Side
        )
        if is_plain and 0 <= intent.instrument < len(self.instruments) and 0 < intent.qty_lots <= 10_000:
            return None if self.reduces(intent) else R.KILL_SWITCH_REDUCE_ONLY
        return R.KILL_SWITCH_REDUCE_ONLY

    def _filters(self, intent: OrderIntent) -> RefusalReason | None:
        instrument, index = self.instruments[intent.instrument], intent.instrument
        qty = self.qty(index, intent.qty_lots)
        if qty < Fraction(instrument.min_qty):
            return R.QTY_BELOW_MIN
        if instrument.max_qty and qty > Fraction(instrument.max_qty):
            return R.QTY_ABOVE_MAX
        if not instrument.min_notional:
            return None
        ticks = intent.limit_price_ticks or intent.trigger_price_ticks or self.marks.get(index, 0)
        if not ticks:
            return R.PRICE_UNKNOWN
        return (
            R.NOTIONAL_BELOW_MIN
            if qty * self.price(index, ticks) < Fraction(instrument.min_notional)
            else None
        )

    def _market_price(self, intent: OrderIntent) -> RefusalReason | None:
        index, rule = intent.instrument, self.rules["market_price"]
        if not self.marks.get(index):
            return R.PRICE_UNKNOWN
        age = intent.ts_ns - self.mark_ts[index]
        limits = []
        if rule.get("max_age_ns"):
            limits.append(rule["max_age_ns"])
        if rule.get("max_age_intervals") and index in self.intervals:
            limits.append(rule["max_age_intervals"] * self.intervals[index])
        if index not in self.intervals and rule.get("max_age_ticks_ns", NS_PER_MINUTE):
            limits.append(rule.get("max_age_ticks_ns", NS_PER_MINUTE))
        return R.PRICE_STALE if not limits or not 0 <= age <= min(limits) else None

    def _collar(self, intent: OrderIntent) -> RefusalReason | None:
        mark, collar = self.marks[intent.instrument], self.rules["price_collar"]["max_distance_fraction"]
        named = [intent.limit_price_ticks, intent.trigger_price_ticks]
        distances = [abs(ticks - mark) for ticks in named if ticks] + [intent.trail_ticks]
        return R.PRICE_OUTSIDE_COLLAR if Fraction(max(distances), mark) > Fraction(collar) else None

    def _links(self, intent: OrderIntent, own_filled: int) -> RefusalReason | None:
        entry = self.of_intent(intent.after_intent_id) if intent.after_intent_id else None
        members = [order for order in self.open_orders() if order.event.group_id == intent.group_id != ""]
        for member in members:
            event = member.event
            if (event.instrument, event.side, event.strategy_id) != (
                intent.instrument,
                intent.side,
                intent.strategy_id,
            ):
                return R.GROUP_INVALID
            if (member.entry if member.entry and member.entry.is_open else None) is not entry:
                return R.GROUP_INVALID
        if not intent.after_intent_id:
            return None
        if entry is None or entry.event.instrument != intent.instrument:
            return R.ENTRY_NOT_WORKING
        if entry.event.side is intent.side or entry.event.strategy_id != intent.strategy_id:
            return R.ENTRY_NOT_WORKING
        claims = {intent.group_id or "own": [intent.qty_lots]}
        if own_filled:
            claims.setdefault(intent.group_id or "filled", []).append(own_filled)
        for number, order in enumerate(self.open_orders()):
            if order.entry is entry:
                claims.setdefault(order.event.group_id or f"#{number}", []).append(order.left + order.filled)
        claimed = sum(max(sizes) for sizes in claims.values())
        return R.ENTRY_NOT_WORKING if claimed > entry.left + entry.filled else None

    def _rate(self, intent: OrderIntent) -> RefusalReason | None:
        rule, since = self.rules["order_rate"], intent.ts_ns - 60 * 10**9
        recent = [owner for ts, owner in self.approvals if ts > since]
        if len(recent) >= rule["per_minute"]:
            return R.ORDER_RATE_EXCEEDED
        own = rule["per_strategy_per_minute"]
        return R.STRATEGY_RATE_EXCEEDED if own and recent.count(intent.strategy_id) >= own else None

    def _cool_down(self, intent: OrderIntent) -> RefusalReason | None:
        seconds, last = self.rules["cool_down"]["seconds"], self.books[intent.instrument].last_loss_ns
        if not seconds or last is None:
            return None
        return R.COOLING_DOWN if intent.ts_ns - last < seconds * 10**9 else None

    def _daily_loss(self, intent: OrderIntent) -> RefusalReason | None:
        if self.is_off("daily_loss"):
            return None
        start, now = self.day_start(intent.ts_ns), self.equity()
        cap = self.cap("daily_loss", start)
        if start is None or now is None or cap is None:
            return R.PRICE_UNKNOWN
        return R.DAILY_LOSS_EXCEEDED if start - now >= cap else None

    def _order_notional(self, intent: OrderIntent) -> RefusalReason | None:
        if self.is_off("max_order_notional"):
            return None
        cap = self.cap("max_order_notional", self.equity(), self.leverage[intent.instrument])
        if cap is None:
            return R.PRICE_UNKNOWN
        return R.NOTIONAL_EXCEEDS_CAP if self.growth(intent) * self.reference(intent) > cap else None

    def _position(self, intent: OrderIntent) -> RefusalReason | None:
        after = self.worst(intent.instrument, intent)
        if self.is_off("max_position") or after <= self.worst(intent.instrument):
            return None
        cap = self.cap("max_position", self.equity(), self.leverage[intent.instrument])
        if cap is None:
            return R.PRICE_UNKNOWN
        return R.POSITION_EXCEEDS_CAP if after * self.reference(intent) > cap else None

    def _gross(self, intent: OrderIntent) -> RefusalReason | None:
        total = self.worst(intent.instrument, intent)
        if self.is_off("max_gross") or total <= self.worst(intent.instrument):
            return None
        cap = self.cap("max_gross", self.equity(), max(self.leverage))
        if cap is None:
            return R.PRICE_UNKNOWN
        total *= self.reference(intent)
        for index in range(len(self.instruments)):
            worst = self.worst(index)
            if index == intent.instrument or not worst:
                continue
            if not self.marks.get(index):
                return R.PRICE_UNKNOWN
            total += worst * self.price(index, self.marks[index])
        return R.GROSS_EXCEEDS_CAP if total > cap else None

    def _affordable(self, intent: OrderIntent) -> RefusalReason | None:
        is_spot = self.instruments[intent.instrument].kind is InstrumentKind.SPOT
        if is_spot and intent.side is Side.SELL and not self.may_borrow:
            return R.NAKED_SHORT
        equity, needed = self.equity(), self.needed(intent)
        if equity is None or needed is None:
            return R.PRICE_UNKNOWN
        return R.CASH_INSUFFICIENT if needed > equity else None

    def needed(self, intent: OrderIntent) -> Fraction | None:
        """The margin behind all positions and open orders, costs of what is traded included."""
        worth = self.qty(intent.instrument, intent.qty_lots) * self.reference(intent)
        total = worth * Fraction(self.rules["affordable"].get("buffer_bps", 0)) / 10_000
        for index in range(len(self.instruments)):
            held, ticks = self.books[index].qty, self.marks.get(index, 0)
            sides = []
            for side, sign in ((Side.BUY, 1), (Side.SELL, -1)):
                is_own = index == intent.instrument and side is intent.side
                lots = self._fills(index, side, intent if is_own else None)
                if not ticks and (held or lots):
                    return None
                if index == intent.instrument and not is_own:
                    continue
                sides.append(self._backing(index, held * sign, lots, side is Side.BUY))
            total += max(sides)
        return total

    # (lots, ticks) of one side; of a group the most lots at the highest price of any of its members.
    def _fills(self, index: int, side: Side, own: OrderIntent | None) -> list[tuple[int, int]]:
        known = [
            (order.event.group_id or f"#{number}", order.fillable, self.dearest(order.event))
            for number, order in enumerate(self.open_orders(index))
            if order.event.side is side
        ]
        if own is not None:
            known.append((own.group_id or "#own", self.fillable(own), self.dearest(own)))
        known = [each for each in known if each[1]]
        names = list(dict.fromkeys(name for name, _, _ in known))
        return [
            (max(n for at, n, _ in known if at == name), max(ticks for at, _, ticks in known if at == name))
            for name in names
        ]

    def backed(self, filled: tuple[Order, ...], own: int) -> bool:
        """Whether the margin of all positions is there after these orders filled at the prices known now.

        Where the position of `own` ends no larger than it is, nothing more has to be backed there.
        """
        equity, bound = self.equity(), Fraction(0)
        if equity is None:
            return False
        for index, book in enumerate(self.books):
            mark, qty = self.marks.get(index, 0), book.qty
            for order in filled:
                if order.event.instrument != index:
                    continue
                left = self.signed_left(order)
                paid = self.dearest(order.event) if order.sign > 0 else mark
                equity -= abs(left) * self.price(index, paid - mark)
                qty += left
                if index == own:
                    equity -= abs(left) * self.price(index, paid) * self.cost_rate
            if index == own and abs(qty) <= abs(book.qty):
                return True
            bound += abs(qty) * self.price(index, mark) / self.leverage[index]
        return bound <= equity

    # `held` is signed as seen from the orders' side: negative = they close.
    def _backing(self, index: int, held: Fraction, lots: list[tuple[int, int]], is_buy: bool) -> Fraction:
        mark, leverage = self.price(index, self.marks.get(index, 0)), self.leverage[index]
        traded = sum((self.qty(index, n) * self.price(index, at) for n, at in lots), Fraction(0))
        qty = sum((self.qty(index, n) for n, _ in lots), Fraction(0))
        worth = qty * mark if is_buy else traded
        premium_and_costs = traded - worth + traded * self.cost_rate
        if not lots or (held < 0 and qty <= -held):
            return abs(held) * mark / leverage
        if held >= 0:
            return (held * mark + worth) / leverage + premium_and_costs
        closed_at = mark if is_buy else min(self.price(index, at) for _, at in lots)
        return (worth + held * closed_at) / leverage + premium_and_costs
