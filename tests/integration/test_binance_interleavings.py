"""Whatever is lost, late, doubled, out of order or cut off by a restart: words are legal, trades told once, ends true."""

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from njord.core.types import BUY, MARKET, SELL, OrderType, TradingState
from njord.core.units import NS_PER_MS, NS_PER_S
from njord.exchange.wire import Fate, Frame, Request, Response
from tests.unit.exchange.exchange_case import change, trade
from tests.unit.venues.binance_case import CoreCase

pytestmark = pytest.mark.integration

_TROUBLED_S = 40
_SETTLED_S = 260


class _Chaos:
    """Everything goes wrong at random, until the trouble is over."""

    def __init__(self, case: CoreCase, random: Random) -> None:
        self._case, self._random = case, random
        self._kept: list[Frame] = []
        self.share = random.choice((0.05, 0.2, 0.5))
        trouble = case.trouble
        trouble.on_fate, trouble.before, trouble.after = self.fate, self.before, self.after
        trouble.on_frames = self.frames

    def strikes(self) -> bool:
        return self._random.random() < self.share

    def fate(self, request: Request) -> Fate | None:
        random = self._random
        if not self.strikes():
            return None
        return random.choice(
            (
                Fate(loses_request=True),
                Fate(loses_response=True),
                Fate(cuts_at=random.randrange(40)),
                Fate(request_delay_ns=random.randrange(8 * NS_PER_S)),
                Fate(response_delay_ns=random.randrange(8 * NS_PER_S)),
                Fate(request_delay_ns=random.randrange(300 * NS_PER_MS)),
            )
        )

    def before(self, request: Request) -> Response | None:
        if not self.strikes() or self._random.random() < 0.6:
            return None
        body = self._random.choice(
            (
                b"<html/>",
                b'{"code":-1007,"msg":"Timeout waiting for response from backend server."}',
                b'{"code":-2011,"msg":"Unknown order sent."}' if request.method == "DELETE" else b"{}",
                b'{"code":-1003,"msg":"Too much request weight used."}',
            )
        )
        status = 429 if b"-1003" in body else 400 if b"-2011" in body else 503
        return Response(status=status, body=body, headers={"retry-after": "1"})

    def after(self, request: Request, response: Response) -> Response:
        if not self.strikes() or self._random.random() < 0.6:
            return response
        empty_list = request.path == "/api/v3/openOrders"
        return replace(response, body=b"[]" if empty_list else response.body[: len(response.body) // 2])

    def frames(self, frames: list[Frame]) -> list[Frame]:
        out: list[Frame] = []
        for frame in frames:
            if frame.text is None or '"e":' not in frame.text or not self.strikes():
                out.append(frame)
                continue
            way = self._random.randrange(3)
            if way == 0:
                out += [frame, frame]
            elif way == 1:
                self._kept.append(frame)
        if self._kept and self._random.random() < 0.5:
            self._random.shuffle(self._kept)
            out, self._kept = out + self._kept, []
        return out

    def stop(self) -> None:
        trouble = self._case.trouble
        trouble.on_fate = lambda request: None
        trouble.before = lambda request: None
        trouble.after = lambda request, response: response
        trouble.on_frames = lambda frames: frames


def _market(random: Random) -> list[list[tuple[int, int, int, int, int, int, int]]]:
    rows = []
    for number in range(120):
        at_s = 1 + number * 0.5
        price = random.randrange(92, 109)
        rows.append(
            trade(at_s, price, random.randrange(1, 9), buys=random.random() < 0.5, trade_id=10 + number)
        )
        if number % 10 == 0:
            rows.append(
                change(at_s + 0.1, [(99, random.randrange(20, 90))], [(101, random.randrange(20, 90))])
            )
    return rows


def _act(case: CoreCase, random: Random, number: int) -> None:
    way = random.random()
    if way < 0.5:
        type_ = random.choice((MARKET, OrderType.LIMIT, OrderType.LIMIT, OrderType.LIMIT))
        side = random.choice((BUY, SELL))
        price = random.randrange(93, 101) if side is BUY else random.randrange(100, 108)
        case.place(f"NJ-{number}", lots=random.randrange(3, 15), price=price, side=side, type_=type_)
    elif way < 0.85 and case.reqs:
        case.cancel(random.choice(list(case.reqs)))
    elif way < 0.9:
        case.case.exchange.operator.drop_streams()
    elif way < 0.94:
        case.case.exchange.operator.place_by_hand("alice", "BTCUSDT", BUY, MARKET, Decimal("0.5"))
    elif way < 0.97:
        case.case.exchange.operator.set_clock_offset_ns(random.randrange(-20, 20) * NS_PER_S)
    else:
        case.restart()


def run(seed: int) -> CoreCase:
    """Trade through a troubled time, then let the world settle."""
    random = Random(seed)
    case = CoreCase(*_market(random))
    case.to(3)
    # With a trade in the journal a restart knows where to read on; without, what the owner did is in the balances.
    case.place("NJ-first", type_=MARKET)
    case.to(3.5)
    chaos = _Chaos(case, random)
    for number in range(_TROUBLED_S):
        case.to(4 + number + random.random())
        _act(case, random, number)
    chaos.stop()
    case.to(_SETTLED_S)
    return case


def check(case: CoreCase) -> None:
    """Check that everything is known again, and true.

    A clock that was set back while no core was there can leave an account that looks older than its newest trade. That
    halts by name, and ends when the account changes.
    """
    if "it is older" in case.health.reason:
        case.case.exchange.operator.deposit("alice", "USDT", Decimal(1))
        case.to(_SETTLED_S + 60)
    assert case.health.state is TradingState.ACTIVE, case.health
    assert case.core.unknown_orders() == []
    case.check()
    posted = [each["newClientOrderId"] for each in case.sent("POST", "order")]
    orders = case.case.exchange.truth()["accounts"]["alice"]["orders"]
    effective = [each["client_order_id"] for each in orders if each["client_order_id"] in case.reqs]
    assert len(effective) == len(set(effective))
    assert set(posted) <= set(case.reqs)


@given(st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)  # The seeds of the live campaign are hundreds.
def test_words_come_to_the_venues_truth_through_any_trouble(seed: int) -> None:
    check(run(seed))


def test_one_seed_is_one_run() -> None:
    assert run(11).words == run(11).words
