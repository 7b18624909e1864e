"""The log: one call is one line of JSON, and no secret gets in, whatever it hides in."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from enum import IntEnum
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from pydantic import SecretStr

from njord.adapters.logging import (
    DEPTH_MAX,
    TEXT_CHARS_MAX,
    iso_utc,
    register_secrets,
    setup_logging,
)
from njord.core.clock import FixedClock
from njord.core.errors import ConfigError

CANARY = "c4nary/se'cret\\n"
NOON_NS = 1_704_110_400_123_456_789


@pytest.fixture(autouse=True)
def _quiet_afterwards() -> Iterator[None]:
    yield
    structlog.contextvars.clear_contextvars()
    setup_logging(None, "error")


def _lines(folder: Path) -> list[dict[str, Any]]:
    raw = (folder / "app.ndjson").read_bytes()
    assert raw.endswith(b"\n") or not raw
    return [json.loads(line) for line in raw.split(b"\n")[:-1]]


def test_a_line_holds_time_level_logger_event_and_fields(tmp_path: Path) -> None:
    setup_logging(tmp_path / "var" / "log", "info", FixedClock(NOON_NS))
    structlog.get_logger("njord.gate").info("order refused", qty=3, price=Decimal("1.50"), symbol="BTC/USDT")
    raw = (tmp_path / "var" / "log" / "app.ndjson").read_text()
    assert raw == (
        '{"time":"2024-01-01T12:00:00.123456Z","level":"info","logger":"njord.gate","event":"order refused",'
        '"qty":3,"price":"1.50","symbol":"BTC/USDT"}\n'
    )


def test_what_is_below_the_level_is_not_written(tmp_path: Path) -> None:
    setup_logging(tmp_path, "warning")
    log = structlog.get_logger()
    log.debug("a")
    log.info("b")
    log.warning("c")
    log.error("d")
    assert [(line["level"], line["event"]) for line in _lines(tmp_path)] == [("warning", "c"), ("error", "d")]


def test_the_log_is_appended_to_and_can_be_sent_elsewhere(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    setup_logging(one, "info")
    log = structlog.get_logger("kept")
    bound = log.bind(run=1)
    log.info("first")
    setup_logging(two, "info")
    log.info("second")
    bound.info("to a closed file: dropped, not written into whatever has its number now")
    setup_logging(one, "info")
    log.info("third")
    assert [line["event"] for line in _lines(one)] == ["first", "third"]
    assert [line["event"] for line in _lines(two)] == ["second"]


def test_without_a_folder_nothing_is_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    setup_logging(None, "debug")
    structlog.get_logger().error("lost on purpose")
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_context_is_part_of_every_line(tmp_path: Path) -> None:
    setup_logging(tmp_path, "info")
    structlog.contextvars.bind_contextvars(run="r1", token="t")
    structlog.get_logger().info("x")
    assert (_lines(tmp_path)[0]["run"], _lines(tmp_path)[0]["token"]) == ("r1", "***")


@pytest.mark.parametrize(
    "text", ['a\nb\r\n{"level":"error"}', "\x85\u2028\u2029", "\x7f\x9b2J", "\x1b[2J", "\ud800", "\x00"]
)
def test_text_from_outside_stays_inside_its_line(tmp_path: Path, text: str) -> None:
    setup_logging(tmp_path, "info")
    structlog.get_logger().info(text, field=text, **{text: text})
    raw = (tmp_path / "app.ndjson").read_bytes()
    assert len(raw.decode().splitlines()) == 1
    assert not any(control in raw for control in (b"\x1b", b"\x7f", b"\xc2\x9b"))
    line = json.loads(raw)
    assert line["level"] == "info"
    if text != "\ud800":
        assert line["event"] == line["field"] == line[text] == text


def test_a_field_can_not_stand_in_for_the_lines_own(tmp_path: Path) -> None:
    setup_logging(tmp_path, "info", FixedClock(NOON_NS))
    structlog.get_logger("real").info("x", level="debug", time="never", logger="forged")
    line = _lines(tmp_path)[0]
    assert (line["level"], line["logger"], line["time"][:4]) == ("info", "real", "2024")
    assert (line["level_"], line["logger_"], line["time_"]) == ("debug", "forged", "never")


class _Size(IntEnum):
    HUGE = 2**70


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        (float("nan"), None),
        (2**64 - 1, 2**64 - 1),
        (2**64, hex(2**64)),
        pytest.param(10**6000, hex(10**6000)[:20], id="6000 digits"),
        (_Size.HUGE, hex(2**70)),
        (Decimal("1E+3"), "1E+3"),
        (SecretStr("short"), "***"),
        (b"\xffab", "\\xffab"),
        ({1: {"a": (1, 2)}}, {"1": {"a": [1, 2]}}),
        (frozenset({1}), [1]),
        (Path("/tmp"), "/tmp"),
        (ValueError("x"), "ValueError('x')"),
        ("x" * (TEXT_CHARS_MAX + 5), "x" * 20),
    ],
)
def test_any_value_becomes_json(tmp_path: Path, value: object, written: object) -> None:
    setup_logging(tmp_path, "info")
    structlog.get_logger().info("x", value=value)
    found = _lines(tmp_path)[0]["value"]
    if isinstance(written, str) and len(written) == 20:
        found = found[:20]
    assert found == written


def test_a_value_that_holds_itself_ends(tmp_path: Path) -> None:
    setup_logging(tmp_path, "info")
    endless: dict[str, object] = {}
    endless["a"] = endless
    structlog.get_logger().info("x", value=endless)
    depth, node = 0, _lines(tmp_path)[0]["value"]
    while isinstance(node, dict):
        depth, node = depth + 1, node["a"]
    assert depth == DEPTH_MAX - 1


# --- secrets --------------------------------------------------------------------


@dataclasses.dataclass
class _Account:
    name: str
    api_key: str


class _Keys(msgspec.Struct):
    name: str
    secret: str


class _Odd:
    def __repr__(self) -> str:
        return f"<odd {CANARY}>"


_HIDING_PLACES: dict[str, Callable[[Any], None]] = {
    "event": lambda log: log.info(f"connect to {CANARY} failed"),
    "field": lambda log: log.info("x", url=f"redis://:{CANARY}@host"),
    "field name": lambda log: log.info("x", **{CANARY: 1}),
    "secret type": lambda log: log.info("x", value=SecretStr(CANARY)),
    "secret type in a list": lambda log: log.info("x", value=[SecretStr(CANARY)]),
    "nested": lambda log: log.info("x", value={"a": [{"b": CANARY}]}),
    "nested key": lambda log: log.info("x", value={CANARY: 1}),
    "tuple": lambda log: log.info("x", value=("GET", CANARY)),
    "bytes": lambda log: log.info("x", value=CANARY.encode()),
    "repr": lambda log: log.info("x", value=_Odd()),
    "repr of text": lambda log: log.info("x", value=repr(CANARY)),
    "exception": lambda log: log.info("x", value=ValueError(CANARY)),
    "deep": lambda log: log.info("x", value=[[[[[[[[[[CANARY]]]]]]]]]]),
    "quoted in a URL": lambda log: log.info("x", value="http://u:c4nary%2Fse%27cret%5Cn@host"),
    "bound": lambda log: log.bind(value=CANARY).info("x"),
    "long text": lambda log: log.info("x", value="-" * (TEXT_CHARS_MAX - 5) + CANARY),
}


@pytest.mark.parametrize("place", _HIDING_PLACES)
def test_a_registered_secret_is_masked_wherever_it_hides(tmp_path: Path, place: str) -> None:
    register_secrets([CANARY])
    setup_logging(tmp_path, "info")
    _HIDING_PLACES[place](structlog.get_logger())
    raw = (tmp_path / "app.ndjson").read_text()
    assert "c4nary" not in raw
    assert len(_lines(tmp_path)) == 1


def test_a_traceback_shows_no_secret_and_no_locals(tmp_path: Path) -> None:
    register_secrets([CANARY])
    setup_logging(tmp_path, "info")
    unregistered = "other-secret-in-a-local"
    try:
        raise ValueError(f"login with {CANARY} refused")
    except ValueError:
        structlog.get_logger().exception("failed")
    assert len(unregistered) > 0
    line = _lines(tmp_path)[0]
    assert line["level"] == "error"
    assert "ValueError: login with *** refused" in line["exception"]
    assert "c4nary" not in str(line)
    assert unregistered not in (tmp_path / "app.ndjson").read_text()


@pytest.mark.parametrize(
    "value",
    [
        {"api_key": "unregistered"},
        {"headers": {"Authorization": "unregistered"}},
        [{"redisPassword": "unregistered"}],
        _Account("a", "unregistered"),
        _Keys("a", "unregistered"),
    ],
)
def test_a_secret_name_is_enough_to_mask_its_value(tmp_path: Path, value: object) -> None:
    setup_logging(tmp_path, "info")
    structlog.get_logger().info("x", value=value, token="unregistered")
    raw = (tmp_path / "app.ndjson").read_text()
    assert "unregistered" not in raw
    assert raw.count("***") == 2


def test_a_secret_made_of_digits_is_masked_as_a_number_too(tmp_path: Path) -> None:
    register_secrets(["8675309177"])
    setup_logging(tmp_path, "info")
    structlog.get_logger().info("x", value=8675309177, other=3)
    assert (_lines(tmp_path)[0]["value"], _lines(tmp_path)[0]["other"]) == ("***", 3)


# --- trouble --------------------------------------------------------------------


def test_a_level_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigError, match="must be one of debug, info, warning, error, was 'loud'"):
        setup_logging(None, "loud")


def test_a_folder_that_can_not_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="NJORD_LOGGING__DIR"):
        setup_logging(tmp_path / "file" / "log", "info")


def test_a_full_disk_costs_lines_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "app.ndjson").symlink_to("/dev/full")
    setup_logging(tmp_path, "info")
    structlog.get_logger().info("lost")


def test_a_line_cut_short_by_the_disk_does_not_spoil_the_next(tmp_path: Path) -> None:
    code = """
import resource, signal, structlog, sys
from pathlib import Path
from njord.adapters.logging import setup_logging
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
setup_logging(Path(sys.argv[1]), "info")
log = structlog.get_logger()
log.info("whole")
size = Path(sys.argv[1], "app.ndjson").stat().st_size
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, hard))
log.info("torn")
log.info("lost")
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
log.info("whole again")
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    first, torn, last = (tmp_path / "app.ndjson").read_bytes().splitlines()
    assert json.loads(first)["event"] == "whole"
    assert len(torn) == 10
    assert json.loads(last)["event"] == "whole again"


def test_time_is_utc_to_the_microsecond() -> None:
    assert iso_utc(0) == "1970-01-01T00:00:00.000000Z"
    assert iso_utc(NOON_NS) == "2024-01-01T12:00:00.123456Z"
    assert iso_utc(-1) == "1969-12-31T23:59:59.999999Z"
