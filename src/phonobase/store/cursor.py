"""Where a page of recordings ends, as a short text that stays true when recordings come and go."""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from phonobase.errors import InvalidDetails
from phonobase.store.columns import from_us, to_us

if TYPE_CHECKING:
    from datetime import datetime

_LAYOUT = struct.Struct(">q16s")


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the order of recordings, which begins with the newest.

    Attributes:
        started_at: When the recording in front of it began.
        recording_id: That recording; it need not be there any more.
    """

    started_at: datetime
    recording_id: UUID

    def __str__(self) -> str:
        packed = _LAYOUT.pack(to_us(self.started_at), self.recording_id.bytes)
        return base64.urlsafe_b64encode(packed).decode()

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Return the place that a text stands for.

        Raises:
            InvalidDetails: It stands for none.
        """
        try:
            time_us, digits = _LAYOUT.unpack(base64.b64decode(text, altchars=b"-_", validate=True))
            return cls(from_us(time_us), UUID(bytes=digits))
        except (binascii.Error, struct.error, OverflowError, TypeError, ValueError) as error:
            raise InvalidDetails(
                f"{text!r} is no place in a list; pass what came with the page before, or nothing to begin"
            ) from error
