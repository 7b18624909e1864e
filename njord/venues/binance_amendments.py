"""How does an order change at a venue that can only replace it? Amendments in; legs at the venue, and one order's words out.

For the host an order keeps its name through all amendments. At the venue it is one leg after another, each under a name of
its own (`core/ids.py`: `leg_id`), and each followed as an order by the tracker. As long as not a lot has filled, a leg is
replaced in one request, which places nothing unless it has canceled. Once some have, the leg is canceled, its end with
all its trades is waited for, and only what is left then is placed: so no fill on the way makes the whole more than was
approved. Nothing is told as amended before the venue has shown the new leg; a leg of which nobody knows is UNKNOWN, and so
is the order.
"""

from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from njord.core.contracts import BrokerFill, BrokerOrderReq, BrokerOrderUpdate
from njord.core.ids import leg_id
from njord.core.orders import TERMINAL
from njord.core.types import OrderReason, OrderStatus
from njord.venues.binance_books import Books
from njord.venues.binance_chores import Chores
from njord.venues.binance_legs import Chain
from njord.venues.binance_options import CoreOptions
from njord.venues.binance_orders import Tracked, update_word
from njord.venues.binance_places import Places
from njord.venues.broker_wire import Amendment, KnownLeg, KnownOrder, Word

_S, _R = OrderStatus, OrderReason


class Amendments:
    """Orders that were amended, and are to be.

    Args:
        options: How long room may be waited for, how many ended orders are remembered.
        books: What follows legs.
        places: What sends them.
        chores: Takes what must be asked.
        say: Takes words for the host.
        refusal: Says why an order must not be sent now, by reason and for a person; NONE = it may.
    """

    def __init__(
        self,
        options: CoreOptions,
        books: Books,
        places: Places,
        chores: Chores,
        say: Callable[[Word], None],
        refusal: Callable[[BrokerOrderReq, int], tuple[OrderReason, str]],
    ) -> None:
        self._options = options
        self._books = books
        self._places = places
        self._chores = chores
        self._say = say
        self._refusal = refusal
        self._chains: dict[str, Chain] = {}  # By the order's name.
        self._by_leg: dict[str, Chain] = {}
        self._due: list[Chain] = []
        self._adopted_ns = 0

    # --- what the host wants ---

    def adopt(self, known: Sequence[KnownOrder], legs: Mapping[str, Tracked], now_ns: int) -> None:
        """Go on with amended orders of a journal, whose legs are adopted already, and here by name."""
        self._adopted_ns = now_ns
        for order in known:
            if not order.n_amendments:
                continue
            names = [leg_id(order.req.client_order_id, leg.revision) for leg in order.legs]
            chain = self._begin(order.req, [legs[name] for name in names])
            chain.wanted, chain.n_asked = list(order.amendments), order.n_amendments
            if not order.has_ended:
                self._due.append(chain)

    def ask(self, name: str, qty_lots: int, limit_price_ticks: int, trigger_price_ticks: int) -> None:
        """Take an amendment of an open order; 0 = unchanged. What comes of it is told when it is known."""
        chain = self._chains.get(name)
        if chain is None:
            order = self._books.tracker.open.get(name)
            if order is None:
                return
            chain = self._begin(order.req, [order])
        elif chain.leg.has_ended and chain.coming is None and chain.held_back is None:
            return
        chain.n_asked += 1
        chain.wanted.append(
            Amendment(
                revision=chain.n_asked,
                qty_lots=qty_lots,
                limit_price_ticks=limit_price_ticks,
                trigger_price_ticks=trigger_price_ticks,
            )
        )
        self._due.append(chain)

    def working(self, name: str) -> list[Tracked]:
        """Return the legs of an order that can still fill, to be canceled; no amendment of it is begun any more."""
        chain = self._chains.get(name)
        if chain is None:
            order = self._books.tracker.open.get(name)
            return [] if order is None else [order]
        chain.is_cancel_wanted, chain.is_canceling = True, False
        legs = [chain.leg] if chain.coming is None else [chain.leg, chain.coming]
        return [each for each in legs if each.client_order_id in self._books.tracker.open]

    def name_of(self, leg_name: str) -> str:
        """Return the name of the order that a leg is of."""
        chain = self._by_leg.get(leg_name)
        return leg_name if chain is None else chain.name

    # --- what the tracker says of legs ---

    def hear(self, word: Word) -> None:
        """Take a word of the tracker, and tell the host what it means for the order."""
        if not isinstance(word, (BrokerFill, BrokerOrderUpdate)):
            self._say(word)
            return
        name = word.client_order_id
        chain = self._by_leg.get(name)
        if chain is None:
            self._say(word)
        elif isinstance(word, BrokerFill):
            self._say(replace(word, client_order_id=chain.name))
            self._fit(chain)
        elif chain.coming is not None and name == chain.coming.client_order_id:
            self._hear_coming(chain, word)
        elif name == chain.leg.client_order_id:
            self._hear_leg(chain, word)

    def _hear_leg(self, chain: Chain, word: BrokerOrderUpdate) -> None:
        self._due.append(chain)
        if word.status in TERMINAL and chain.may_go_on:
            chain.held_back = word
            return
        self._tell(chain, word.status, word.reason, word.ts_venue_ns)

    def _hear_coming(self, chain: Chain, word: BrokerOrderUpdate) -> None:
        coming, req = chain.coming, chain.coming_req
        assert coming is not None
        assert req is not None
        if word.status is _S.UNKNOWN:
            self._tell(chain, _S.UNKNOWN, word.reason, word.ts_venue_ns)
            return
        self._due.append(chain)
        chain.coming = chain.coming_req = None
        if word.status in TERMINAL:
            chain.lost = word.reason
            return
        chain.leg.is_cancel_wanted = True  # It should be canceled; if it is ever seen at work, it is.
        chain.legs.append(coming)
        chain.req, chain.held_back, chain.is_canceling = req, None, False
        del chain.wanted[0]
        self._tell(chain, _S.ACCEPTED, _R.AMENDED, word.ts_venue_ns)

    # A leg of which it is not known whether it was sent has what was left when it was: while that grows less, so has it.
    def _fit(self, chain: Chain) -> None:
        coming, req = chain.coming, chain.coming_req
        if coming is not None and req is not None and coming.status is _S.UNKNOWN and not coming.order_id:
            coming.req = replace(coming.req, qty_lots=max(1, req.qty_lots - chain.filled_lots))

    # --- what goes on ---

    def go_on(self, now_ns: int) -> None:
        """Begin what can begin, and tell what has come of what was begun."""
        while self._due:
            self._step(self._due.pop(0), now_ns)

    def _step(self, chain: Chain, now_ns: int) -> None:
        for old in chain.legs[-2:-1]:
            if old.end is None and not old.has_ended:
                self._chores.ensure(("order", old.client_order_id), now_ns)
        if chain.coming is not None:
            return
        if chain.lost is not _R.NONE:
            self._give_up(chain, now_ns)
        elif chain.held_back is not None:
            self._go_over(chain, chain.held_back, now_ns)
        elif chain.may_begin:
            self._amend(chain, chain.wanted[0], now_ns)

    # The coming leg will not come: the one before stands, or has made room for nothing.
    def _give_up(self, chain: Chain, now_ns: int) -> None:
        why, end = chain.lost, chain.held_back
        chain.lost = _R.NONE
        if end is not None and chain.may_have_gone_on:
            self._pass_over(chain, now_ns)
            return
        chain.held_back = None
        if end is not None:
            is_canceled = end.status is _S.CANCELED
            status, reason = (_S.CANCELED, why) if is_canceled else (end.status, end.reason)
            self._tell(chain, status, reason, now_ns)
        elif chain.leg.end is None:
            self._refuse(chain, now_ns)

    # This one was refused, or never left; the next one may have taken the place of the same leg.
    def _pass_over(self, chain: Chain, now_ns: int) -> None:
        del chain.wanted[0]
        self._due.append(chain)
        self._tell(chain, _S.UNKNOWN, _R.AMEND_REFUSED, now_ns)

    # Room was made, or the order has ended meanwhile by itself.
    def _go_over(self, chain: Chain, end: BrokerOrderUpdate, now_ns: int) -> None:
        chain.held_back, chain.is_canceling = None, False
        wanted = chain.wanted[0]
        req = chain.amended(wanted)
        left = req.qty_lots - chain.filled_lots
        has_room = end.status is _S.CANCELED and left > 0
        if has_room and wanted.is_of_before:
            chain.held_back = end
            self._doubt(chain, req, chain.leg_req(req, left, now_ns), now_ns)
            return
        if end.status is _S.CANCELED and chain.may_have_gone_on:
            chain.held_back = end
            self._pass_over(chain, now_ns)
            return
        if not has_room or chain.is_cancel_wanted or end.reason is not _R.CANCEL_REQUESTED:
            self._tell(chain, end.status, end.reason, end.ts_venue_ns)
            return
        leg_req = chain.leg_req(req, left, now_ns)
        reason = _R.APPROVAL_EXPIRED if now_ns >= chain.until_ns else self._refusal(leg_req, now_ns)[0]
        if reason is not _R.NONE:
            self._tell(chain, _S.CANCELED, reason, now_ns)
            return
        chain.held_back = end
        self._come(chain, req, self._places.place(leg_req, now_ns))

    def _amend(self, chain: Chain, wanted: Amendment, now_ns: int) -> None:
        req = chain.amended(wanted)
        left = req.qty_lots - chain.filled_lots
        leg_req = chain.leg_req(req, max(1, left), now_ns)
        leg = chain.leg
        if wanted.is_of_before and left > 0:
            self._doubt(chain, req, leg_req, now_ns)
        elif (
            wanted.is_of_before
            or not chain.may_become(req)
            or self._refusal(leg_req, now_ns)[0] is not _R.NONE
        ):
            self._refuse(chain, now_ns)
        elif chain.filled_lots or leg.executed_lots:
            self._make_room(chain, now_ns)
        else:
            self._come(
                chain, req, self._places.replace(leg, leg_req, lambda: self._untried(chain, now_ns), now_ns)
            )

    def _come(self, chain: Chain, req: BrokerOrderReq, coming: Tracked) -> None:
        chain.coming, chain.coming_req = coming, req
        self._by_leg[coming.client_order_id] = chain

    # It has begun to fill, or has ended, since it was asked for.
    def _untried(self, chain: Chain, now_ns: int) -> None:
        chain.coming = chain.coming_req = None
        self._due.append(chain)
        if chain.held_back is None and not chain.is_cancel_wanted:
            self._make_room(chain, now_ns)

    def _make_room(self, chain: Chain, now_ns: int) -> None:
        leg = chain.leg
        chain.is_canceling = leg.is_cancel_wanted = True
        chain.until_ns = now_ns + self._options.amend_wait_ns
        self._chores.want(("cancel", leg.client_order_id), now_ns)

    def _doubt(self, chain: Chain, req: BrokerOrderReq, leg_req: BrokerOrderReq, now_ns: int) -> None:
        leg = KnownLeg(qty_lots=leg_req.qty_lots)
        until_ns = self._adopted_ns + self._options.absent_ns
        self._come(chain, req, self._books.tracker.adopt(leg_req, leg, False, until_ns, now_ns))
        # The one before as well: what has filled of it says how many lots this one has.
        for name in (chain.leg.client_order_id, leg_req.client_order_id):
            self._chores.want(("order", name), now_ns)
        self._tell(chain, _S.UNKNOWN, _R.OUTCOME_UNKNOWN, now_ns)

    # --- what an order is, was, and becomes ---

    def _begin(self, req: BrokerOrderReq, legs: list[Tracked]) -> Chain:
        chain = self._chains[req.client_order_id] = Chain(req=req, legs=legs)
        for leg in legs:
            self._by_leg[leg.client_order_id] = chain
        oldest = next(iter(self._chains.values()))
        if len(self._chains) > self._options.ended_kept and oldest.leg.has_ended and oldest.coming is None:
            del self._chains[oldest.name]
            for leg in oldest.legs:
                del self._by_leg[leg.client_order_id]
        return chain

    def _refuse(self, chain: Chain, now_ns: int) -> None:
        del chain.wanted[0]
        self._due.append(chain)
        self._tell(chain, chain.leg.status, _R.AMEND_REFUSED, now_ns)

    def _tell(self, chain: Chain, status: OrderStatus, reason: OrderReason, ts_venue_ns: int) -> None:
        filled = chain.filled_lots
        if status is _S.ACCEPTED and filled:
            status = _S.PARTIALLY_FILLED
        if status in TERMINAL:
            self._books.rule_out(leg_id(chain.name, each.revision) for each in chain.wanted)
            chain.wanted.clear()
        word = update_word(chain.leg, status, reason, ts_venue_ns)
        req = chain.req
        self._say(
            replace(
                word,
                client_order_id=chain.name,
                type=req.type,
                qty_lots=req.qty_lots,
                filled_lots=filled,
                limit_price_ticks=req.limit_price_ticks,
                trigger_price_ticks=req.trigger_price_ticks,
            )
        )
