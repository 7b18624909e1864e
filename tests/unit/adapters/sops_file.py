"""Writes files as sops 3 does, for tests: none is installed. By the format that its source documents."""

import base64
import hashlib
import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import yaml
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

_age: Any = import_module("pyrage")
MODIFIED = "2026-01-02T03:04:05Z"
Tree = Mapping[str, Any]


class AgeIdentity:
    """Somebody's key pair."""

    def __init__(self) -> None:
        self._identity = _age.x25519.Identity.generate()

    def __str__(self) -> str:
        return str(self._identity)

    def wrapped(self, data: bytes) -> str:
        """Return `data` encrypted for them, in armor."""
        sealed = base64.b64encode(_age.encrypt(data, [self._identity.to_public()])).decode()
        lines = "\n".join(sealed[at : at + 64] for at in range(0, len(sealed), 64))
        return f"-----BEGIN AGE ENCRYPTED FILE-----\n{lines}\n-----END AGE ENCRYPTED FILE-----\n"


def sealed(key: bytes, text: str, names: str, kind: str = "str") -> str:
    """Return a value as sops writes it."""
    iv = os.urandom(32)
    sealer = Cipher(AES(key), GCM(iv)).encryptor()
    sealer.authenticate_additional_data(names.encode())
    data = sealer.update(text.encode()) + sealer.finalize()
    parts = [base64.b64encode(part).decode() for part in (data, iv, sealer.tag)]
    return f"ENC[AES256_GCM,data:{parts[0]},iv:{parts[1]},tag:{parts[2]},type:{kind}]"


def sops_text(tree: Tree, *identities: AgeIdentity, only_encrypted: bool = False) -> str:
    """Return `tree` encrypted; what stands under a name that ends in _unencrypted stays in the open."""
    key = os.urandom(32)
    mac = hashlib.sha512(hashlib.sha256(b"sops").digest() if only_encrypted else b"")

    def walk(node: Any, names: tuple[str, ...], is_open: bool) -> Any:
        if isinstance(node, Mapping):
            return {
                name: walk(item, (*names, name), is_open or name.endswith("_unencrypted"))
                for name, item in node.items()
            }
        if isinstance(node, list):
            return [walk(item, names, is_open) for item in node]
        text = str(node)
        if not is_open or not only_encrypted:
            mac.update(text.encode())
        return node if is_open else sealed(key, text, ":".join(names) + ":", type(node).__name__)

    out = walk(tree, (), False)
    out["sops"] = {
        "kms": [],
        "age": [{"recipient": "age1...", "enc": identity.wrapped(key)} for identity in identities],
        "lastmodified": MODIFIED,
        "mac": sealed(key, mac.hexdigest().upper(), MODIFIED),
        "version": "3.9.4",
        **({"mac_only_encrypted": True} if only_encrypted else {}),
    }
    return yaml.safe_dump(out, sort_keys=False)
