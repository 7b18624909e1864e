"""The seal: what was approved opens once, for its run, in time; everything else is refused with its reason."""

import os
import pickle
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from njord.adapters.seal import (
    KEY_VARIABLE,
    Sealed,
    SealKey,
    SealReason,
    SealRefused,
    load_seal_key,
    open_seal,
    seal,
)
from njord.core.errors import ConfigError

SECRET = bytes(range(32))
KEY = SealKey(SECRET)
ORDER = b'{"kind":"OrderEvent","ts_ns":1}'
WIRE = msgspec.msgpack.Encoder()
UNWIRE = msgspec.msgpack.Decoder(Sealed)


def sealed() -> Sealed:
    return seal(KEY, ORDER, run_id="run", decision_seq=7, expires_ns=100)


def opened(envelope: Sealed, *, now_ns: int = 100, run_id: str = "run", last: int = 6) -> bytes:
    return open_seal(KEY, envelope, now_ns=now_ns, run_id=run_id, last_decision_seq=last)


def reason_of(envelope: Sealed, *, now_ns: int = 100, run_id: str = "run", last: int = 6) -> SealReason:
    with pytest.raises(SealRefused) as refused:
        opened(envelope, now_ns=now_ns, run_id=run_id, last=last)
    return refused.value.reason


@given(st.binary(max_size=300), st.text(max_size=20), st.integers(0, 2**62), st.integers(-(2**62), 2**62))
def test_what_was_sealed_opens_after_a_trip_over_the_wire(
    payload: bytes, run_id: str, decision_seq: int, expires_ns: int
) -> None:
    envelope = seal(KEY, payload, run_id=run_id, decision_seq=decision_seq, expires_ns=expires_ns)
    came = UNWIRE.decode(WIRE.encode(envelope))
    assert opened(came, now_ns=expires_ns, run_id=run_id, last=decision_seq - 1) == payload


def test_every_flipped_bit_is_refused() -> None:
    wire = WIRE.encode(sealed())
    n_refused = 0
    for place in range(8 * len(wire)):
        flipped = bytearray(wire)
        flipped[place // 8] ^= 1 << place % 8
        try:
            envelope = UNWIRE.decode(bytes(flipped))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            n_refused += 1  # No envelope any more.
            continue
        if envelope == sealed():  # Another spelling of the same envelope on the wire.
            continue
        assert reason_of(envelope) is SealReason.FORGED, place
        n_refused += 1
    assert n_refused > 8 * (len(ORDER) + 32)


def test_no_part_can_pass_for_another() -> None:
    long = seal(KEY, b"1", run_id="run", decision_seq=11, expires_ns=100)
    moved = Sealed(b"", "run1", long.decision_seq, long.expires_ns, long.mac)
    assert reason_of(moved, run_id="run1") is SealReason.FORGED


def test_a_seal_opens_once_for_its_own_run_and_in_time() -> None:
    assert opened(sealed()) == ORDER
    assert reason_of(sealed(), last=7) is SealReason.REPLAYED
    assert reason_of(sealed(), last=8) is SealReason.REPLAYED
    assert reason_of(sealed(), run_id="other") is SealReason.OTHER_RUN
    assert reason_of(sealed(), now_ns=101) is SealReason.EXPIRED


def test_another_key_opens_nothing() -> None:
    forged = seal(SealKey(bytes(32)), ORDER, run_id="run", decision_seq=7, expires_ns=100)
    assert reason_of(forged) is SealReason.FORGED


def test_a_key_is_never_shown() -> None:
    with pytest.raises(SealRefused) as refused:
        opened(sealed(), last=9)
    with pytest.raises(TypeError, match="not written"):
        pickle.dumps(KEY)
    for text in (repr(KEY), str(KEY), f"{KEY}", str(refused.value), repr(sealed())):
        assert SECRET.hex() not in text
        assert repr(SECRET)[2:-1] not in text


def test_the_environment_comes_before_the_file(tmp_path: Path) -> None:
    key = load_seal_key(tmp_path, {KEY_VARIABLE: SECRET.hex()})
    assert key.mac(b"x") == KEY.mac(b"x")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "zz" * 32, SECRET.hex()[:-2], "no key at all"])
def test_what_is_no_key_is_refused_and_not_repeated(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load_seal_key(tmp_path, {KEY_VARIABLE: text})
    assert not text or text not in str(refused.value)


def test_a_key_file_is_made_once_and_only_for_us(tmp_path: Path) -> None:
    state = tmp_path / "state"
    key = load_seal_key(state, {})
    [path] = state.iterdir()
    assert path.name == "seal.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert (
        load_seal_key(state, {}).mac(b"x")
        == key.mac(b"x")
        == load_seal_key(tmp_path / "elsewhere", {KEY_VARIABLE: path.read_text()}).mac(b"x")
    )


def test_a_file_that_others_may_read_is_no_secret(tmp_path: Path) -> None:
    load_seal_key(tmp_path, {})
    path = tmp_path / "seal.key"
    for mode in (0o640, 0o604, 0o620, 0o602):
        path.chmod(mode)
        with pytest.raises(ConfigError, match=f"may be read by others \\(mode {mode:o}\\)"):
            load_seal_key(tmp_path, {})


def test_a_link_or_a_folder_in_the_files_place_is_refused(tmp_path: Path) -> None:
    load_seal_key(tmp_path / "other", {})
    (tmp_path / "a").mkdir()
    os.symlink(tmp_path / "other" / "seal.key", tmp_path / "a" / "seal.key")
    (tmp_path / "b" / "seal.key").mkdir(parents=True)
    for name in ("a", "b"):
        with pytest.raises(ConfigError, match="rm"):
            load_seal_key(tmp_path / name, {})
