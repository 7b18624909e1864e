"""What does Binance.US tell about its past? Its klines, aggregate trades and rules as exact ticks and lots.

Bars are `klines`, 1000 a page, asked by time. Trades are `aggTrades`, 1000 a page, asked by `fromId`: fills of one
order at one price are one row, its id counts aggregates, and these ids are consecutive, so that a hole is seen. Single
trades (`historicalTrades`) would need an API key, and their ids are other ones. The first id at a time is found by
halving between the first and the newest id, some thirty small requests whatever the market's age.

Numbers are the venue's decimal texts, turned into whole steps with integers; no float touches them.
"""

import difflib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

import msgspec

from njord.core.clock import Clock
from njord.core.errors import ConfigError, VenueUnavailable
from njord.core.instrument import Instrument
from njord.core.units import NS_PER_DAY, NS_PER_MINUTE, NS_PER_MS
from njord.venues.binance_rows import AggTrade, Kline, SymbolRules, bar_page, instrument_of, trade_page
from njord.venues.ccxt_rest import CcxtAsker
from njord.venues.history import Depth, HistoryPage
from njord.venues.rest import Params, Patience, PatientRest, RateBudget

ROWS_MAX = 1000
DEPTH_LEVELS = 1000
DEPTH_WEIGHT = 50  # What the dearest of the venue's sites takes for so many.
WEIGHT_PER_MINUTE = 1200  # Until exchangeInfo says otherwise.
_ANSWERS = 3  # Before an answer that is hard to believe is believed.
_HOUR = 60 * NS_PER_MINUTE
# All of them divide a day, so that their bars open on the grid of UTC midnight.
_TIMEFRAMES = {
    NS_PER_MINUTE: "1m", 3 * NS_PER_MINUTE: "3m", 5 * NS_PER_MINUTE: "5m", 15 * NS_PER_MINUTE: "15m",
    30 * NS_PER_MINUTE: "30m", _HOUR: "1h", 2 * _HOUR: "2h", 4 * _HOUR: "4h", 6 * _HOUR: "6h", 8 * _HOUR: "8h",
    12 * _HOUR: "12h", NS_PER_DAY: "1d",
}  # fmt: skip


class _Depth(msgspec.Struct):
    lastUpdateId: int


class _Time(msgspec.Struct):
    serverTime: int


class _Limit(msgspec.Struct):
    rateLimitType: str
    interval: str
    intervalNum: int
    limit: int


class _Info(msgspec.Struct):
    symbols: list[SymbolRules]
    rateLimits: list[_Limit] = []


class BinanceUSHistory:
    """The past of Binance.US; a HistoryVenue."""

    name = "binanceus"
    rows_max = ROWS_MAX

    def __init__(self, rest: PatientRest) -> None:
        self._rest = rest
        self._info: _Info | None = None

    @property
    def n_requests(self) -> int:
        """Requests sent so far, repeats included."""
        return self._rest.n_requests

    @property
    def n_repeats(self) -> int:
        """Requests that were sent again after trouble."""
        return self._rest.n_repeats

    def server_time_ns(self) -> int:
        """Return the venue's own time."""
        return self._rest.get("time", {}, 1, _Time).serverTime * NS_PER_MS

    def instrument(self, symbol: str) -> Instrument:
        """Return the rules of `symbol` as they are now; see HistoryVenue."""
        if self._info is None:
            self._info = self._rest.get("exchangeInfo", {}, 10, _Info)
            for limit in self._info.rateLimits:
                is_per_minute = limit.interval == "MINUTE" and limit.intervalNum == 1
                if limit.rateLimitType == "REQUEST_WEIGHT" and is_per_minute:
                    self._rest.limit(limit.limit)
        known = {f"{each.base_asset}/{each.quote_asset}": each for each in self._info.symbols}
        if symbol not in known:
            raise _unknown_symbol(symbol, list(known))
        return instrument_of(symbol, self.name, known[symbol])

    def check_interval(self, interval_ns: int) -> None:
        """Refuse a length of bars that the venue does not offer; see HistoryVenue."""
        if interval_ns not in _TIMEFRAMES:
            raise ConfigError(
                f"binanceus has no bars of {interval_ns / NS_PER_MINUTE:g} minutes on a daily grid, only {' '.join(_TIMEFRAMES.values())}",
                "download a finer --timeframe, such as 1m, and fold it with njord data resample",
            )

    def bars(self, instrument: Instrument, interval_ns: int, start_ns: int, end_ns: int) -> HistoryPage:
        """Return the first 1000 bars that open in [start_ns, end_ns); see HistoryVenue."""
        params: Params = {
            "symbol": self._id(instrument),
            "interval": _TIMEFRAMES[interval_ns],
            "startTime": -(-start_ns // NS_PER_MS),
            "endTime": -(-end_ns // NS_PER_MS) - 1,
            "limit": ROWS_MAX,
        }
        rows = self._rest.get("klines", params, 1, list[Kline])
        with _readable("klines"):
            return bar_page(rows, instrument, interval_ns)

    def trades(self, instrument: Instrument, first_id: int, end_id: int) -> HistoryPage:
        """Return the first 1000 aggregate trades with ids in [first_id, end_id); see HistoryVenue."""
        limit = min(ROWS_MAX, end_id - first_id)
        params: Params = {"symbol": self._id(instrument), "fromId": first_id, "limit": limit}
        rows = self._rest.get("aggTrades", params, 1, list[AggTrade])
        with _readable("aggTrades"):
            return trade_page(rows, instrument)

    def depth(self, instrument: Instrument) -> Depth:
        """Return the book as it is now, 1000 levels a side at most; see DepthVenue."""
        params: Params = {"symbol": self._id(instrument), "limit": DEPTH_LEVELS}
        body = self._rest.get("depth", params, DEPTH_WEIGHT, msgspec.Raw)
        with _readable("depth"):
            return Depth(msgspec.json.decode(body, type=_Depth).lastUpdateId, bytes(body))

    def trade_id_at(self, instrument: Instrument, ts_ns: int) -> int:
        """Return the id of the first aggregate trade at or after `ts_ns`; see HistoryVenue."""
        last = self._newest(instrument)
        if last is None:
            return 0
        if last.ts_ms * NS_PER_MS < ts_ns:
            return last.agg_id + 1
        # Every trade before `low` is earlier than ts_ns; `found` is at or after it, and all from `high` on are.
        low, high, found = 0, last.agg_id, last.agg_id
        while low < high:
            middle = (low + high) // 2
            row = self._first_from(instrument, middle)
            if row.ts_ms * NS_PER_MS >= ts_ns:
                high, found = middle, row.agg_id
            else:
                low = row.agg_id + 1
        return found

    # The newest trade; None = the market has had none, said more than once.
    def _newest(self, instrument: Instrument) -> AggTrade | None:
        params: Params = {"symbol": self._id(instrument), "limit": 1}
        for _ in range(_ANSWERS):
            rows = self._rest.get("aggTrades", params, 1, list[AggTrade])
            if rows:
                return max(rows, key=lambda row: row.agg_id)
        return None

    # The first trade with that id or a later one; an answer that skips ahead, or an empty one, is not believed at once.
    def _first_from(self, instrument: Instrument, first_id: int) -> AggTrade:
        params: Params = {"symbol": self._id(instrument), "fromId": first_id, "limit": 1}
        rows: list[AggTrade] = []
        for _ in range(_ANSWERS):
            answer = self._rest.get("aggTrades", params, 1, list[AggTrade])
            n_before = len(rows)
            rows += [row for row in answer if row.agg_id >= first_id]
            if n_before or any(row.agg_id == first_id for row in rows):
                break
        if not rows:
            raise VenueUnavailable(f"binanceus gives no trade from id {first_id} on, and it has newer ones")
        return min(rows, key=lambda row: row.agg_id)

    def _id(self, instrument: Instrument) -> str:
        return instrument.base + instrument.quote


@contextmanager
def open_binanceus(
    clock: Clock,
    sleep: Callable[[float], None],
    chance: Random,
    *,
    endpoint: str | None = None,
    patience: Patience | None = None,
    timeout_ms: int = 10_000,
) -> Iterator[BinanceUSHistory]:
    """Open the venue, or what stands for it at `endpoint`; importing CCXT takes about two seconds.

    Raises:
        ConfigError: `endpoint` is not an address.
    """
    patience = patience or Patience()
    budget = RateBudget(clock, sleep, int(WEIGHT_PER_MINUTE * patience.budget_share))
    with CcxtAsker("binanceus", endpoint, timeout_ms) as asker:
        yield BinanceUSHistory(PatientRest(asker, BinanceUSHistory.name, budget, sleep, chance, patience))


@contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise VenueUnavailable(f"binanceus gave {path} that can not be read: {error}") from None


def _unknown_symbol(symbol: str, known: list[str]) -> ConfigError:
    shown = symbol if symbol.isprintable() else ascii(symbol)[1:-1]
    plain = {each.replace("/", ""): each for each in known}
    wanted = "".join(symbol.upper().replace("-", "/").replace("_", "/").split("/"))[:40]
    near = difflib.get_close_matches(wanted, list(plain), n=3, cutoff=0.6)
    if near:
        remedy = f"did you mean {', '.join(plain[each] for each in near)}?"
    else:
        remedy = f"it has {len(known)} symbols, written like {known[0] if known else 'BTC/USDT'}"
    return ConfigError(f"--symbol {shown[:60]} is not traded at binanceus", remedy)
