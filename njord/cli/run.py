"""`njord run md|strat|risk|paper`: the seed's single services, from flags to their last line; four make one session."""

import asyncio
import os
import sys
from collections.abc import Iterable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Final, TextIO

import msgspec

from njord.adapters.config_loader import LoadedConfig, load_config
from njord.adapters.kill_switch_watch import KillSwitchWatch
from njord.adapters.logging import register_secrets, setup_logging
from njord.adapters.seal import SealKey, load_seal_key
from njord.apps.lockstep import Stopped, Waiting
from njord.apps.node import NodeOptions, PaperNode
from njord.apps.paced_feed import parse_speed
from njord.apps.paper_trader import PaperTrader
from njord.apps.services_host import Wish, Work
from njord.apps.services_words import MD, PAPER, RISK, STRAT
from njord.apps.session import Session
from njord.apps.status import NodeStatus
from njord.apps.stop import Ended, StopPolicy, left_orders, left_positions
from njord.apps.tap_process import TapProcess
from njord.backtest.session import prepare
from njord.backtest.simulation import Prepared
from njord.cli import EXIT_OK
from njord.cli.flags import known_instruments
from njord.cli.node_run import (
    PUBLISHED_WITHIN_S,
    WRITTEN_WITHIN_S,
    Stopper,
    exit_code,
    on_signals,
    open_outlet,
    shown,
)
from njord.cli.paper_events import json_of, line_of
from njord.cli.paper_screen import EventScreen
from njord.cli.paper_source import warm_up_rows
from njord.cli.paper_words import Start, bus_words, end_event, end_lines, start_event, start_lines
from njord.cli.progress import Progress
from njord.cli.request import Flags, request_of
from njord.core.bus import BusUnavailable
from njord.core.config import Config
from njord.core.config_shapes import paper_config
from njord.core.errors import ConfigError
from njord.core.types import TradingState

SERVICES: Final = (MD, STRAT, RISK, PAPER)
_STOP_WITHIN_S = 3.0  # Of the node; everything together is to end within 5 s.


def run(
    service: str,
    strategies: tuple[str, ...],
    data: tuple[Path, ...],
    flags: Flags,
    root: Path,
    json_out: bool,
    replay: str = "max",
) -> int:
    """Run one service until its session is over, or somebody stops it; return its exit code.

    Args:
        service: md, strat, risk or paper.
        strategies: The same for all four, as everything that follows.
        data: What is replayed.
        flags: Of the run.
        root: The folder that njord runs in.
        json_out: One JSON object a line.
        replay: How fast the recording comes; the market data service alone heeds it.

    Raises:
        ConfigError: The service is none, Redis is not configured, or live trading is.
    """
    if service not in SERVICES:
        raise ConfigError(f"there is no service {service!r}", f"one of {', '.join(SERVICES)}")
    speed = parse_speed(replay)
    loaded = load_config(root, flags.settings)
    config, shaped = loaded.config, paper_config(loaded.config)
    url = _redis_url(config)
    out = sys.stdout
    with redirect_stdout(sys.stderr):  # What strategies print is no output of ours.
        request = request_of(strategies, data, flags, shaped, root)
        prepared = prepare(request, shaped, known_instruments(root, config.exchange.venue))
        with prepared.market:
            setup_logging(root / config.logging.dir, config.logging.level)
            register_secrets(loaded.secrets)
            key = load_seal_key(root / config.paths.state, os.environ) if service in (RISK, PAPER) else None
            if service == PAPER and key is not None:
                return _Paper(loaded, prepared, url, key, root, json_out, out).run()
            return _other(service, prepared, url, key, speed, json_out, out)


def _redis_url(config: Config) -> str:
    if config.app.env == "live":
        raise ConfigError(
            "app.env is live, and services apart do not trade live: the node is the product",
            "set app.env to paper",
        )
    if config.redis.url is None:
        raise ConfigError(
            "services talk over Redis, and redis.url is not set",
            "for example NJORD_REDIS__URL=redis://127.0.0.1:6379/0; without Redis: njord paper",
        )
    return config.redis.url.get_secret_value()


# --- market data, strategies, risk ---


def _other(
    service: str,
    prepared: Prepared,
    url: str,
    key: SealKey | None,
    speed: float | None,
    json_out: bool,
    out: TextIO,
) -> int:
    wish = Wish()

    def say(text: str) -> None:
        line = msgspec.json.encode({"event": "service", "service": service, "text": text}).decode()
        print(line if json_out else f"{service:<8} {text}", file=out, flush=True)

    def stop(reason: str) -> None:
        wish.reason = wish.reason or reason

    work = Work(service=service, prepared=prepared, url=url, say=say, wish=wish)
    with on_signals(stop):
        say(f"{', '.join(each.strategy_id for each in prepared.strategies)}; run {prepared.spec.run_id}")
        say(f"ended: {_answered(work, key, speed)}")
    return EXIT_OK


def _answered(work: Work, key: SealKey | None, speed: float | None) -> str:
    if work.service == MD:
        from njord.apps.md_ingest import run_market_data

        return run_market_data(work, speed, warm_up_rows(work.prepared))
    if key is not None:
        from njord.apps.risk_engine import run_risk

        return run_risk(work, key)
    from njord.apps.strategy_runner import run_strategies

    return run_strategies(work)


# --- paper ---


class _Paper:
    """The paper service: the node's session, events and last words, with an engine whose stages are elsewhere."""

    def __init__(
        self,
        loaded: LoadedConfig,
        prepared: Prepared,
        url: str,
        key: SealKey,
        root: Path,
        json_out: bool,
        out: TextIO,
    ) -> None:
        self._config = loaded.config
        self._prepared = prepared
        self._url = url
        self._key = key
        self._root = root
        self._json_out = json_out
        self._policy = StopPolicy(loaded.config.paper.stop_policy)
        self._stopper = Stopper()
        self._trader: PaperTrader | None = None
        self._outlet = open_outlet(out, json_out, self._stop)
        self._waited_s = 0.0

    def run(self) -> int:
        """Run the session and return the exit code."""
        try:
            with on_signals(self._stop), Progress("messages run again") as progress:
                state = self._root / self._config.paths.state
                session = Session.open(self._prepared, state, progress=progress.show)
                return self._run(session)
        finally:
            self._outlet.end(WRITTEN_WITHIN_S)

    # Also while the engine waits for a service, and the loop has no turn.
    def _stop(self, reason: str) -> None:
        self._stopper.stop(reason)
        if self._trader is not None:
            self._trader.engine.stop_reason = self._stopper.reason

    def _run(self, session: Session) -> int:
        config = self._config
        try:
            trader = PaperTrader(
                session, self._url, self._key, config.bus.stream_max_len, self._say_who_is_missing
            )
        except BusUnavailable as error:
            session.abandon()
            raise ConfigError(str(error), "start redis-server, or correct redis.url") from None
        except BaseException:
            session.abandon()
            raise
        self._trader = trader
        trader.engine.stop_reason = self._stopper.reason  # Somebody may have asked before.
        start = Start(
            session=session,
            policy=self._policy,
            pace="as the market data service sends it",
            switch=self._root / config.risk.kill_switch_file,
            redis_key=config.risk.kill_switch_key,
        )
        self._put(start_event(start), start_lines(start))
        self._put(
            {"event": "service", "service": PAPER, "text": "waiting for the others"},
            ["waits    for the others: make run-md run-strat run-risk"],
        )
        ended, status = self._traded(session, trader)
        order_list_hash = session.recorder.order_list_hash()
        self._put(
            end_event(ended, status, order_list_hash),
            end_lines(ended, status, self._prepared, order_list_hash),
        )
        return exit_code(ended, session)

    def _traded(self, session: Session, trader: PaperTrader) -> tuple[Ended, NodeStatus]:
        config = self._config
        tap = TapProcess(session.folder, self._root, redis_url=self._url)
        watch = KillSwitchWatch(
            self._root / config.risk.kill_switch_file,
            self._url,
            config.risk.kill_switch_key,
            config.risk.kill_switch_max_age_ms,
        )
        options = NodeOptions(
            stop_policy=self._policy,
            stop_within_s=_STOP_WITHIN_S,
            flatten_within_s=float(config.paper.flatten_within_s),
        )
        screen = EventScreen(
            self._outlet,
            self._prepared.spec.instruments,
            json_of if self._json_out else line_of,
            lambda: bus_words(tap.state),
        )

        def poll_tap() -> None:
            tap.poll()

        node, reason = PaperNode(session, trader.feed, watch, options, screen.hear, poll_tap), "it broke"
        watch.start()
        tap.start()
        switch = watch.reading()
        if switch.state is not TradingState.ACTIVE:
            text = f'the kill switch is {switch.state}: {switch.reason}; next: njord kill clear --reason "…"'
            self._put({"event": "service", "service": PAPER, "text": text}, [f"look     {text}"])
        try:
            ended, status = asyncio.run(shown(node, screen, self._stopper))
            reason = ended.reason
        except Stopped as stopped:
            ended, status = self._given_up(session, str(stopped)), node.status
            reason = ended.reason
        finally:
            watch.stop()
            tap.stop(PUBLISHED_WITHIN_S)
            trader.end(reason)
        return ended, status

    # The engine stands in the middle of a message: nothing can be decided, and so nothing be sent.
    def _given_up(self, session: Session, why: str) -> Ended:
        now_ns = session.host.now_ns
        return Ended(
            reason=why,
            left=tuple(left_orders(session.system, self._policy, why)),
            positions=tuple(left_positions(session.system, self._policy, now_ns, why)),
        )

    # Twice as long every time, so that a service that stays away does not fill the screen.
    def _say_who_is_missing(self, waiting: Waiting | None) -> None:
        if waiting is None:
            text, self._waited_s = "all services answer", 0.0
        elif waiting.waited_s < 2 * self._waited_s:
            return
        else:
            self._waited_s = waiting.waited_s
            names = " and ".join(waiting.services) or "an answer"
            text = f"for {names} since {waiting.waited_s:.0f} s, message {waiting.seq:,}"
            if self._trader is not None and self._trader.trouble:
                text += f"; {self._trader.trouble}"
        self._put({"event": "service", "service": PAPER, "text": f"waiting {text}"}, [f"waits    {text}"])

    def _put(self, event: dict[str, object], lines: Iterable[str]) -> None:
        for line in [json_of(event)] if self._json_out else lines:
            self._outlet.write(line + "\n")
