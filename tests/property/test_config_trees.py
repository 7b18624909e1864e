"""Whatever stands in the file, the environment or a flag: it is a setting, or one line says why not."""

import string
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from njord.adapters.config_loader import explain, load_config
from njord.adapters.yaml_text import substitute
from njord.core.config import ALIASES, Config
from njord.core.config_shapes import config_hash
from njord.core.errors import ConfigError

Tree = dict[str, Any]
DEFAULTS: Tree = Config().model_dump()
SECTIONS = tuple(DEFAULTS)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)
SCALARS = st.none() | st.booleans() | st.integers(0, 10**6) | st.text(string.ascii_letters, max_size=8)
TREES = st.recursive(SCALARS, lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=6)


@contextmanager
def _folder(text: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "config").mkdir()
        (root / "config" / "base.yaml").write_text(text, encoding="utf-8", newline="")
        yield root


class _Dumper(yaml.SafeDumper):
    """Writes a Decimal as the number it is, and quotes every text: what YAML 1.1 leaves bare may be a number to us."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _number(dumper: yaml.SafeDumper, value: Decimal) -> yaml.ScalarNode:
    text = format(value, "f")
    return dumper.represent_scalar(f"tag:yaml.org,2002:{'float' if '.' in text else 'int'}", text)


_Dumper.add_representer(Decimal, _number)
_Dumper.add_representer(tuple, yaml.SafeDumper.represent_list)
_Dumper.add_representer(
    str, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:str", value, style='"')
)


def _yaml(tree: Tree) -> str:
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True).replace("${", "$${")


@given(
    parent=st.sampled_from([(), *((section,) for section in SECTIONS), ("risk", "profiles", "paper")]),
    name=NAMES,
    below=TREES,
)
def test_any_tree_of_unknown_keys_is_refused(parent: tuple[str, ...], name: str, below: object) -> None:
    known: Tree = DEFAULTS
    for key in parent:
        known = known[key]
    path = ".".join((*parent, name))
    if name in known or path in ALIASES:
        return
    tree: Tree = {name: below}
    for key in reversed(parent):
        tree = {key: tree}
    with _folder(_yaml(tree)) as root, pytest.raises(ConfigError) as caught:
        load_config(root, environ={})
    message = str(caught.value)
    assert message.startswith(f"unknown key {path} (config/base.yaml:")
    assert "\n" not in message


@given(name=st.from_regex(r"NJORD_[A-Z_]{0,30}", fullmatch=True))
def test_any_unknown_variable_is_refused(name: str) -> None:
    with tempfile.TemporaryDirectory() as root, pytest.raises(ConfigError, match="unknown variable"):
        load_config(Path(root), environ={f"{name}XQ": "1"})


@given(text=st.text(max_size=200) | st.text("ab:{}[]&*!#-?|>%@'\"\n \t,~${}1.", max_size=60))
def test_any_file_is_a_configuration_or_one_line(text: str) -> None:
    with _folder(text.encode("utf-8", "replace").decode()) as root:
        try:
            load_config(root, environ={})
        except ConfigError as error:
            assert len(str(error).splitlines()) == 1


@given(
    key=st.sampled_from(
        [key for key, _, _ in explain(load_config(Path("/nowhere"), environ={}))] + list(ALIASES)
    ),
    text=st.text(max_size=60) | st.decimals().map(str) | st.integers().map(str),
)
def test_any_text_in_a_flag_is_a_value_or_one_line(key: str, text: str) -> None:
    try:
        load_config(Path("/nowhere"), {key: text}, {})
    except ConfigError as error:
        message = str(error)
        assert len(message.splitlines()) == 1
        assert message.isprintable()


VARIABLES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
PIECES = st.text(string.printable, max_size=6).filter(lambda text: "$" not in text)


@given(parts=st.lists(st.tuples(PIECES, VARIABLES), min_size=1, max_size=4), unset=VARIABLES, value=PIECES)
def test_substitution_never_leaks_an_unset_variable(
    parts: list[tuple[str, str]], unset: str, value: str
) -> None:
    environ = {name: value for _, name in parts if name != unset}
    text = "".join(f"{piece}${{{name}}}" for piece, name in parts)
    with pytest.raises(ValueError, match="is not set"):
        substitute(f"{text}${{{unset}}}", environ)
    if unset not in {name for _, name in parts}:
        filled, names = substitute(text, environ)
        assert filled == "".join(piece + value for piece, _ in parts)
        assert set(names) == set(environ)


MONEY = st.decimals("0.01", 10**9, places=2)
BPS = st.decimals(0, 10_000, places=4)
PARAMS = st.dictionaries(
    NAMES,
    st.integers(0, 10**9)
    | st.decimals(0, 10**6, places=6)
    | st.booleans()
    | st.text(string.ascii_letters + string.digits + " .:#${}'\"-[]éß", max_size=12)
    | st.lists(st.sampled_from(["BTC/USDT", "ETH/USDT", "7", "true"]), max_size=3),
    max_size=4,
)


@st.composite
def configs(draw: st.DrawFn) -> Config:
    profile = {
        "description": draw(st.text(string.ascii_letters + " :#${}'\"é\u2028", min_size=1, max_size=30)),
        "rules": draw(st.dictionaries(NAMES, PARAMS, max_size=4)),
    }
    tree: Tree = Config().model_dump()
    tree["risk"]["profiles"]["own"] = profile
    tree["app"]["env"] = draw(st.sampled_from(["dev", "paper", "live"]))
    tree["exchange"]["symbols"] = draw(st.lists(st.sampled_from(["BTC/USDT", "BTC/USD:USD"]), unique=True))
    tree["backtest"] |= {
        "capital": draw(MONEY),
        "fee_bps": draw(BPS),
        "maker_fee_bps": draw(st.decimals(-100, 10_000, places=3)),
        "seed": draw(st.integers(0, 2**63 - 1)),
        "risk_profile": draw(st.sampled_from(["research", "own"])),
    }
    return Config.model_validate(tree)


@given(config=configs())
def test_a_configuration_written_as_yaml_reads_back_the_same(config: Config) -> None:
    with _folder(_yaml(config.model_dump())) as root:
        loaded = load_config(root, environ={})
    assert loaded.config == config
    assert config_hash(loaded.config) == config_hash(config)
    assert all(origin.startswith("config/base.yaml:") for origin in loaded.origins.values())


@given(secret=st.text(string.ascii_letters + string.digits, min_size=8, max_size=20), broken=st.booleans())
def test_a_secret_is_never_shown(secret: str, broken: bool) -> None:
    secret = f"zq{secret}"
    url = f"{'http' if broken else 'redis'}://:{secret}@host"
    with tempfile.TemporaryDirectory() as root:
        try:
            loaded = load_config(Path(root), environ={"NJORD_REDIS__URL": url})
        except ConfigError as error:
            assert broken
            assert secret not in str(error)
        else:
            assert not broken
            assert secret not in f"{loaded} {explain(loaded)} {loaded.config!r}"
            assert secret in loaded.secrets
