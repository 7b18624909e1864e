"""`njord live`: a session at a real venue from flags to its exit code. Nothing leaves before every lock is open."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from decimal import Decimal
from pathlib import Path

import msgspec

from njord.adapters.clock import WallClock
from njord.adapters.config_loader import LoadedConfig, load_config
from njord.adapters.kill_switch_watch import Reading
from njord.adapters.logging import register_secrets, setup_logging
from njord.adapters.secrets import Keys, load_keys
from njord.apps.live_account import account_uid
from njord.apps.live_check import measured, read_switch
from njord.apps.live_feed import LiveRequest, LiveVenue
from njord.apps.live_locks import Lock, LockState, VenueSeen, live_locks
from njord.apps.live_look import look_at_venue
from njord.apps.live_node import LiveNode
from njord.apps.live_session import LiveSession
from njord.apps.live_venue import Admits, LiveBroker, live_broker
from njord.apps.live_withdrawal import Withdrawal, has_live_session
from njord.apps.session_files import LIVE, check_name, opening_capital
from njord.apps.stop import StopPolicy
from njord.backtest.simulation import Prepared
from njord.cli import EXIT_OK
from njord.cli.node_run import (
    WRITTEN_WITHIN_S,
    Going,
    Stage,
    Stopper,
    kill_switch_watch,
    on_signals,
    open_outlet,
    trade,
)
from njord.cli.paper_source import TIMEFRAME
from njord.cli.progress import Progress
from njord.cli.request import Flags, request_of
from njord.core.config import Config
from njord.core.config_shapes import live_config
from njord.core.contracts import BrokerOrderReq
from njord.core.errors import ConfigError
from njord.core.instrument import Instrument
from njord.core.types import TradingState
from njord.core.units import plain
from njord.execution.gateway import Gateway
from njord.storage.interval import parse_timeframe

_ANY_CAPITAL = Decimal(1)  # To find the session that goes on, which knows its own.


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the session, as it was typed."""

    account: str = ""
    session: str | None = None
    fresh: bool = False
    json_out: bool = False


def run(strategies: tuple[str, ...], flags: Flags, wanted: Wanted, root: Path) -> int:
    """Run the verb and return its exit code."""
    if wanted.session is not None:
        check_name(wanted.session)
    loaded = load_config(root, flags.settings)
    config, stopper = loaded.config, Stopper()
    setup_logging(None, config.logging.level)
    register_secrets(loaded.secrets)
    # What costs nothing is looked at first: no key is read and no venue is asked for a session that can not begin.
    switch = read_switch(config, root)
    locks = live_locks(measured(config, os.environ, "", None, "", switch, None))
    _refuse_locked(locks, _FREE, withdraws=_may_withdraw(config, root, switch))
    named = wanted.account or _typed(config)
    keys = load_keys(root, config.exchange.venue, config.live.account, config.live.keys_file)
    outlet = open_outlet(sys.stdout, wanted.json_out, stopper.stop)
    stage = Stage(config=config, root=root, json_out=wanted.json_out, outlet=outlet, stopper=stopper)
    try:
        with (
            redirect_stdout(sys.stderr),
            _opened(strategies, flags, wanted, loaded, named, keys, stage) as (going, withdrawn),
        ):
            setup_logging(root / config.logging.dir, config.logging.level)
            with on_signals(stopper.stop):
                code = trade(going, stage, kill_switch_watch(stage))
                outlet.end(WRITTEN_WITHIN_S)
            if withdrawn is not None and code == EXIT_OK:
                raise _locked(withdrawn.lock, withdrawn.outcome)
            return code
    finally:
        outlet.end(WRITTEN_WITHIN_S)


_FREE = ("environment", "consent", "kill_switch", "first_orders_cap")
_ALL = (*_FREE, "account", "keys", "clock", "reconciliation")


# A dry run sends nothing: the stage and the second consent are for orders that leave. Taking orders back needs all but
# the kill switch.
def _refuse_locked(locks: list[Lock], names: tuple[str, ...], *, withdraws: bool) -> None:
    by_name = {lock.name: lock for lock in locks}
    is_dry = by_name["dry_run"].state is not LockState.OPEN
    for name in names:
        lock = by_name[name]
        is_spared = (is_dry and name in ("environment", "consent")) or (withdraws and name == "kill_switch")
        if lock.state is not LockState.OPEN and not is_spared:
            raise _locked(lock)


def _locked(lock: Lock, outcome: str = "") -> ConfigError:
    done = f"; {outcome}" if outcome else ""
    return ConfigError(
        f"live trading is locked: {lock.name} is {lock.state}: {lock.seen}{done}",
        f"{lock.next}; all locks: njord live --check",
    )


# Of a session whose node is dead; a dry run has no orders at the venue.
def _may_withdraw(config: Config, root: Path, switch: Reading) -> bool:
    is_tripped = switch.state is not TradingState.ACTIVE
    return is_tripped and not config.live.dry_run and has_live_session(root / config.paths.state)


class _Withdrawn(msgspec.Struct, frozen=True):
    # Why a session only takes its orders back, and what has come of it.
    session: LiveSession
    withdrawal: Withdrawal
    lock: Lock

    @property
    def outcome(self) -> str:
        n_orders, n_left = self.withdrawal.n_orders, self.withdrawal.n_left
        name = self.session.name
        if n_left:
            return f"{n_left} of the {n_orders} orders of session {name} may still work, the same command goes on"
        if self.withdrawal.has_work:
            return f"not all positions of session {name} were closed, the same command goes on"
        spared = self.withdrawal.n_spared
        but = f" but {spared} that only reduce" if spared else ""
        return f"of the {n_orders} orders of session {name} none works any more{but}"


def _typed(config: Config) -> str:
    if not config.live.account:
        raise ConfigError("no account is configured", "set live.account in config/base.yaml")
    if not sys.stdin.isatty():
        raise ConfigError(
            f"the account {config.live.account} was not named", f"pass --account {config.live.account}"
        )
    print(
        f"Real orders for the account {config.live.account}. Type its name: ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    return sys.stdin.readline().strip()


@contextmanager
def _opened(
    strategies: tuple[str, ...],
    flags: Flags,
    wanted: Wanted,
    loaded: LoadedConfig,
    named: str,
    keys: Keys,
    stage: Stage,
) -> Iterator[tuple[Going, _Withdrawn | None]]:
    config, root, clock = loaded.config, stage.root, WallClock()
    state = root / config.paths.state
    uid = account_uid(state, config)
    followed = LiveRequest(
        venue=config.exchange.venue,
        symbols=config.exchange.symbols if flags.symbol is None else (flags.symbol,),
        interval_ns=parse_timeframe(flags.timeframe or TIMEFRAME),
        endpoint=config.live.endpoint,
    )

    def prepared(capital: Decimal) -> Prepared:
        shaped = live_config(config, capital)
        return venue.prepare(request_of(strategies, (), flags, shaped, Path()), shaped)

    with LiveVenue(followed, stage.notice) as venue:
        instruments = venue.instruments
        begun = None if wanted.fresh else opening_capital(state, prepared(_ANY_CAPITAL), wanted.session, LIVE)
        seen = look_at_venue(
            live_broker(config, instruments, keys, clock, account_uid=uid, reads_only=True),
            clock,
            reads_balances=begun is None,
            on_wait=lambda why: stage.put({"event": "waiting", "message": why}, [f"waiting  {why}"]),
        )
        switch = read_switch(config, root)
        withdraws = begun is not None and _may_withdraw(config, root, switch)
        locks = live_locks(measured(config, os.environ, named, keys, "", switch, seen))
        _refuse_locked(locks, _ALL, withdraws=withdraws)
        broker = live_broker(
            config,
            instruments,
            keys,
            clock,
            _echo(config, instruments),
            account_uid=seen.account_uid,
            reads_only=config.live.dry_run,
        )
        try:
            run = prepared(_held(instruments, seen) if begun is None else begun)
            lock = _kill_switch(locks) if withdraws else None
            session = _session(run, broker, clock, state, seen.account_uid, wanted, lock)
            withdrawn = None if lock is None else _withdrawn(session, switch, lock, config, stage)
            yield _going(session, broker, clock, venue, flags, config, withdrawn), withdrawn
        finally:
            broker.stop()


def _going(
    session: LiveSession,
    broker: LiveBroker,
    clock: WallClock,
    venue: LiveVenue,
    flags: Flags,
    config: Config,
    withdrawn: _Withdrawn | None,
) -> Going:
    withdrawal = None if withdrawn is None else withdrawn.withdrawal
    return Going(
        session=session,
        pace=f"live from {venue.request.venue}{_at(config)}, bars of {flags.timeframe or TIMEFRAME}",
        speed=None,
        policy=StopPolicy(config.live.stop_policy) if withdrawal is None else withdrawal.policy,
        flatten_within_s=float(config.live.flatten_within_s),
        account=_orders(config),
        node=lambda watch, options, hear, poll: LiveNode(
            session, broker, clock, venue.feed(session), watch, options, hear, poll, withdrawal
        ),
    )


def _kill_switch(locks: list[Lock]) -> Lock:
    return next(each for each in locks if each.name == "kill_switch")


# A session that has nothing at the venue is not taken up for it.
def _withdrawn(session: LiveSession, switch: Reading, lock: Lock, config: Config, stage: Stage) -> _Withdrawn:
    withdrawal = Withdrawal(session.host, session.system, switch, float(config.live.flatten_within_s))
    if not withdrawal.has_work:
        session.abandon()
        raise _locked(lock, f"session {session.name} has no order to cancel")
    does = "canceled and its positions closed" if switch.flattens else "canceled"
    said = f"{withdrawal.reason}: the session's orders are {does}, then it ends; nothing else is sent"
    stage.put({"event": "withdrawal", "message": said, "n_orders": withdrawal.n_orders}, [f"withdraw {said}"])
    return _Withdrawn(session, withdrawal, lock)


# What is held of the base is adopted with the first reconciliation: it is no profit, and was not lent to the strategy.
def _held(instruments: tuple[Instrument, ...], seen: VenueSeen) -> Decimal:
    quote = instruments[0].quote
    for balance in seen.balances:
        if balance.asset == quote and balance.free + balance.locked > 0:
            return balance.free + balance.locked
    raise ConfigError(
        f"the account holds no {quote}, there is nothing to trade with", f"deposit {quote} first"
    )


# With a lock that is closed nothing but its orders is wanted: what keeps them at the venue is said beside it.
def _session(
    prepared: Prepared,
    broker: LiveBroker,
    clock: WallClock,
    state: Path,
    uid: int,
    wanted: Wanted,
    lock: Lock | None,
) -> LiveSession:
    gateway = Gateway(broker, prepared.market.instruments, prepared.spec.account_id)
    try:
        with Progress("messages run again") as progress:
            return LiveSession.open_live(
                prepared,
                state,
                gateway,
                clock,
                account_uid=uid,
                name=wanted.session,
                fresh=wanted.fresh,
                progress=progress.show,
            )
    except ConfigError as error:
        if lock is None:
            raise
        raise _locked(lock, f"no order was canceled, {error.problem}") from None


def _at(config: Config) -> str:
    return f" at {config.live.endpoint}" if config.live.endpoint else ""


def _orders(config: Config) -> str:
    cap = plain(config.risk.live_micro_cap_usd)
    if config.live.dry_run:
        return f"dry run: shown and not sent to {config.exchange.venue}{_at(config)}"
    return f"are sent to {config.exchange.venue}{_at(config)} for the account {config.live.account}; none above {cap}"


# The last look before an order leaves: a dry run says what would have been sent.
def _echo(config: Config, instruments: tuple[Instrument, ...]) -> Admits:
    if not config.live.dry_run:
        return lambda req: ""
    by_symbol = {instrument.symbol: instrument for instrument in instruments}

    def echo(req: BrokerOrderReq) -> str:
        instrument = by_symbol[req.symbol]
        price = f" at {plain(instrument.price(req.limit_price_ticks))}" if req.limit_price_ticks else ""
        return f"dry run: {req.side} {plain(instrument.qty(req.qty_lots))} {req.symbol} {req.type}{price}"

    return echo
