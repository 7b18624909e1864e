"""What is said when a session starts and ends: a few plain lines, or the same as one JSON object each."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from njord.apps.session import OpenSession
from njord.apps.status import NodeStatus
from njord.apps.stop import Ended, LeftOrder, LeftPosition, StopPolicy
from njord.apps.tap_state import TapState
from njord.backtest.simulation import Prepared
from njord.cli.paper_events import Event, amount, order_part, position_part
from njord.cli.paper_view import money
from njord.core.config import Config
from njord.core.errors import NjordError
from njord.core.units import EXACT, ZERO, plain

STOPS = {
    StopPolicy.CANCEL: "cancels working orders, keeps positions",
    StopPolicy.LEAVE: "leaves orders and positions as they are",
    StopPolicy.FLATTEN: "cancels working orders, closes positions",
}
_LIMITS = (
    ("max_order_notional", "cap_notional", "an order at most {} {asset}"),
    ("max_position", "cap_notional", "a position at most {} {asset}"),
    ("daily_loss", "cap_notional", "a day's loss at most {} {asset}"),
    ("order_rate", "per_minute", "{} orders a minute"),
    ("open_orders", "cap", "{} at work"),
)


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What is known when a session starts; `pace` is its speed in words, `account` whose orders are sent where."""

    session: OpenSession
    policy: StopPolicy
    pace: str
    switch: Path
    redis_key: str | None
    account: str = ""


def start_event(start: Start) -> Event:
    """Return the start as an event."""
    session, spec = start.session, start.session.prepared.spec
    resumed = session.resumed
    return {
        "event": "started",
        "session": session.name,
        "folder": str(session.folder),
        "resumed": None
        if resumed is None
        else {"n_messages": resumed.n_messages, "n_rows": resumed.n_rows, "took_s": round(resumed.took_s, 3)},
        "run_id": spec.run_id,
        "strategies": [strategy.strategy_id for strategy in spec.strategies],
        "symbols": [instrument.symbol for instrument in spec.instruments],
        "capital": plain(spec.capital),
        "asset": spec.report_asset,
        "risk_profile": spec.risk_profile,
        "stop_policy": start.policy,
        "pace": start.pace,
        "account": start.account,
        "kill_switch": [str(start.switch)] + ([f"redis {start.redis_key}"] if start.redis_key else []),
        "warnings": list(warnings(session.prepared)),
    }


def start_lines(start: Start) -> Iterator[str]:
    """Yield the start as lines."""
    session, spec = start.session, start.session.prepared.spec
    resumed = session.resumed
    state = "new"
    if resumed is not None:
        state = (
            f"goes on after {resumed.n_rows:,} rows; {resumed.n_messages:,} messages run again in "
            f"{resumed.took_s:.2g} s, all the same"
        )
    yield f"session  {session.name}: {state}"
    names = ", ".join(strategy.strategy_id for strategy in spec.strategies)
    symbols = ", ".join(instrument.symbol for instrument in spec.instruments)
    yield f"trades   {names} on {symbols} with {money(spec.capital)} {spec.report_asset}; {start.pace}"
    yield f"limits   profile {spec.risk_profile}: {', '.join(_limits(spec.risk_rules, spec.report_asset))}"
    if start.account:
        yield f"orders   {start.account}"
    redis = f", and Redis key {start.redis_key}" if start.redis_key else ""
    yield f'switch   file {start.switch}{redis}; to trip it: njord kill trip --reason "…"'
    yield f"journal  {session.folder / 'journal'}"
    yield f"stop     Ctrl-C {STOPS[start.policy]}; the same command goes on later"
    for warning in warnings(session.prepared):
        yield f"look     {warning}"


def _limits(rules: Mapping[str, Mapping[str, Any]], asset: str) -> list[str]:
    found = []
    for rule, key, words in _LIMITS:
        value = rules.get(rule, {}).get(key, 0)
        if value:
            found.append(words.format(f"{Decimal(value):,f}", asset=asset))
    return [*found, "…"]


def warnings(prepared: Prepared) -> Iterator[str]:
    """Yield what would keep strategies from trading: targets that are larger than the largest order."""
    spec, config = prepared.spec, prepared.config
    cap = Decimal(str(spec.risk_rules.get("max_order_notional", {}).get("cap_notional", 0)))
    if not cap or spec.fixed_qty is not None:
        return
    for strategy in prepared.strategies:
        weight = getattr(strategy.params, "weight", 1.0)
        if not isinstance(weight, int | float):
            continue
        worth = EXACT.multiply(EXACT.multiply(spec.capital, spec.account.leverage), Decimal(str(abs(weight))))
        if worth > cap:
            yield (
                f"{strategy.strategy_id}: a target of {weight:.0%} is worth {amount(plain(worth))} {spec.report_asset}, "
                f"orders above {amount(plain(cap))} are refused (max_order_notional); next: "
                f"--capital {plain(_fitting(cap, config, weight))}, or --risk-profile research"
            )


# The largest round capital of which the target fits.
def _fitting(cap: Decimal, config: Config, weight: float) -> Decimal:
    fits = cap / (config.backtest.leverage * Decimal(str(abs(weight))))
    step = Decimal(10) ** (fits.adjusted() - 1)
    return (fits // step) * step


def bus_words(state: TapState) -> str:
    """Return how far the session is published, to be put behind other words."""
    if not state.is_connected:
        return f"; bus: {state.error or 'not connected yet'}"
    return f"; bus: {state.lag:,} messages behind" if state.lag else "; bus: all published"


def end_event(ended: Ended, status: NodeStatus, order_list_hash: str) -> Event:
    """Return the end as an event."""
    return {
        "event": "ended",
        "session": status.session,
        "reason": ended.reason,
        "finished": ended.finished,
        "is_broken": False,
        "equity": None if status.equity is None else plain(status.equity),
        "cash": plain(status.cash),
        "contributed": plain(status.contributed),
        "realized_pnl": plain(status.realized_pnl),
        "n_rows": status.n_rows,
        "n_intents": status.n_intents,
        "n_orders": status.n_orders,
        "n_fills": status.n_fills,
        "order_list_hash": order_list_hash,
        "left": [order_part(left.order) | {"why": left.why} for left in ended.left],
        "positions": [position_part(left.position) | {"why": left.why} for left in ended.positions],
    }


def broken_event(session: str, error: NjordError) -> Event:
    """Return the end of a session that an error ended, as an event: nothing that it holds can be trusted."""
    return {
        "event": "ended",
        "session": session,
        "reason": f"{type(error).__name__}: {error}",
        "finished": False,
        "is_broken": True,
    }


def end_lines(
    ended: Ended, status: NodeStatus, prepared: Prepared, order_list_hash: str, root: Path = Path()
) -> Iterator[str]:
    """Yield the end as lines, and what to type next in a folder whose njord runs in `root`."""
    over = "the session is over" if ended.finished else "the same command goes on"
    yield f"ended    {ended.reason}; {over}"
    yield from _left(ended)
    capital, asset = prepared.spec.capital, prepared.spec.report_asset
    gain = ""
    if status.equity is not None:
        put_in = EXACT.add(capital, status.contributed)
        difference = EXACT.subtract(status.equity, put_in)
        brought = f", {money(status.contributed)} brought since" if status.contributed else ""
        gain = f", {'+' if difference > ZERO else ''}{money(difference)} since the start with {money(capital)}{brought}"
    yield f"result   equity {money(status.equity)} {asset}{gain}; cash {money(status.cash)}"
    yield f"         {status.n_fills:,} fills of {status.n_orders:,} orders of {status.n_intents:,} intents"
    yield f"hash     order list {order_list_hash}"
    where = "" if root == Path() else f" --root {root}"
    if status.n_orders:
        yield f"next     njord why last{where}     # the story of the last order, on one page"
    yield f"next     njord replay last{where}  # every message again, byte for byte"
    yield f"next     njord parity last{where}  # the backtest of what the session saw, beside it"


def _left(ended: Ended) -> Iterator[str]:
    if not ended.left:
        yield "orders   none works any more"
    for left in ended.left:
        yield f"order    {_order_words(left)}"
    if not ended.positions:
        yield "holds    nothing"
    for position in ended.positions:
        yield f"holds    {_position_words(position)}"


def _order_words(left: LeftOrder) -> str:
    order = left.order
    price = f" at {order.price}" if order.price else ""
    part = (
        f"{plain(order.remaining)} of {plain(order.qty)}"
        if order.remaining != order.qty
        else plain(order.qty)
    )
    return f"{order.client_order_id} {order.side} {part} {order.symbol} {order.type}{price}: {left.why}"


def _position_words(left: LeftPosition) -> str:
    position = left.position
    return f"{plain(position.qty)} {position.symbol}: {left.why}"
