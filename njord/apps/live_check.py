"""Are the live locks open? Configuration, environment, kill switch and venue are looked at; nothing is sent to trade.

The venue is asked only where there are keys: its rules, the time, the user stream, and everything that a reconciliation
asks, by a broker that only reads.
"""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from njord.adapters.clock import WallClock
from njord.adapters.config_loader import LoadedConfig
from njord.adapters.kill_switch_redis import RedisSwitch
from njord.adapters.kill_switch_watch import Reading, read_once, strictest
from njord.adapters.secrets import Keys, load_keys
from njord.apps.download_venue import VENUES
from njord.apps.live_account import account_uid
from njord.apps.live_locks import CONSENT, Lock, Measured, VenueSeen, live_locks
from njord.apps.live_look import look_at_venue
from njord.apps.live_venue import live_broker
from njord.core.clock import Clock
from njord.core.config import Config
from njord.core.errors import ConfigError, VenueError
from njord.core.instrument import Instrument
from njord.core.types import TradingState
from njord.venues.broker_wire import Health
from njord.venues.rest import Patience

_MS = 1e-3
_PATIENCE = Patience(n_attempts=2)


def check_live(
    loaded: LoadedConfig,
    root: Path,
    named: str,
    environ: Mapping[str, str] | None = None,
    on_wait: Callable[[str], None] = lambda why: None,
) -> list[Lock]:
    """Look at every live lock.

    Args:
        loaded: The configuration.
        root: The folder that njord runs in.
        named: The account as it was passed; empty if it was not.
        environ: Variables; the process's own if None.
        on_wait: Told once, and why, if the venue's budget has to be waited for.
    """
    config, clock = loaded.config, WallClock()
    environ = os.environ if environ is None else environ
    keys, trouble = _keys(config, root, environ)
    uid = account_uid(root / config.paths.state, config)
    venue = None if keys is None else _venue(config, keys, clock, uid, on_wait)
    return live_locks(measured(config, environ, named, keys, trouble, read_switch(config, root), venue))


def measured(
    config: Config,
    environ: Mapping[str, str],
    named: str,
    keys: Keys | None,
    keys_trouble: str,
    switch: Reading,
    venue: VenueSeen | None,
) -> Measured:
    """Return what the locks hang on, of what was found."""
    live, risk = config.live, config.risk
    return Measured(
        env=config.app.env,
        consent=environ.get(CONSENT, ""),
        account=live.account,
        named=named,
        keys_origin="" if keys is None else keys.origin,
        keys_trouble=keys_trouble,
        switch=switch,
        venue=venue,
        endpoint=live.endpoint,
        tolerance_ms=live.clock_tolerance_ms,
        cap=risk.live_micro_cap_usd,
        cap_reason=risk.live_micro_cap_reason,
        dry_run=live.dry_run,
    )


def read_switch(config: Config, root: Path) -> Reading:
    """Return what the kill switch says, of all its sources the strictest."""
    url, risk = config.redis.url, config.risk
    redis = None
    if url is not None:
        redis = RedisSwitch(url.get_secret_value(), risk.kill_switch_key, risk.kill_switch_max_age_ms * _MS)
    try:
        return strictest(read_once(root / risk.kill_switch_file, redis))
    finally:
        if redis is not None:
            redis.close()


def _keys(config: Config, root: Path, environ: Mapping[str, str]) -> tuple[Keys | None, str]:
    live = config.live
    try:
        return load_keys(root, config.exchange.venue, live.account, live.keys_file, environ), ""
    except ConfigError as error:
        return None, error.problem


def _venue(config: Config, keys: Keys, clock: Clock, uid: int, on_wait: Callable[[str], None]) -> VenueSeen:
    try:
        instruments = _instruments(config, clock)
        broker = live_broker(config, instruments, keys, clock, account_uid=uid, reads_only=True)
        return look_at_venue(broker, clock, on_wait=on_wait)
    except VenueError as error:
        health = Health(state=TradingState.HALTED, reason=str(error))
        return VenueSeen(clock_trouble=str(error), health=health)


def _instruments(config: Config, clock: Clock) -> tuple[Instrument, ...]:
    # Only the spread of repeated requests hangs on chance.
    chance = Random(clock.now_ns())
    opened = VENUES[config.exchange.venue](
        clock, time.sleep, chance, endpoint=config.live.endpoint, patience=_PATIENCE
    )
    with opened as venue:
        return tuple(venue.instrument(symbol) for symbol in config.exchange.symbols)
