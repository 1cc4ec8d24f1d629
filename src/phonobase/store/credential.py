"""What somebody shows to be let in: an id, which is looked up, and a secret, of which only a hash is kept."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Self
from uuid import UUID

_SECRET_BYTES = 32
_FORM = re.compile(r"([a-z]+)_([0-9a-f]{32})_([A-Za-z0-9_-]{43})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Credential:
    """An id and a secret, as one word: ``kind_id_secret``.

    Attributes:
        kind: What it is for, so that nobody takes one for another.
        id: Of its row.
        secret: 256 random bits, which are never stored.
    """

    kind: str
    id: UUID
    secret: str = field(repr=False)

    @classmethod
    def new(cls, kind: str, id_: UUID) -> Self:
        """Return one that nobody has yet."""
        return cls(kind, id_, secrets.token_urlsafe(_SECRET_BYTES))

    @classmethod
    def parse(cls, kind: str, word: str) -> Self | None:
        """Return what a word says; None where it has not the form of one."""
        match = _FORM.fullmatch(word)
        return cls(kind, UUID(match[2]), match[3]) if match and match[1] == kind else None

    def sha256(self) -> bytes:
        """Return what is kept of the secret."""
        # It is random as a whole: a hash that is slow on purpose would add nothing.
        return hashlib.sha256(self.secret.encode("ascii")).digest()

    def is_of(self, secret_sha256: bytes) -> bool:
        """Return whether a hash is that of the secret, in a time that does not tell how much of it is."""
        return hmac.compare_digest(self.sha256(), secret_sha256)

    def word(self) -> str:
        """Return it as it is shown."""
        return f"{self.kind}_{self.id.hex}_{self.secret}"
