"""The rules of the tick exchange once more, in the plainest Python: dictionaries, lists, no speed; to compare with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from math import inf

from njord.core.types import OrderReason, TimeInForce
from njord.venues.tick_market import ENDED, FILLED, TRIGGERED, Happening, TickOrder, What

BID, ASK, BUY, SELL, CLEAR = 1, 2, 3, 4, 5
Row = tuple[int, int, int, int]  # Kind, time, price, lots.


@dataclass
class Mine:
    """An order of ours."""

    order: TickOrder
    left: int
    limit: int
    trigger: int
    arrived: int
    state: str = ""  # waiting, taking, resting
    rests_since: int = 0
    ahead: float = 0.0
    traded: int = 0
    queued: int = -1

    @property
    def priority(self) -> tuple[int, int]:
        return (-self.order.sign * self.limit, self.rests_since)

    @property
    def worst(self) -> float:
        return self.limit or self.order.sign * inf


@dataclass
class Naive:
    """One instrument's exchange."""

    model: str
    is_partial: bool
    levels: dict[int, dict[int, int]] = field(default_factory=lambda: {BID: {}, ASK: {}})
    last: int = 0
    has_book: bool = False
    now: int = 0
    mine: list[Mine] = field(default_factory=list)
    told: list[Happening] = field(default_factory=list)
    count: int = 0

    def touch(self, side: int) -> int:
        prices = self.levels[side]
        return (max(prices) if side == BID else min(prices)) if prices else 0

    def tell(self, what: What, each: Mine, price: int, lots: int, made: bool = False, reason: OrderReason = OrderReason.NONE, ahead: float = inf) -> None:  # fmt: skip
        seen = int(max(0.0, ahead) + 0.5) if made and ahead != inf else -1
        queued = each.queued if made else -1
        self.told.append(
            Happening(what, each.order.number, self.now, price, lots, made, reason, queued, seen)
        )

    def end(self, each: Mine, reason: OrderReason) -> None:
        self.tell(ENDED, each, 0, each.left, reason=reason)
        self.mine.remove(each)

    def fill(self, each: Mine, price: int, lots: int, made: bool, ahead: float = inf) -> None:
        self.tell(FILLED, each, price, lots, made, ahead=ahead)
        each.left -= lots
        if not each.left:
            self.mine.remove(each)

    def resting(self, sign: int) -> list[Mine]:
        found = [each for each in self.mine if each.state == "resting" and each.order.sign == sign]
        return sorted(found, key=lambda each: each.priority)

    def row(self, row: Row) -> None:
        kind, self.now, price, lots = row
        if kind == CLEAR:
            self.levels = {BID: {}, ASK: {}}
        elif kind in (BID, ASK):
            self._level(kind, price, lots)
        else:
            self._trade(1 if kind == BUY else -1, price, lots)

    def _level(self, side: int, price: int, lots: int) -> None:
        self.has_book = True
        mine, other, sign = self.levels[side], self.levels[3 - side], 1 if side == BID else -1
        before, old = self.touch(side), mine.get(price, 0)
        mine.pop(price, None)
        if lots:
            mine[price] = lots
        touch = self.touch(side)
        is_better = bool(touch) and (not before or sign * (touch - before) > 0)
        if is_better:
            for stale in [level for level in other if sign * (level - touch) <= 0]:
                del other[stale]
        floor = -inf
        for each in self.resting(sign):
            if each.limit == price:
                floor = max(floor, self._moved(each, old, lots))
                each.ahead, each.traded = floor, 0
        if is_better:
            for each in self.resting(-sign):
                if sign * (each.limit - touch) <= 0:
                    self.fill(each, each.limit, each.left, True, each.ahead)

    def _moved(self, each: Mine, old: int, new: int) -> float:
        canceled, ahead = old - new - each.traded, each.ahead
        if self.model == "risk_averse" or canceled < 0 or ahead > old:
            return min(ahead, new)
        behind = old - ahead
        whole = behind**2 + ahead**2
        share = behind**2 / whole if whole else 1.0
        return min(ahead - (1 - share) * canceled + min(behind - share * canceled, 0), new)

    def _trade(self, sign: int, price: int, lots: int) -> None:
        self.last = price
        left = lots
        for each in self.resting(-sign):
            beyond = sign * (each.limit - price)
            ahead = each.ahead
            if beyond < 0:
                self.fill(each, each.limit, each.left, True, ahead)
            elif beyond == 0:
                each.traded += lots
                if self.is_partial:
                    each.ahead = max(0.0, ahead - left)
                    share = (
                        0 if ahead == inf else int(max(Fraction(0), left - max(Fraction(0), Fraction(ahead))))
                    )
                    got = min(each.left, share)
                    left -= got
                else:
                    each.ahead = ahead - lots
                    got = each.left if each.ahead <= -0.5 else 0
                if got:
                    self.fill(each, each.limit, got, True, ahead)
        self._meet_taking(price, lots)
        for each in self.waiting():
            if each.order.trail_ticks:
                each.trigger = self._trailed(each, price)
        while ready := [each for each in self.waiting() if self._wakes(each, price)]:
            self._wake(ready[0], price)

    def _meet_taking(self, price: int, lots: int) -> None:
        left, settling = lots, []
        for each in [each for each in self.mine if each.state == "taking"]:
            tif = each.order.tif
            allowed = each.order.sign * (each.worst - price) >= 0
            got = (min(each.left, left) if self.is_partial else each.left) if allowed else 0
            if tif is TimeInForce.FOK and got < each.left:
                self.end(each, OrderReason.FOK_UNFILLED)
                continue
            if got:
                self.fill(each, price, got, False)
                left -= got
            if not each.left:
                continue
            if tif is TimeInForce.IOC:
                self.end(each, OrderReason.IOC_REMAINDER if each.limit else OrderReason.NO_LIQUIDITY)
            elif each.limit:
                settling.append(each)
        for each in settling:
            self._rest(each)

    def waiting(self) -> list[Mine]:
        found = [each for each in self.mine if each.state == "waiting"]
        return sorted(found, key=lambda each: each.arrived)

    def _trailed(self, each: Mine, price: int) -> int:
        wanted = max(1, price + each.order.sign * each.order.trail_ticks)
        return wanted if not each.trigger else (min if each.order.sign > 0 else max)(each.trigger, wanted)

    def _wakes(self, each: Mine, price: int) -> bool:
        is_up = (each.order.sign > 0) != each.order.is_take_profit
        return price >= each.trigger if is_up else price <= each.trigger

    def _wake(self, each: Mine, price: int) -> None:
        self.tell(TRIGGERED, each, price, each.left)
        self._arrive(each, price)

    def _paid(self, each: Mine, price: int, bound: int) -> int:
        return (max if each.order.sign > 0 else min)(price, bound or price)

    def takes(self, each: Mine, bound: int) -> bool:
        sign = each.order.sign
        if self.has_book:
            price = self.touch(ASK if sign > 0 else BID)
            return bool(price) and sign * (each.worst - self._paid(each, price, bound)) >= 0
        return not each.limit or (bool(self.last) and sign * (each.limit - self.last) >= 0)

    def _arrive(self, each: Mine, bound: int) -> None:
        each.state, tif, sign = "", each.order.tif, each.order.sign
        takes = self.takes(each, bound)
        if takes and each.order.post_only:
            self.end(each, OrderReason.POST_ONLY_WOULD_TAKE)
            return
        if not self.has_book and (takes or (not self.last and not each.order.post_only)):
            each.state = "taking"
            return
        if takes:
            levels = self.levels[ASK if sign > 0 else BID]
            good = sum(lots for price, lots in levels.items() if sign * (each.worst - price) >= 0)
            if tif is not TimeInForce.FOK or not self.is_partial or good >= each.left:
                self._take(each, levels, bound)
        if not each.left:
            return
        if tif is TimeInForce.FOK:
            self.end(each, OrderReason.FOK_UNFILLED)
        elif not each.limit:
            self.end(each, OrderReason.NO_LIQUIDITY)
        elif tif is TimeInForce.IOC:
            self.end(each, OrderReason.IOC_REMAINDER)
        else:
            self._rest(each)

    def _take(self, each: Mine, levels: dict[int, int], bound: int) -> None:
        sign = each.order.sign
        for price in sorted(levels, key=lambda price: sign * price):
            paid = self._paid(each, price, bound)
            if sign * (each.worst - paid) < 0 or not each.left:
                return
            got = min(each.left, levels[price]) if self.is_partial else each.left
            self.fill(each, paid, got, False)
            if self.is_partial:
                levels[price] -= got
                if not levels[price]:
                    del levels[price]

    def _rest(self, each: Mine) -> None:
        sign = each.order.sign
        ahead: float = self.levels[BID if sign > 0 else ASK].get(each.limit, 0) if self.has_book else inf
        ahead = max([ahead, *(other.ahead for other in self.resting(sign) if other.limit == each.limit)])
        self.count += 1
        each.state, each.ahead, each.traded, each.rests_since = "resting", ahead, 0, self.count
        each.queued = -1 if ahead == inf else int(max(0.0, ahead) + 0.5)

    def _told(self, act: Callable[[], object]) -> list[Happening]:
        self.told = []
        act()
        return self.told

    def add(self, order: TickOrder) -> list[Happening]:
        self.count += 1
        each = Mine(order, order.remaining_lots, order.limit_ticks, order.trigger_ticks, self.count)
        self.mine.append(each)
        waits = order.trigger_ticks or order.trail_ticks
        return self._told(lambda: self._wait(each) if waits else self._arrive(each, 0))

    def _wait(self, each: Mine) -> None:
        each.state = "waiting"
        if self.last:
            if each.order.trail_ticks:
                each.trigger = self._trailed(each, self.last)
            if self._wakes(each, self.last):
                self._wake(each, self.last)

    def find(self, number: int) -> Mine | None:
        return next((each for each in self.mine if each.order.number == number), None)

    def withdraw(self, number: int) -> int:
        each = self.find(number)
        if each is None:
            return -1
        self.mine.remove(each)
        return each.left

    def shrink(self, number: int, lots: int) -> int:
        each = self.find(number)
        if each is None:
            return -1
        each.left = max(0, each.left - lots)
        if not each.left:
            self.mine.remove(each)
        return each.left

    def amend(self, number: int, lots: int, limit: int, trigger: int) -> tuple[bool, list[Happening]]:
        each = self.find(number)
        if each is None:
            return False, []
        lots, limit, trigger = lots or each.left, limit or each.limit, trigger or each.trigger
        is_waiting = each.state == "waiting"
        if bool(limit) != bool(each.limit) or (trigger != each.trigger and not is_waiting):
            return False, []
        keeps = (limit, trigger) == (each.limit, each.trigger) and lots <= each.left
        before, each.limit = each.limit, limit
        if not keeps and not is_waiting and each.order.post_only and self.takes(each, 0):
            each.limit = before
            return False, []
        each.left, each.trigger = lots, trigger
        if keeps:
            return True, []
        if is_waiting:
            return True, self._told(lambda: self._wait(each))
        return True, self._told(lambda: self._arrive(each, 0)) if limit else []
