"""A key that would be recognized anywhere goes through every failing path of the live check: no output holds it."""

import json
import logging
from asyncio import StreamWriter as Writer
from pathlib import Path

import pytest
import structlog

from njord.adapters.config_loader import explain, load_config
from njord.adapters.logging import setup_logging
from njord.cli import EXIT_CHECK_FAILED
from njord.cli.live_check import run
from tests.integration.broker_world import KEY, SECRET, Behave, Heard, RawServer, answer
from tests.unit.adapters.sops_file import AgeIdentity, sops_text

pytestmark = pytest.mark.integration

FILE = "config/secrets.enc.yaml"
ME = AgeIdentity()


async def html(server: RawServer, heard: Heard, writer: Writer) -> None:
    writer.write(answer(b"<html>Bad Gateway</html>", "502 Bad Gateway"))


async def hang_up(server: RawServer, heard: Heard, writer: Writer) -> None:
    writer.transport.abort()


async def echo(server: RawServer, heard: Heard, writer: Writer) -> None:
    said = json.dumps({"code": -2015, "msg": f"Invalid API-key {heard.headers} {heard.line} {heard.body}"})
    writer.write(answer(said.encode(), "401 Unauthorized"))


@pytest.mark.parametrize("source", ["environment", "file"])
@pytest.mark.parametrize("behave", [html, hang_up, echo, None])
def test_no_output_of_a_failing_check_holds_a_key(
    behave: Behave | None,
    source: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = {"live.account": "main", "exchange.symbols": "BTC/USDT"}
    if source == "environment":
        monkeypatch.setenv("NJORD_BINANCEUS_API_KEY", KEY)
        monkeypatch.setenv("NJORD_BINANCEUS_API_SECRET", SECRET)
    else:
        (tmp_path / "config").mkdir()
        tree = {"binanceus": {"main": {"api_key": KEY, "api_secret": SECRET}}}
        (tmp_path / FILE).write_text(sops_text(tree, ME))
        monkeypatch.setenv("SOPS_AGE_KEY", str(ME))
        settings["live.keys_file"] = FILE
    setup_logging(tmp_path / "log", "debug")
    with RawServer(behave or hang_up) as server:
        settings["live.endpoint"] = server.url if behave else "http://127.0.0.1:9"
        assert run("main", settings, True, tmp_path) == EXIT_CHECK_FAILED
        assert run("main", settings, False, tmp_path) == EXIT_CHECK_FAILED
    shown = explain(load_config(tmp_path, settings))
    structlog.get_logger("test").info("worst case", text=f"{KEY} {SECRET}")
    out, err = capsys.readouterr()
    log = (tmp_path / "log" / "app.ndjson").read_text()
    everything = out + err + caplog.text + repr(shown) + log
    assert "worst case" in log
    assert '"name":"keys","state":"open"' in out
    for canary in (KEY, SECRET, str(ME)):
        assert canary not in everything
