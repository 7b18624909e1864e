"""YAML without its traps: numbers exact, nothing expands, nothing executes, every refusal one line with its place."""

from decimal import Decimal
from pathlib import Path

import pytest

from njord.adapters.yaml_text import BYTES_MAX, DEPTH_MAX, ITEMS_MAX, Leaf, read_yaml, resolve, substitute
from njord.core.errors import ConfigError


def _read(tmp_path: Path, text: str | bytes, *, typed: bool = True) -> list[Leaf]:
    path = tmp_path / "x.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_yaml(path, "x.yaml", {"HOME": "/root", "EMPTY": ""}, typed=typed)


def _refusal(tmp_path: Path, text: str | bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        _read(tmp_path, text)
    message = str(caught.value)
    assert message.startswith("x.yaml")
    assert "\n" not in message
    assert len(message) < 400
    return message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("false", False),
        ("0", 0),
        ("-12", -12),
        ("0.1", Decimal("0.1")),
        (".5", Decimal("0.5")),
        ("1e-8", Decimal("0.00000001")),
        ("no", "no"),
        ("on", "on"),
        ("True", "True"),
        ("012", Decimal(12)),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        (".nan", ".nan"),
        (".inf", ".inf"),
        ("١٢", "١٢"),
    ],
)
def test_an_unquoted_value_is_what_it_looks_like(text: str, value: object) -> None:
    resolved = resolve(text)
    assert resolved == value
    assert type(resolved) is type(value)


def test_leaves_carry_their_path_and_line(tmp_path: Path) -> None:
    leaves = _read(tmp_path, "\ufeff# c\na:\n  b: 1\n  c: [x, '2', 3]\nd: {}\n")
    assert leaves == [
        Leaf(("a", "b"), 1, 3),
        Leaf(("a", "c"), ["x", "2", 3], 4),
        Leaf(("d",), {}, 5),
    ]


def test_values_stay_text_where_that_is_asked_for(tmp_path: Path) -> None:
    assert [leaf.value for leaf in _read(tmp_path, "a: 0.10\nb: true\nc:\n", typed=False)] == [
        "0.10",
        "true",
        "",
    ]


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "{}\n"])
def test_a_file_without_values_has_no_leaf_with_a_path(tmp_path: Path, text: str) -> None:
    assert [leaf for leaf in _read(tmp_path, text) if leaf.path] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "x.yaml:3: key a stands here and in line 1"),
        ("a: {b: 1, b: 2}\n", "key b stands here and in line 1"),
        ("a:\n\t- b\n", "x.yaml:2 is not YAML"),
        ("a:\n\t- b\n", "indent with spaces"),
        ("a: [\n", "is not YAML"),
        ("a: b: c\n", "x.yaml:1 is not YAML"),
        ("- a\n", "x.yaml:1: the file must hold keys and values"),
        ("just text\n", "the file must hold keys and values"),
        ("a: 1\n---\nb: 2\n", "second document"),
        ("a: &x 1\n", "x.yaml:1: anchors and aliases (x)"),
        ("a: *x\n", "anchors and aliases (x)"),
        ("a: !!python/object/apply:os.system [id]\n", "x.yaml:1: tags"),
        ("!!set {a}\n", "tags"),
        ("a: !secret x\n", "tags"),
        ("? [a, b]\n: 1\n", "a key must be plain text"),
        ("a: [{b: {c: 1}}]\n", "x.yaml:1: a.b: a list may hold plain values"),
        ("a: [{b: 1, b: 2}]\n", "x.yaml:1: a key must be plain text, and stand once"),
        ("a: [{b: *x}]\n", "anchors and aliases"),
        ("a: [[1]]\n", "a list may hold plain values"),
        ("a: " + "9" * 5000, "40 characters at most"),
        (f"{'9' * 900}: [[1]]", "a list may hold"),
        ("a:\n  b: ENC[AES256_GCM]\n", "x.yaml:2: a.b is still encrypted"),
        ("a: ['ENC[x]']\n", "still encrypted"),
        ("a: ${NOPE}\n", "x.yaml:1: a: ${NOPE} is not set; export NOPE=... or give a default: ${NOPE:-...}"),
        ("a: [x, '${NOPE}']\n", "${NOPE} is not set"),
        ("a: ${HOME\n", "is not ${NAME}"),
        ("a: ${}\n", "is not ${NAME}"),
        ("a: ${a b}\n", "is not ${NAME}"),
        ("a: ${1}\n", "is not ${NAME}"),
        ("a: \x00\n", "is not YAML"),
        (b"a: \xff\n", "x.yaml is not UTF-8 text (byte 3)"),
        (b"a: \xed\xa0\x80\n", "is not UTF-8"),
        ("a: 1\n" + "#" * BYTES_MAX, "larger than 1 MiB"),
        ("a: {" * (DEPTH_MAX + 1) + "}" * (DEPTH_MAX + 1), f"nested deeper than {DEPTH_MAX} levels"),
        ("a: " + "[" * 100_000, "a list may hold plain values"),
        ("{" * 100_000, "a key must be plain text"),
        ("".join(f"k{n}: 1\n" for n in range(ITEMS_MAX)), f"more than {ITEMS_MAX} keys and values"),
        ("a: [" + "1," * (ITEMS_MAX) + "]\n", f"more than {ITEMS_MAX} keys and values"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_in_one_line(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    assert message in _refusal(tmp_path, text)


def test_a_bomb_of_aliases_never_expands(tmp_path: Path) -> None:
    layers = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 12))
    assert "anchors and aliases" in _refusal(tmp_path, "l0: &l0 [x]\n" + layers)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="x is not a regular file"):
        read_yaml(tmp_path / "none", "x", {})


@pytest.mark.parametrize(
    ("text", "filled", "names"),
    [
        ("plain $HOME $", "plain $HOME $", ()),
        ("${HOME}/x", "/root/x", ("HOME",)),
        ("${NOPE:-d}", "d", ("NOPE",)),
        ("${NOPE:-}", "", ("NOPE",)),
        ("${EMPTY}", "", ("EMPTY",)),
        ("${EMPTY:-d}", "", ("EMPTY",)),
        ("${HOME}${HOME}", "/root/root", ("HOME", "HOME")),
        ("$${HOME}", "${HOME}", ()),
        ("${NOPE:-a:-b}", "a:-b", ("NOPE",)),
        ("${TWICE}", "${HOME}", ("TWICE",)),
    ],
)
def test_variables_are_filled_in_once(text: str, filled: str, names: tuple[str, ...]) -> None:
    environ = {"HOME": "/root", "EMPTY": "", "TWICE": "${HOME}"}
    assert substitute(text, environ) == (filled, names)


def test_a_filled_in_value_is_typed_like_a_written_one(tmp_path: Path) -> None:
    leaves = _read(tmp_path, "a: ${N:-5}\nb: '${N:-5}'\nc: ${EMPTY}\n")
    assert [leaf.value for leaf in leaves] == [5, "5", None]


def test_a_variable_can_not_bring_structure_with_it(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("a: ${EVIL}\n")
    evil = "1\nrisk: {profiles: {}}"
    assert read_yaml(path, "x.yaml", {"EVIL": evil}) == [Leaf(("a",), evil, 1, ("EVIL",))]
