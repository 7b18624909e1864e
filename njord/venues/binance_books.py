"""What do we know of the account's orders and trades? Reports, answers and trade lists in, whose they are and words out.

Ours are followed by the tracker. What is not ours is the account owner's: its trades are told as such, once, after the
venue has named the order that they belong to; a list with trades of orders that this account does not have is somebody
else's, and moves nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec.structs import replace

from njord.core.ids import leg_id
from njord.core.instrument import Instrument
from njord.core.types import Severity
from njord.core.units import NS_PER_MS
from njord.venues.binance_chores import Chores, Key
from njord.venues.binance_clock import VenueClock
from njord.venues.binance_cursor import Asked, TradeCursor
from njord.venues.binance_dialect import TRADES_PAGE, OrderView, Reader, TradeView, Unreadable, WireReport
from njord.venues.binance_options import CoreOptions
from njord.venues.binance_orders import Tracked, Tracker, fill_word
from njord.venues.binance_rounds import AHEAD_MS
from njord.venues.binance_stream import UserStream
from njord.venues.broker_wire import ExternalFill, KnownOrder, Notice, Word

_GAP_NS = 500 * NS_PER_MS  # How long the stream may take to bring what an answer says is there.
_STRANGERS_MAX = 10_000


class Books:
    """Orders and trades of the account.

    Args:
        instruments: By index.
        options: What is remembered, and for how long.
        say: Takes words for the host.
        chores: Takes what must be asked.
        stream: Told what it must tell as well.
        clock: The venue's.

    Attributes:
        tracker: Our orders.
        readers: By index.
        indexes: By the venue's symbol.
        cursors: By index.
        activity: Grows with all that we do and all that trades.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        options: CoreOptions,
        say: Callable[[Word], None],
        chores: Chores,
        stream: UserStream,
        clock: VenueClock,
    ) -> None:
        self._clock = clock
        self._say = say
        self._chores = chores
        self._stream = stream
        self._instruments = instruments
        self.tracker = Tracker(say, options.ended_kept, options.absent_votes)
        self.readers = [Reader(each) for each in instruments]
        self.indexes = {reader.symbol: index for index, reader in enumerate(self.readers)}
        self.cursors = [TradeCursor(reader.symbol, None) for reader in self.readers]
        self.activity = 0
        self._newest: dict[int, tuple[int, int]] = {}  # By index: the newest trade's id and time.
        self._one_clock_from_ns = 0
        self._possible: set[str] = (
            set()
        )  # Legs that may be there, by our name: they are asked for one after the other.
        self._strangers: dict[tuple[int, str], str] = {}  # Orders that are not ours, by the venue's name.
        self._held: list[dict[int, TradeView]] = [{} for _ in instruments]
        self._read_to: list[int] = [-1] * len(instruments)

    def adopt(
        self, known: Sequence[KnownOrder], cursors: Mapping[str, str], options: CoreOptions, now_ns: int
    ) -> dict[str, Tracked]:
        """Go on with the orders of a journal; return the legs of those that were amended, by their name.

        The cursor of a journal is the newest trade that was told, and the stream may have told it before an older one.
        So reading begins a page of our own trades earlier; what was told is not told again.
        """
        trade_ids: list[list[int]] = [[] for _ in self._instruments]
        legs: dict[str, Tracked] = {}
        for each in known:
            may_arrive_ns = each.req.ts_ns + options.place_wait_ns + options.absent_ns
            order_name = each.req.client_order_id
            self._possible.update(leg_id(order_name, wanted.revision) for wanted in each.amendments)
            for leg in each.legs:
                has_ended = each.has_ended or leg is not each.legs[-1]
                name = leg_id(order_name, leg.revision)
                req = replace(each.req, client_order_id=name, qty_lots=leg.qty_lots)
                order = self.tracker.adopt(req, leg, has_ended, may_arrive_ns, now_ns)
                if each.n_amendments:
                    legs[name] = order
                trade_ids[each.req.instrument] += map(int, leg.trade_ids)
        for index, instrument in enumerate(self._instruments):
            told, last = sorted(trade_ids[index]), cursors.get(instrument.symbol)
            if last is None and not told:
                placed_ns = [each.req.ts_ns for each in known if each.req.instrument == index]
                self.cursors[index].since_ns = min(placed_ns, default=0)
                continue
            begins = [each - 1 for each in told[-TRADES_PAGE:][:1]] + ([] if last is None else [int(last)])
            cursor = self.cursors[index]
            cursor.last_id = min(begins)
            for trade_id in told:
                cursor.note(trade_id)
        return legs

    def rule_out(self, names: Iterable[str]) -> None:
        """Take note that legs can not be there after all: whoever has their names is a stranger."""
        self._possible.difference_update(names)

    @property
    def updated_ms(self) -> int:
        """The venue's time of the newest trade, by its id: an account that changed before it is an old state."""
        return max((ts_ns // NS_PER_MS for _, ts_ns in self._newest.values()), default=0)

    def clock_set(self, back_ns: int, now_ns: int) -> None:
        """Take note that the venue's clock was set: what it was set back by, it lives twice."""
        self._newest.clear()
        self._one_clock_from_ns = now_ns + back_ns

    @property
    def has_held(self) -> bool:
        """Whether there are trades of which it is not known whose they are."""
        return any(self._held)

    # --- orders ---

    def view(self, order: Tracked, view: OrderView, asked_ns: int, now_ns: int) -> None:
        """Take what an answer says of an order of ours; raises Unreadable where it is another one."""
        order.seen_ns = max(order.seen_ns, asked_ns)
        if self.tracker.saw(order, view):
            self._stream.expect(order.client_order_id, view.ts_venue_ns, now_ns)
        self._follow_up(order, now_ns)

    def fills(self, order: Tracked, fills: Iterable[TradeView], now_ns: int) -> None:
        """Take trades of an order of ours that an answer has; raises as `view`."""
        for trade in fills:
            if self._own(order, trade, now_ns):
                self._stream.expect(f"trade {trade.trade_id}", trade.ts_venue_ns, now_ns)
        self._follow_up(order, now_ns)

    def listed(self, index: int, views: Sequence[OrderView], asked_ns: int, now_ns: int) -> list[Key]:
        """Take the list of open orders; return what to ask about ours that it does not show.

        It is no evidence of an end, and an order that was sent after the question can not be in it.
        """
        for view in views:
            order = self._order(index, view)
            if order is not None:
                self.view(order, view, asked_ns, now_ns)
            elif view.client_order_id not in self._possible:
                self._stranger(index, view.order_id, view.client_order_id)
        return [
            ("order", each.client_order_id)
            for each in self.tracker.of(index)
            if each.seen_ns < asked_ns and 0 < each.sent_ns < asked_ns
        ]

    def report(self, report: WireReport, now_ns: int) -> None:
        """Take what the stream tells of an order; raises Unreadable where it can not be."""
        index = self.indexes.get(report.symbol)
        if index is None:
            return
        reader = self.readers[index]
        view, trade = reader.report(report), reader.report_trade(report)
        self._stream.heard(now_ns, view.client_order_id, f"trade {report.trade_id}")
        order = self._order(index, view)
        if order is None and view.client_order_id in self._possible:
            return  # Its turn to be asked for comes, and with it what is told here.
        if order is None:
            self._stranger(index, view.order_id, view.client_order_id)
            if trade is not None:
                self._external(index, trade, view.client_order_id, now_ns)
            return
        # The trade first: an end is told only with all its trades.
        if trade is not None:
            self._own(order, trade, now_ns)
        self.tracker.saw(order, view)
        if report.is_working:
            self.tracker.works(order, view.ts_venue_ns)
        self._follow_up(order, now_ns)

    # --- trades ---

    def page(self, index: int, asked: Asked, trades: Sequence[TradeView], now_ns: int) -> bool:
        """Take a page from the cursor on; return whether there are more.

        Raises:
            Unreadable: It can not be an answer of now, for this account.
        """
        cursor, held = self.cursors[index], self._held[index]
        new, is_full = cursor.read(asked, trades)
        for trade in trades:
            if self.tracker.by_venue_id(index, trade.order_id) or (index, trade.order_id) in self._strangers:
                self._age(index, trade, now_ns)
        for trade in new:
            order = self.tracker.by_venue_id(index, trade.order_id)
            stranger = self._strangers.get((index, trade.order_id))
            if order is not None:
                self.fills(order, (trade,), now_ns)
            elif stranger is not None:
                self._external(index, trade, stranger, now_ns)
            else:
                held[trade.trade_id] = trade
                self._chores.want(("whose", str(index), trade.order_id), now_ns)
        if trades:
            self._read_to[index] = max(self._read_to[index], max(each.trade_id for each in trades))
        self._move(index)
        return is_full and not held

    def named(self, index: int, view: OrderView, asked_ns: int, now_ns: int) -> None:
        """Take the name of an order that trades belong to; raises as `view`, and for a leg whose turn is yet to come."""
        order = self._order(index, view)
        if order is None and view.client_order_id in self._possible:
            raise Unreadable(f"{view.client_order_id} is ours, and was not asked for yet")
        if order is not None:
            self.view(order, view, asked_ns, now_ns)
        else:
            self._stranger(index, view.order_id, view.client_order_id)
        for trade in self._released(index, view.order_id):
            if trade.side is not view.side:
                raise Unreadable(f"trade {trade.trade_id} is not on the side of its order")
            if order is not None:
                self.fills(order, (trade,), now_ns)
            else:
                self._external(index, trade, view.client_order_id, now_ns)
        self._move(index)

    def disowned(self, index: int, order_id: str) -> None:
        """Forget trades of an order that this account does not have: the list was somebody else's."""
        gone = self._released(index, order_id)
        if gone:
            self._read_to[index] = min(self._read_to[index], self.cursors[index].last_id or 0)
            self._say(
                Notice(
                    severity=Severity.WARNING,
                    title="the venue listed trades of an order that the account does not have",
                    message=f"order {order_id}, {len(gone)} trades: they are not booked",
                    labels=(("symbol", self._instruments[index].symbol),),
                )
            )

    def _released(self, index: int, order_id: str) -> list[TradeView]:
        held = self._held[index]
        found = [each for each in held.values() if each.order_id == order_id]
        for each in found:
            del held[each.trade_id]
        return found

    # Behind the cursor everything is told; while it is not known whose a trade is, its whole page may be a stranger's.
    def _move(self, index: int) -> None:
        if not self._held[index] and self._read_to[index] >= 0:
            self.cursors[index].advance(self._read_to[index])

    # --- whose ---

    def _order(self, index: int, view: OrderView) -> Tracked | None:
        order = self.tracker.get(view.client_order_id) or self.tracker.by_venue_id(index, view.order_id)
        if order is not None and (
            order.req.instrument != index or order.client_order_id != view.client_order_id
        ):
            raise Unreadable(f"{order.client_order_id} is said to be another order than was sent")
        return order

    def _own(self, order: Tracked, trade: TradeView, now_ns: int) -> bool:
        if not self.tracker.traded(order, trade):
            return False
        self._told(order.req.instrument, trade, now_ns)
        return True

    def _external(self, index: int, trade: TradeView, client_order_id: str, now_ns: int) -> None:
        if self.cursors[index].is_told(trade.trade_id):
            return
        symbol = self._instruments[index].symbol
        self._say(ExternalFill(fill=fill_word(client_order_id, trade), symbol=symbol, side=trade.side))
        self._told(index, trade, now_ns)

    def _told(self, index: int, trade: TradeView, now_ns: int) -> None:
        self.cursors[index].note(trade.trade_id)
        self._held[index].pop(trade.trade_id, None)
        self.activity += 1
        self._age(index, trade, now_ns)
        if not trade.is_exact:
            self._say(
                Notice(
                    severity=Severity.ERROR,
                    title="a trade's price does not lie on the instrument's grid; it was rounded",
                    message=f"trade {trade.trade_id} of {trade.symbol}",
                )
            )

    # A time that both clocks of the venue have had, or that is yet to come, says nothing.
    def _age(self, index: int, trade: TradeView, now_ns: int) -> None:
        ts_ns, clock = trade.ts_venue_ns, self._clock
        is_plain = (
            clock.venue_ns(self._one_clock_from_ns) < ts_ns <= clock.venue_ns(now_ns) + AHEAD_MS * NS_PER_MS
        )
        self._newest[index] = max(
            self._newest.get(index, (-1, 0)), (trade.trade_id, ts_ns if is_plain else 0)
        )

    def _stranger(self, index: int, order_id: str, client_order_id: str) -> None:
        key = (index, order_id)
        if key in self._strangers:
            return
        self._strangers[key] = client_order_id
        while len(self._strangers) > _STRANGERS_MAX:
            del self._strangers[next(iter(self._strangers))]
        self._say(
            Notice(
                severity=Severity.WARNING,
                title="an order that is not ours is on the account",
                message=f"order {order_id} ({client_order_id}); its trades are booked on the account's owner",
                labels=(("symbol", self._instruments[index].symbol),),
            )
        )

    def _follow_up(self, order: Tracked, now_ns: int) -> None:
        if order.lacks_trades:
            self._chores.want(("order_trades", order.client_order_id), now_ns + _GAP_NS)
        if order.is_cancel_wanted and order.end is None and order.client_order_id in self.tracker.open:
            self._chores.ensure(("cancel", order.client_order_id), now_ns)
