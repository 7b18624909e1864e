"""Whatever is lost on the way, and whenever the host dies, an amended order ends in our books as it does at the venue."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from njord.core.contracts import BrokerReject
from njord.core.orders import TERMINAL
from njord.core.units import NS_PER_S
from njord.exchange.wire import Fate, Request
from njord.venues.broker_wire import ExternalFill
from tests.unit.exchange.exchange_case import trade
from tests.unit.venues.binance_case import CoreCase

_PAUSES_S = (0, 0.005, 0.01, 0.02, 0.05, 0.5, 2)
_LOTS, _PRICES = (0, 0, 5, 12, 15, 3), (0, 95, 94, 93, 92)


class Scene:
    """Up to three orders, amended, canceled and traded at random, at a venue that loses answers, by a host that dies.

    What a dying host was told last may be missing in its journal.
    """

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        times = sorted(random.uniform(3, 20) for _ in range(random.randrange(6)))
        rows = [
            trade(at_s, random.choice((95, 94, 93, 92)), random.randrange(1, 8), trade_id=number)
            for number, at_s in enumerate(times, 5)
        ]
        self.case = CoreCase(*rows, trade(400, 80, 2000, trade_id=99))
        self.case.to(2)
        if random.random() < 0.5:
            self.case.trouble.on_fate = self._fate
        self.now_s = 2.0
        self.n_restarts = random.randrange(3)

    def _fate(self, request: Request) -> Fate | None:
        random = self.random
        if request.method != "GET" and random.random() < 0.25:
            return Fate(loses_request=True) if random.random() < 0.5 else Fate(loses_response=True)
        is_slow = random.random() < 0.2
        return Fate(response_delay_ns=round(random.uniform(0, 3) * NS_PER_S)) if is_slow else None

    def act(self) -> None:
        """Do something, a moment later."""
        case, random = self.case, self.random
        self.now_s += random.choice(_PAUSES_S) * 2 * random.random()
        case.to(self.now_s)
        what = random.choice(("place", "amend", "amend", "amend", "cancel", "restart"))
        if what == "place" and len(case.reqs) < 3:
            name = f"NJ-{len(case.reqs) + 1}"
            if isinstance(case.place(name, price=random.choice((95, 94, 93))), BrokerReject):
                del case.reqs[name]
        elif what == "restart" and self.n_restarts:
            self.n_restarts -= 1
            del case.words[random.randrange(max(0, len(case.words) - 8), len(case.words) + 1) :]
            case.restart()
        elif what in ("amend", "cancel") and case.reqs:
            name = random.choice(list(case.reqs))
            lots, price = random.choice(_LOTS), random.choice(_PRICES)
            if what == "amend" and not TERMINAL.intersection(case.statuses(name)):
                case.amend(name, lots=lots, price=price)
            elif what == "cancel" and random.random() < 0.3:
                case.cancel(name)

    def check(self) -> None:
        """Check that books and truth agree, and that nothing came to more than was asked for."""
        case = self.case
        case.check()
        assert not any(isinstance(word, ExternalFill) for word in case.words)
        for name in case.reqs:
            executed = sum(float(leg["executed_qty"]) for leg in case.legs(name))
            lots = sum(fill.qty_lots for fill in case.fills(name))
            assert round(executed * 10) == lots
            assert lots <= max([10, *(each.qty_lots for each in case.amends.get(name, []))])


@given(st.integers(0, 2**32))
def test_amended_orders_end_as_the_venue_has_them_whatever_is_lost(seed: int) -> None:
    scene = Scene(seed)
    for _ in range(scene.random.randrange(3, 14)):
        scene.act()
    scene.case.to(scene.now_s + 1)
    scene.case.trouble.on_fate = lambda request: None
    scene.case.to(390)
    assert scene.case.core.is_ready, scene.case.health.reason
    scene.check()
    scene.case.to(420)
    scene.check()
