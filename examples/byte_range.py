"""What a player asks for that does not want a file from its beginning: for frameworks that do not read it."""

import re


def byte_range(header: str | None, size: int) -> tuple[int, int]:
    """Return the first byte that a Range header asks for and the one behind the last.

    Args:
        header: What the request says; all of the file, where it says nothing.
        size: Of the file, in bytes.

    Raises:
        ValueError: It asks for no byte of the file, or for several ranges.
    """
    if header is None:
        return 0, size
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header.strip(), re.ASCII)
    if match is None or match[0] == "bytes=-":
        raise ValueError("ask for one range of bytes")
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(int(last) + 1, size) if first and last else size
    if start >= stop:
        raise ValueError("there are no such bytes")
    return start, stop
