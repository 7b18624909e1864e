"""Keys: from a sops file or the environment, as they are or not at all, and shown to nobody."""

import copy
import pickle
from pathlib import Path

import msgspec
import pytest

from njord.adapters.secrets import Keys, Secret, load_keys
from njord.core.errors import ConfigError
from tests.unit.adapters.sops_file import AgeIdentity, Tree, sops_text

KEY, SECRET = "canaryKEY5f3a", "canarySECRET9b1c"
FILE = "config/secrets.enc.yaml"
TREE = {"binanceus": {"main": {"api_key": KEY, "api_secret": SECRET}}}
ME = AgeIdentity()
ENVIRON = {"SOPS_AGE_KEY": str(ME)}


def written(root: Path, text: str) -> Path:
    path = root / FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def load(root: Path, account: str = "main", environ: dict[str, str] | None = None) -> Keys:
    return load_keys(root, "binanceus", account, FILE, ENVIRON if environ is None else environ)


@pytest.mark.parametrize("only_encrypted", [False, True])
def test_keys_come_out_of_a_file_that_is_encrypted_for_us_among_others(
    tmp_path: Path, only_encrypted: bool
) -> None:
    tree = {"note_unencrypted": "of 2026", "n_unencrypted": 3, "list": ["a", 1, {"b": True}], **TREE}
    written(tmp_path, sops_text(tree, AgeIdentity(), ME, only_encrypted=only_encrypted))
    keys = load(tmp_path)
    assert (keys.api_key.reveal(), keys.api_secret.reveal()) == (KEY, SECRET)
    assert (keys.venue, keys.account, keys.origin) == ("binanceus", "main", FILE)


def test_the_identity_may_lie_in_a_file_that_nobody_else_reads(tmp_path: Path) -> None:
    written(tmp_path, sops_text(TREE, ME))
    key_file = tmp_path / "sops" / "age" / "keys.txt"
    key_file.parent.mkdir(parents=True)
    key_file.write_text(f"# created: 2026\n# public key: age1...\n{ME}\n")
    key_file.chmod(0o600)
    for environ in ({"SOPS_AGE_KEY_FILE": str(key_file)}, {"XDG_CONFIG_HOME": str(tmp_path)}):
        assert load(tmp_path, environ=environ).api_key.reveal() == KEY
    key_file.chmod(0o640)
    with pytest.raises(ConfigError, match="can be read by others; chmod 600"):
        load(tmp_path, environ={"SOPS_AGE_KEY_FILE": str(key_file)})
    with pytest.raises(ConfigError, match="which is not there"):
        load(tmp_path, environ={"SOPS_AGE_KEY_FILE": str(tmp_path / "gone")})


def test_keys_come_out_of_the_environment_where_no_file_is_named(tmp_path: Path) -> None:
    environ = {"NJORD_BINANCEUS_API_KEY": KEY, "NJORD_BINANCEUS_API_SECRET": SECRET}
    keys = load_keys(tmp_path, "binanceus", "main", None, environ)
    assert (keys.api_key.reveal(), keys.api_secret.reveal(), keys.origin) == (KEY, SECRET, "the environment")
    with pytest.raises(
        ConfigError, match="NJORD_BINANCEUS_API_KEY is set and NJORD_BINANCEUS_API_SECRET is not"
    ):
        load_keys(tmp_path, "binanceus", "main", None, {"NJORD_BINANCEUS_API_KEY": KEY})
    with pytest.raises(ConfigError, match="there are no keys"):
        load_keys(tmp_path, "binanceus", "main", None, {})


CHANGES = {
    "a value": (lambda text: text.replace("data:", "data:AAAA", 1)),
    "its name": (lambda text: text.replace("api_key", "api_kex")),
    "the account": (lambda text: text.replace("main:", "mine:")),
    "the order": (
        lambda text: (
            text.replace("api_key", "x").replace("api_secret", "api_key").replace("x:", "api_secret:")
        )
    ),
    "the date": (lambda text: text.replace("2026-01-02", "2026-01-03")),
    "the MAC taken away": (lambda text: text.replace("  mac:", "  cam:")),
    "a value more": (lambda text: "more: 1\n" + text),
    "a value in the open": (
        lambda text: text.replace("note_unencrypted: of 2026", "note_unencrypted: of 2027")
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_was_changed_is_refused_as_a_whole(tmp_path: Path, change: str) -> None:
    text = sops_text({"note_unencrypted": "of 2026", **TREE}, ME)
    changed = CHANGES[change](text)
    assert changed != text
    written(tmp_path, changed)
    with pytest.raises(ConfigError, match=f"{FILE} was changed since it was encrypted"):
        load(tmp_path)


REFUSED: dict[str, tuple[Tree, str]] = {
    "another account": ({"binanceus": {"other": TREE["binanceus"]["main"]}}, "has no binanceus.main.api_key; accounts of binanceus: other"),
    "no secret": ({"binanceus": {"main": {"api_key": KEY}}}, "has no binanceus.main.api_secret"),
    "ciphertext": ({"binanceus": {"main": {"api_key": "ENC[AES256_GCM,data:x]", "api_secret": SECRET}}}, "is still encrypted: ciphertext is no key"),
    "age armor": ({"binanceus": {"main": {"api_key": KEY, "api_secret": "-----BEGIN AGE ENCRYPTED FILE-----"}}}, "ciphertext is no key"),
    "a line end": ({"binanceus": {"main": {"api_key": KEY + "\n", "api_secret": SECRET}}}, "is no key"),
    "a space": ({"binanceus": {"main": {"api_key": KEY, "api_secret": SECRET + " "}}}, "is no key"),
    "twice the same": ({"binanceus": {"main": {"api_key": KEY, "api_secret": KEY}}}, "are the same"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_key_is_refused_in_one_line_without_it(tmp_path: Path, case: str) -> None:
    tree, told = REFUSED[case]
    written(tmp_path, sops_text(tree, ME))
    with pytest.raises(ConfigError) as refused:
        load(tmp_path)
    text = str(refused.value)
    assert told in text
    assert "\n" not in text
    assert KEY not in text and SECRET not in text


def test_keys_in_the_open_are_refused_wherever_they_stand(tmp_path: Path) -> None:
    written(tmp_path, f"binanceus:\n  main:\n    api_key: {KEY}\n    api_secret: {SECRET}\n")
    with pytest.raises(ConfigError, match="is not encrypted, and keys are never read in the open") as refused:
        load(tmp_path)
    assert KEY not in str(refused.value)
    tree = {
        "binanceus": {"main": {"api_key": KEY, "api_secret": SECRET}, "suffix_unencrypted": {"api_key": KEY}}
    }
    text = sops_text(tree, ME).replace("main:", "main_unencrypted:")
    assert "main_unencrypted" in text
    open_tree = {"binanceus": {"main_unencrypted": {"api_key": KEY, "api_secret": SECRET}}}
    written(tmp_path, sops_text(open_tree, ME))
    with pytest.raises(ConfigError, match="is not encrypted; change it at the venue"):
        load(tmp_path, "main_unencrypted")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [1, 2", "it is no YAML"),
        ("- 1\n- 2\n", "it has no keys and values"),
        ("", "it has no keys and values"),
        ("a: &x 1\nb: *x\n", "it has aliases or tags"),
        ("a: !!python/object:os.system x\n", "it has aliases or tags"),
        ("a: 1\na: 2\nsops: {}\n", "it is no YAML"),
        ("a: " + "[" * 500_000, "it is nested too deeply"),
        ("a: .inf\n", "it is no YAML"),
        ("sops:\n  version: 3\n", "is not encrypted for age"),
        ("x" * ((1 << 20) + 1), "it has more than"),
    ],
)
def test_a_strange_file_is_one_line(tmp_path: Path, text: str, told: str) -> None:
    written(tmp_path, text)
    with pytest.raises(ConfigError, match=told):
        load(tmp_path)


def test_without_an_identity_that_fits_it_says_whose_is_missing(tmp_path: Path) -> None:
    written(tmp_path, sops_text(TREE, AgeIdentity()))
    with pytest.raises(ConfigError, match="encrypted for others: none of your age identities opens it"):
        load(tmp_path)
    with pytest.raises(ConfigError, match="there is no age identity"):
        load(tmp_path, environ={"HOME": str(tmp_path)})
    with pytest.raises(ConfigError, match="there is no age identity"):
        load(tmp_path, environ={"SOPS_AGE_KEY": "AGE-SECRET-KEY-1NONSENSE"})
    (tmp_path / FILE).unlink()
    with pytest.raises(ConfigError, match=f"live.keys_file names {FILE}, which is not there"):
        load(tmp_path)


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret(KEY)
    keys = Keys("binanceus", "main", secret, Secret(SECRET), "a test")
    shown = [
        repr(secret), str(secret), f"{secret}", f"{secret:>40}", repr(keys), str(keys),
        repr([secret]), repr({"a": secret}), repr(vars(type(secret))), repr(dir(secret)),
    ]  # fmt: skip
    assert not [text for text in shown if KEY in text or SECRET in text]
    for write in (pickle.dumps, copy.copy, copy.deepcopy, msgspec.json.encode, hash):
        with pytest.raises(TypeError) as refused:
            write(secret)
        assert KEY not in str(refused.value)
    assert secret == Secret(KEY)
    assert secret != Secret(SECRET)
    assert secret != KEY
