"""The pages of the documentation, and the code in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^```(\w+) ?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A piece of code in a page.

    Attributes:
        language: As the fence has it.
        marks: What the fence says behind the language.
        code: What stands in it.
        line: Where it begins.
    """

    language: str
    marks: str
    code: str
    line: int


def text(page: str) -> str:
    """Returns a page, named from the top of the repository."""
    return (ROOT / page).read_text()


def blocks(page: str, language: str) -> list[Block]:
    """Returns the code of a language in a page."""
    content = text(page)
    return [
        Block(match[1], match[2], match[3], content.count("\n", 0, match.start(3)) + 1)
        for match in _FENCE.finditer(content)
        if match[1] == language
    ]
