"""Shared by all tests: how hard hypothesis looks, where recorded data lie, and no garbage collected before there is any."""

import gc
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# `make test` is bounded to 30 s and always the same. The others draw a new seed each time and print it on failure:
# `sample` in CI, `deep` in `make campaign`.
_SLOW_IS_FINE = [HealthCheck.too_slow]
settings.register_profile(
    "fast", max_examples=10, deadline=None, derandomize=True, suppress_health_check=_SLOW_IS_FINE
)
settings.register_profile("sample", max_examples=150, deadline=None, suppress_health_check=_SLOW_IS_FINE)
settings.register_profile("deep", max_examples=2_000, deadline=None, suppress_health_check=_SLOW_IS_FINE)
settings.load_profile(os.environ.get("NJORD_TEST_PROFILE", "fast"))

# What is imported to collect the tests lives to the end: looking through it again and again is a fifth of collecting.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


RECORDINGS = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def recordings() -> Path:
    """The folder of recorded markets beside the project; absent data skip, except in CI, where they must be there."""
    if not RECORDINGS.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"recorded markets are missing: {RECORDINGS}")
        pytest.skip(f"no recorded markets at {RECORDINGS}")
    return RECORDINGS
