"""The live picture: what a person sees at 80 columns and more, and that it never outgrows the terminal."""

import io
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from rich.console import Console

from njord.apps.status import DecisionLine, NodeStatus, OrderLine, PositionLine
from njord.cli.outlet import Outlet
from njord.cli.paper_events import json_of, line_of, status_event
from njord.cli.paper_screen import EventScreen, LiveScreen
from njord.cli.paper_view import Facts, money, picture
from njord.core.types import OrderStatus, OrderType, Side, TradingState
from njord.core.units import NS_PER_MINUTE, NS_PER_S
from njord.risk.rules.base import LimitUse
from njord.venues.broker_wire import UnknownOrder

T = 1_641_000_000 * NS_PER_S
D = Decimal
POSITION = PositionLine(0, "BTC/USDT", "sma_cross", D("0.00433"), D(46_190), D("0.0498"))
ORDER = OrderLine(
    "NJ-A",
    "maker",
    "BTC/USDT",
    Side.BUY,
    OrderType.LIMIT,
    D("0.004"),
    D("0.002"),
    "46100",
    OrderStatus.ACCEPTED,
)
LIMITS = (
    LimitUse("open_orders", D(1), D(20), "orders"),
    LimitUse("max_position", D("199.2"), D("200.12"), "USDT", instrument=0),
    LimitUse("order_rate", D(3), D(30), "orders/min", strategy_id="sma_cross"),
)
DECISIONS = tuple(
    DecisionLine(
        T + n * NS_PER_MINUTE,
        "sma_cross",
        "BTC/USDT",
        "buy market",
        *(("refused", "COOL_DOWN") if n == 6 else ("allowed", "")),
    )
    for n in range(8)
)
STATUS = NodeStatus(
    session="20260301T101010-sma_cross-abcdef",
    now_ns=T,
    n_rows=1_234,
    n_rows_total=46_080,
    speed=60.0,
    kill=TradingState.ACTIVE,
    kill_reason="",
    feed_age_s=0.4,
    equity=D("200.1234"),
    cash=D("100.02"),
    day_pnl=D("0.1234"),
    realized_pnl=D("-0.3"),
    prices=(("BTC/USDT", "46201.5"), ("ETH/USDT", "3201")),
    positions=(POSITION,),
    working=(ORDER,),
    limits=LIMITS,
    decisions=DECISIONS,
    n_intents=5,
    n_orders=4,
    n_fills=3,
)
FACTS = Facts(
    asset="USDT", symbols=("BTC/USDT", "ETH/USDT"), unit="bars", stop="cancels orders", left_s=750.0
)


def drawn(width: int, height: int, **changes: Any) -> list[str]:
    file = io.StringIO()
    console = Console(file=file, width=width, height=height, color_system=None)
    console.print(picture(msgspec.structs.replace(STATUS, **changes), FACTS, width, height))
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 160])
def test_everything_that_matters_is_in_the_picture(width: int) -> None:
    lines = drawn(width, 40)
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    for word in (
        "20260301T101010-sma_cross-abcdef",
        "kill switch ACTIVE",
        "2022-01-01 01:20",
        "2.7%, 12 min 30 s left, 60x",
        "1,234 of 46,080 bars, the last 0.4 s ago 5 intents, 4 orders, 3 fills",
        "equity 200.12 today +0.1234 realized -0.3000 cash 100.02",
        "BTC/USDT sma_cross 46201.5 0.00433 46,190 +0.0498",
        "ETH/USDT 3201 flat",
        "BTC/USDT maker buy limit 0.002 0.004 46100 accepted",
        "199.20 200.12 USDT",
        "3 30 orders/min",
        "01:26 sma_cross buy market refused COOL_DOWN",
        "Ctrl-C stops: cancels orders",
    ):
        assert word in text, word


def test_two_columns_stand_side_by_side_where_there_is_room() -> None:
    narrow, wide = drawn(80, 40), drawn(160, 40)
    assert len(wide) < len(narrow)
    assert any("positions" in line and "limits" in line for line in wide)
    assert not any("positions" in line and "limits" in line for line in narrow)


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("height", [24, 30, 50])
def test_the_picture_fits_and_the_latest_decisions_stay(width: int, height: int) -> None:
    lines = drawn(width, height)
    assert len(lines) < height
    assert "01:27 sma_cross" in "\n".join(lines)
    assert lines[-1].startswith("Ctrl-C")


def test_the_tightest_limit_stands_first() -> None:
    lines = drawn(80, 40)
    start = next(index for index, line in enumerate(lines) if line.startswith("limits"))
    names = [line.split()[0] for line in lines[start + 1 : start + 4]]
    assert names == ["max_position", "order_rate", "open_orders"]
    assert "max_position BTC/USDT" in lines[start + 1]


def test_a_tripped_switch_and_an_old_feed_stand_out() -> None:
    lines = drawn(80, 40, kill=TradingState.HALTED, kill_reason="the venue misbehaves", feed_age_s=33.0)
    assert "HALTED" in lines[0]
    assert lines[1].strip() == "not trading: the venue misbehaves"
    assert "the last 33.0 s ago" in lines[3]


def test_what_is_not_known_is_not_invented() -> None:
    lines = drawn(
        80,
        40,
        n_rows_total=None,
        feed_age_s=None,
        equity=None,
        day_pnl=None,
        speed=None,
        positions=(),
        prices=(),
    )
    text = "\n".join(lines)
    assert "equity unknown   today unknown" in text
    assert "live" in text
    assert "ago" not in text
    assert "%" not in text


def test_many_positions_and_orders_are_counted_not_shown() -> None:
    lines = drawn(80, 60, positions=(POSITION,) * 20, working=(ORDER,) * 11)
    assert any("and 13 more" in line for line in lines)
    assert any("and 3 more" in line for line in lines)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "unknown"),
        (D(0), "0.00"),
        (D("1234.567"), "1,234.57"),
        (D("-3.2"), "-3.2000"),
        (D("0.00000012"), "0.00000012"),
    ],
)
def test_small_amounts_of_money_stay_visible(value: Decimal | None, text: str) -> None:
    assert money(value) == text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_live_screen_leaves_its_last_picture_and_the_cursor() -> None:
    file = Terminal()
    outlet = Outlet(file, str)
    screen = LiveScreen(outlet, FACTS, lambda: "; bus: all published")
    screen.last(STATUS)
    screen.last(msgspec.structs.replace(STATUS, n_rows=2_345))
    screen.end()
    screen.end()
    assert outlet.end(5.0)
    text = file.getvalue()
    assert "2,345 of 46,080 bars" in text
    assert "bus: all published" in text
    assert text.rstrip().endswith("\x1b[?25h")


def test_the_event_screen_writes_a_line_for_how_it_stands() -> None:
    for written in (line_of, json_of):
        file = io.StringIO()
        outlet = Outlet(file, str)
        EventScreen(outlet, [], written).draw(STATUS)
        assert outlet.end(5.0)
        assert file.getvalue() == written(status_event(STATUS, "")) + "\n"
    assert line_of(status_event(STATUS, "")) == (
        "2022-01-01T01:20    status      kill switch active; equity 200.1234, today 0.1234; orders 4, fills 3, at work "
        "1; row 1,234 of 46,080, the last 0.4 s ago"
    )


UNKNOWN = UnknownOrder(
    client_order_id="NJ-B",
    symbol="BTC/USDT",
    since_ns=T,
    asks_ns=T + 12 * NS_PER_S,
    absent_ns=T + 60 * NS_PER_S,
    evidence=("POST timed out", "GET order: no such order"),
)


def test_an_order_whose_outcome_is_unknown_shows_its_countdowns_and_what_was_heard_last() -> None:
    changes = {"unknown": (UNKNOWN,), "wall_ns": T + 10 * NS_PER_S}
    status = msgspec.structs.replace(STATUS, **changes)
    words = "NJ-B: unknown 10 s, asked in 2 s, may arrive for 50 s; GET order: no such order"
    assert words in line_of(status_event(status, ""))
    assert words in "\n".join(drawn(140, 40, **changes))
