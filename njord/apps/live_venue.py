"""How do the settings of live trading become a broker? The configuration and keys in, a `LiveBroker` out; nothing is sent."""

from collections.abc import Mapping, Sequence
from random import Random

from njord.core.clock import Clock
from njord.core.config import Config, LiveConfig
from njord.core.errors import ConfigError
from njord.core.instrument import Instrument
from njord.core.units import NS_PER_MS, NS_PER_S
from njord.venues.binance_core import BinanceBrokerCore
from njord.venues.binance_options import CoreOptions, StreamKind
from njord.venues.binanceus import ShellOptions
from njord.venues.broker_core import BrokerCore
from njord.venues.broker_wire import KnownOrder
from njord.venues.ccxt_broker import Keys
from njord.venues.ccxt_broker_door import Way, addresses_at
from njord.venues.live_broker import Admits, LiveBroker, LiveOptions

__all__ = ["VENUE", "Admits", "LiveBroker", "core_options", "live_broker"]

VENUE = "binanceus"


def core_options(live: LiveConfig, account_uid: int = 0) -> CoreOptions:
    """Return what the settings say to the broker's core; `account_uid` stands where they name no account's number."""
    return CoreOptions(
        venue=VENUE,
        stream=StreamKind(live.user_stream),
        account_uid=live.account_uid or account_uid,
        clock_tolerance_ns=live.clock_tolerance_ms * NS_PER_MS,
        poll_idle_ns=live.reconcile_every_s * NS_PER_S,
    )


def live_broker(
    config: Config,
    instruments: Sequence[Instrument],
    keys: Keys,
    clock: Clock,
    admits: Admits = lambda req: "",
    *,
    account_uid: int = 0,
    reads_only: bool = False,
    way: Way | None = None,
) -> LiveBroker:
    """Return the broker of the configured account, not started.

    Args:
        config: Of the session.
        instruments: All instruments of the run.
        keys: See `adapters/secrets.py`.
        clock: The host's.
        admits: See `LiveBroker`.
        account_uid: The venue's number for the account that must answer, where the settings name none; 0 = not known yet.
        reads_only: Nothing that changes an order is ever sent.
        way: How names and certificates are checked.

    Raises:
        ConfigError: The venue is not one that live orders go to, or the endpoint is no address.
    """
    if config.exchange.venue != VENUE:
        raise ConfigError(
            f"there is no live trading at {config.exchange.venue}", f"set exchange.venue to {VENUE}"
        )
    if config.live.endpoint is not None:
        addresses_at(config.live.endpoint)
    options = core_options(config.live, account_uid)
    # Only the spread of what is repeated hangs on chance.
    chance = Random(clock.now_ns())

    def make_core(known: Sequence[KnownOrder], cursors: Mapping[str, str]) -> BrokerCore:
        return BinanceBrokerCore(instruments, options, known, cursors, jitter=chance)

    shell = ShellOptions(
        endpoint=config.live.endpoint,
        stream_open_s=options.stream_open_ns / NS_PER_S * 0.75,  # Sooner than the core's patience ends.
        reads_only=reads_only,
    )
    return LiveBroker(make_core, keys, instruments, clock, admits, LiveOptions(shell=shell), way)
