"""Who is told of an account's orders and balances? Listen keys and subscriptions in, the account's events as frames out.

A connection hears an account because its path or a subscription carries a listen key, or because it subscribed over the
WebSocket API with a signature. Nothing is replayed: who was not there has missed it.
"""

import hashlib
from collections.abc import Iterable
from enum import IntEnum
from itertools import count
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from njord.core.units import FOREVER_NS, NS_PER_S
from njord.exchange import errors, reports
from njord.exchange.market_text import to_ms
from njord.exchange.orders import Event, Happened, Transferred
from njord.exchange.trading import Account, Trading
from njord.exchange.wire import Frame

_GONE: Final = 1001  # What a server says that goes away.


class Wrap(IntEnum):
    """How a connection gets its events."""

    NONE = 0  # /ws/<key>: as they are.
    STREAM = 1  # /stream?streams=<key>: with the stream's name.
    SUBSCRIPTION = 2  # The WebSocket API: with the subscription's number.


class _Key(msgspec.Struct):
    """A listen key in force."""

    name: str
    account: Account
    expires_ns: int


class _Subscription(msgspec.Struct):
    """One connection's ear on one account; `name` is its key or its number."""

    connection: int
    account: Account
    wrap: Wrap
    name: str


class UserStreams:
    """The user streams of all accounts.

    Args:
        trading: Whose events are told.
    """

    def __init__(self, trading: Trading) -> None:
        self._trading = trading
        self._life_ns = trading.options.listen_key_s * NS_PER_S
        self._keys: dict[str, _Key] = {}
        self._n_keys = count(1)
        self._subscriptions: list[_Subscription] = []
        self._n_subscribed: dict[int, int] = {}
        self._execution_ids = count(1)
        self._frames: list[Frame] = []
        trading.listeners.append(self._hear)

    def take_frames(self) -> list[Frame]:
        """Return what is to be sent since the last call, in order."""
        frames, self._frames = self._frames, []
        return frames

    # --- listen keys ---

    def new_key(self, account: Account, now_ns: int) -> str:
        """Return the account's listen key, which lives its full time from now on."""
        for key in self._keys.values():
            if key.account is account:
                key.expires_ns = now_ns + self._life_ns
                return key.name
        seed = f"{account.name} {next(self._n_keys)} {now_ns}"
        name = hashlib.sha256(seed.encode()).hexdigest()[:60]
        self._keys[name] = _Key(name, account, now_ns + self._life_ns)
        return name

    def keep_key(self, account: Account, name: str, now_ns: int) -> None:
        """Let a key live its full time from now on.

        Raises:
            ApiError: The account has no such key.
        """
        self._own(account, name).expires_ns = now_ns + self._life_ns

    def end_key(self, account: Account, name: str) -> None:
        """End a key by its owner's will: its streams are closed.

        Raises:
            ApiError: The account has no such key.
        """
        del self._keys[self._own(account, name).name]
        self._close([each for each in self._subscriptions if each.name == name])

    def _own(self, account: Account, name: str) -> _Key:
        key = self._keys.get(name)
        if key is None or key.account is not account:
            raise errors.bad_listen_key()
        return key

    @property
    def next_ns(self) -> int:
        """When the next key expires."""
        return min((key.expires_ns for key in self._keys.values()), default=FOREVER_NS)

    def advance(self, now_ns: int) -> None:
        """End the keys whose time is over."""
        for key in [key for key in self._keys.values() if key.expires_ns <= now_ns]:
            self._expire(key, now_ns)

    def expire_all(self, now_ns: int) -> None:
        """End every key and every subscription now."""
        for key in list(self._keys.values()):
            self._expire(key, now_ns)
        ended = {"e": "eventStreamTerminated", "E": to_ms(self._trading.shown_ns(now_ns))}
        signed = [each for each in self._subscriptions if each.wrap is Wrap.SUBSCRIPTION]
        for each in signed:
            self._send(each, msgspec.json.encode(ended).decode())
            self._subscriptions.remove(each)

    # Its connections stay open and carry nothing more.
    def _expire(self, key: _Key, now_ns: int) -> None:
        del self._keys[key.name]
        shown_ms = to_ms(self._trading.shown_ns(now_ns))
        event = {"e": "listenKeyExpired", "E": shown_ms, "listenKey": key.name}
        text = msgspec.json.encode(event).decode()
        for each in [each for each in self._subscriptions if each.name == key.name]:
            self._send(each, text)
            self._subscriptions.remove(each)

    # --- connections ---

    def opened(self, connection: int, path: str, query: str) -> None:
        """Let a connection hear the accounts whose listen keys its path names, if it names any."""
        is_combined = path.rstrip("/") == "/stream"
        names = dict(parse_qsl(query)).get("streams", "") if is_combined else path
        keys = [self._keys[name] for name in names.split("/") if name in self._keys]
        wrap = Wrap.STREAM if is_combined else Wrap.NONE
        self._subscriptions += [_Subscription(connection, key.account, wrap, key.name) for key in keys]

    def is_key(self, name: str) -> bool:
        """Say whether a name is a listen key in force."""
        return name in self._keys

    def hear(self, connection: int, key: str, is_combined: bool) -> None:
        """Let an open connection hear the account of a listen key too, once."""
        self.forget(connection, key)
        wrap = Wrap.STREAM if is_combined else Wrap.NONE
        self._subscriptions.append(_Subscription(connection, self._keys[key].account, wrap, key))

    def forget(self, connection: int, name: str) -> None:
        """Let a connection hear nothing more by a listen key."""
        self._subscriptions = [
            each for each in self._subscriptions if (each.connection, each.name) != (connection, name)
        ]

    def subscribe(self, connection: int, account: Account) -> int:
        """Let a connection of the WebSocket API hear an account; return the subscription's number."""
        number = self._n_subscribed.get(connection, 0)
        self._n_subscribed[connection] = number + 1
        self._subscriptions.append(_Subscription(connection, account, Wrap.SUBSCRIPTION, str(number)))
        return number

    def unsubscribe(self, connection: int, number: int | None) -> None:
        """End one of a connection's subscriptions; without a number all of them."""
        self._subscriptions = [
            each
            for each in self._subscriptions
            if each.connection != connection or number not in (None, int(each.name))
        ]

    def closed(self, connection: int) -> None:
        """Forget a connection."""
        self._n_subscribed.pop(connection, None)
        self._subscriptions = [each for each in self._subscriptions if each.connection != connection]

    def revoked(self, account: Account) -> None:
        """Close the streams of an account whose key is gone."""
        self._keys = {name: key for name, key in self._keys.items() if key.account is not account}
        self._close([each for each in self._subscriptions if each.account is account])

    def _close(self, some: Iterable[_Subscription]) -> None:
        for connection in dict.fromkeys(each.connection for each in some):
            self._frames.append(Frame(connection, None, _GONE))
            self.closed(connection)

    # --- telling ---

    def _hear(self, account: Account, event: Event) -> None:
        execution_id = next(self._execution_ids) if isinstance(event, Happened) else 0
        listening = [each for each in self._subscriptions if each.account is account]
        if not listening:
            return
        if isinstance(event, Happened):
            payload = reports.execution_report(event, execution_id, self._trading.options)
        elif isinstance(event, Transferred):
            payload = reports.balance_update(event.asset, event.amount, event.ts_ns)
        else:
            payload = reports.account_position(account, event.assets, event.ts_ns)
        text = msgspec.json.encode(payload).decode()
        for each in listening:
            self._send(each, text)

    def _send(self, to: _Subscription, text: str) -> None:
        if to.wrap is Wrap.STREAM:
            text = f'{{"stream":"{to.name}","data":{text}}}'
        elif to.wrap is Wrap.SUBSCRIPTION:
            text = f'{{"subscriptionId":{to.name},"event":{text}}}'
        self._frames.append(Frame(to.connection, text))
