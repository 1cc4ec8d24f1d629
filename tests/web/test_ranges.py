"""Parts of a recording, and conditions: RFC 9110, sections 13 and 14."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from phonobase import Archive
from phonobase.web import create_app
from tests.store.judge import Program, random_pcm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from httpx2 import Response

_SECONDS, _RATE = 11, 8_000


@dataclass(frozen=True)
class Served:
    """A recording that is served, and what its file really holds."""

    client: TestClient
    path: str
    file: bytes
    tag: str
    date: str

    def get(self, headers: Mapping[str, str], method: str = "GET") -> Response:
        """Asks for it; `{tag}`, `{date}` and `{size}` in a value stand for its own."""
        filled = {
            name: value.format(tag=self.tag, date=self.date, size=len(self.file), last=len(self.file) - 1)
            for name, value in headers.items()
        }
        return self.client.request(method, self.path, headers=filled)


@pytest.fixture(scope="module")
def served(shared_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A recording of several chunks."""
    with Archive(shared_url) as archive, TestClient(create_app(archive)) as client:
        recording = archive.add(random_pcm(_SECONDS * _RATE, 1, "int16"), _RATE)
        assert recording.chunk_count > 3
        path = tmp_path_factory.mktemp("ranges") / "file"
        file = Program(shared_url).write_clip(path).read_bytes()
        url = f"/api/recordings/{recording.id.hex}/audio"
        headers = client.head(url).headers
        yield Served(client, url, file, headers["etag"], headers["last-modified"])


_SIZE = "whole"
_PARTS: dict[str, tuple[str, tuple[int | None, int | None] | str]] = {
    "the first byte": ("bytes=0-0", (0, 1)),
    "the first two": ("bytes=0-1", (0, 2)),
    "the header and more": ("bytes=0-65535", (0, 65536)),
    "in the middle": ("bytes=40000-99999", (40000, 100000)),
    "to the end": ("bytes=100000-", (100000, None)),
    "from the beginning to the end": ("bytes=0-", (0, None)),
    "all, said exactly": ("bytes=0-{last}", (0, None)),
    "beyond the end": ("bytes=100000-{size}", (100000, None)),
    "far beyond the end": ("bytes=100000-99999999999999999999999999999999", (100000, None)),
    "the last byte": ("bytes=-1", (-1, None)),
    "the last bytes": ("bytes=-1000", (-1000, None)),
    "as many last ones as there are": ("bytes=-{size}", (0, None)),
    "more last ones than there are": ("bytes=-99999999999999999999999999999999", (0, None)),
    "the last by number": ("bytes={last}-", (-1, None)),
    "zeros before a number": ("bytes=0000000000000000000000000000007-8", (7, 9)),
    "the unit in capitals": ("BYTES=7-8", (7, 9)),
    "white space around": ("bytes= 7-8\t", (7, 9)),
    "empty elements of the list": ("bytes=,7-8, ,", (7, 9)),
    "behind the end": ("bytes={size}-", "none"),
    "behind the end, both": ("bytes={size}-999999999", "none"),
    "far behind the end": ("bytes=99999999999999999999999999999999-", "none"),
    "no last bytes": ("bytes=-0", "none"),
    "backwards": ("bytes=5-2", _SIZE),
    "several": ("bytes=0-0,5-9", _SIZE),
    "several that overlap": ("bytes=0-99,50-149", _SIZE),
    "several, one of them behind the end": ("bytes=0-0,{size}-", _SIZE),
    "very many": ("bytes=" + ",".join(["0-"] * 500), _SIZE),
    "another unit": ("seconds=0-1", _SIZE),
    "no unit": ("0-1", _SIZE),
    "nothing": ("", _SIZE),
    "only the unit": ("bytes", _SIZE),
    "no range": ("bytes=", _SIZE),
    "only a dash": ("bytes=-", _SIZE),
    "no dash": ("bytes=7", _SIZE),
    "a sign": ("bytes=+7-8", _SIZE),
    "two dashes": ("bytes=--7", _SIZE),
    "a negative end": ("bytes=7--8", _SIZE),
    "a fraction": ("bytes=0.5-7", _SIZE),
    "hexadecimal": ("bytes=0x7-0x8", _SIZE),
    "an underscore": ("bytes=1_0-2_0", _SIZE),
    "white space within": ("bytes=7 - 8", _SIZE),
    "white space before the sign": ("bytes =7-8", _SIZE),
    "letters": ("bytes=a-b", _SIZE),
}


@pytest.mark.parametrize("case", _PARTS)
def test_parts(served: Served, case: str) -> None:
    """Of a range come its bytes and no others, and what is none that can be answered is said or ignored."""
    header, expected = _PARTS[case]
    answer = served.get({"Range": header})
    size = len(served.file)
    assert answer.headers["accept-ranges"] == "bytes"
    if expected == "none":
        assert answer.status_code == 416
        assert answer.headers["content-range"] == f"bytes */{size}"
        assert answer.headers["content-type"] == "application/problem+json"
        return
    assert answer.headers["etag"] == served.tag
    if isinstance(expected, str):
        assert answer.status_code == 200
        assert "content-range" not in answer.headers
        assert answer.content == served.file
        return
    first, end, _ = slice(*expected).indices(size)
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {first}-{end - 1}/{size}"
    assert answer.headers["content-length"] == str(end - first)
    assert answer.content == served.file[first:end]


def test_two_fields(served: Served) -> None:
    """Two fields with a range each are several ranges."""
    answer = served.client.get(served.path, headers=[("Range", "bytes=0-0"), ("Range", "bytes=5-5")])
    assert (answer.status_code, answer.content) == (200, served.file)


_CONDITIONS: dict[str, tuple[dict[str, str], int]] = {
    "If-None-Match: the tag": ({"If-None-Match": "{tag}"}, 304),
    "If-None-Match: it, weak": ({"If-None-Match": "W/{tag}"}, 304),
    "If-None-Match: any": ({"If-None-Match": "*"}, 304),
    "If-None-Match: one of several": ({"If-None-Match": '"a", W/"b,c" , {tag}'}, 304),
    "If-None-Match: another": ({"If-None-Match": '"another"'}, 200),
    "If-None-Match: without quotes": ({"If-None-Match": "another"}, 200),
    "If-None-Match: nothing": ({"If-None-Match": ""}, 200),
    "If-None-Match, and a range": ({"If-None-Match": "{tag}", "Range": "bytes=0-0"}, 304),
    "If-None-Match counts, not the date": (
        {"If-None-Match": '"another"', "If-Modified-Since": "{date}"},
        200,
    ),
    "If-Modified-Since: the date": ({"If-Modified-Since": "{date}"}, 304),
    "If-Modified-Since: earlier": ({"If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"}, 200),
    "If-Modified-Since: later": ({"If-Modified-Since": "Fri, 01 Jan 2500 00:00:00 GMT"}, 304),
    "If-Modified-Since: earlier, the old way": ({"If-Modified-Since": "Sunday, 06-Nov-94 08:49:37 GMT"}, 200),
    "If-Modified-Since: earlier, as C does": ({"If-Modified-Since": "Sun Nov  6 08:49:37 1994"}, 200),
    "If-Modified-Since: no date": ({"If-Modified-Since": "yesterday"}, 200),
    "If-Modified-Since: no day": ({"If-Modified-Since": "Sun, 99 Nov 9999 99:99:99 GMT"}, 200),
    "If-Match: the tag": ({"If-Match": "{tag}"}, 200),
    "If-Match: one of several": ({"If-Match": '"a", {tag}'}, 200),
    "If-Match: any": ({"If-Match": "*"}, 200),
    "If-Match: it, weak": ({"If-Match": "W/{tag}"}, 412),
    "If-Match: another": ({"If-Match": '"another"'}, 412),
    "If-Match: another, and a range": ({"If-Match": '"another"', "Range": "bytes=0-0"}, 412),
    "If-Match comes first": ({"If-Match": '"another"', "If-None-Match": "{tag}"}, 412),
    "If-Match counts, not the date": (
        {"If-Match": "{tag}", "If-Unmodified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"},
        200,
    ),
    "If-Unmodified-Since: the date": ({"If-Unmodified-Since": "{date}"}, 200),
    "If-Unmodified-Since: earlier": ({"If-Unmodified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"}, 412),
    "If-Unmodified-Since: no date": ({"If-Unmodified-Since": "yesterday"}, 200),
    "If-Range: the tag": ({"If-Range": "{tag}", "Range": "bytes=7-8"}, 206),
    "If-Range: it, weak": ({"If-Range": "W/{tag}", "Range": "bytes=7-8"}, 200),
    "If-Range: another": ({"If-Range": '"another"', "Range": "bytes=7-8"}, 200),
    "If-Range: several": ({"If-Range": '"another", {tag}', "Range": "bytes=7-8"}, 200),
    "If-Range: any": ({"If-Range": "*", "Range": "bytes=7-8"}, 200),
    "If-Range: the date": ({"If-Range": "{date}", "Range": "bytes=7-8"}, 206),
    "If-Range: a later date": ({"If-Range": "Fri, 01 Jan 2500 00:00:00 GMT", "Range": "bytes=7-8"}, 200),
    "If-Range: an earlier one": ({"If-Range": "Sun, 06 Nov 1994 08:49:37 GMT", "Range": "bytes=7-8"}, 200),
    "If-Range: junk": ({"If-Range": "junk", "Range": "bytes=7-8"}, 200),
    "If-Range without a range": ({"If-Range": '"another"'}, 200),
    "If-Range: another, behind the end": ({"If-Range": '"another"', "Range": "bytes={size}-"}, 200),
    "If-Match holds, and a range": ({"If-Match": "{tag}", "Range": "bytes=7-8"}, 206),
}


@pytest.mark.parametrize("case", _CONDITIONS)
def test_conditions(served: Served, case: str) -> None:
    """What is there is sent, or not, or in part, by what they have."""
    headers, status = _CONDITIONS[case]
    answer = served.get(headers)
    assert answer.status_code == status
    if status == 412:
        assert answer.headers["content-type"] == "application/problem+json"
    elif status == 304:
        assert answer.content == b""
        assert answer.headers["etag"] == served.tag
        assert answer.headers["cache-control"] == "private, no-cache"
    else:
        assert answer.content == (served.file if status == 200 else served.file[7:9])


@pytest.mark.parametrize("header", ["bytes=7-8", "bytes=999999999-", "bytes=5-2", ""])
def test_head_has_no_ranges(served: Served, header: str) -> None:
    """A HEAD says what a GET of all would, whatever range it names, and brings nothing."""
    whole = served.get({})
    answer = served.get({"Range": header}, "HEAD")
    assert (answer.status_code, answer.content) == (200, b"")
    for name in ("content-length", "content-type", "etag", "last-modified", "content-disposition"):
        assert answer.headers[name] == whole.headers[name]
    assert int(answer.headers["content-length"]) == len(served.file)


@pytest.mark.parametrize("condition", ["If-None-Match", "If-Match"])
def test_head_has_conditions(served: Served, condition: str) -> None:
    """A HEAD is answered by what they have as a GET is."""
    status = {"If-None-Match": 304, "If-Match": 200}[condition]
    assert served.get({condition: "{tag}"}, "HEAD").status_code == status
    assert served.get({condition: '"another"'}, "HEAD").status_code == {304: 200, 200: 412}[status]


def test_what_is_said_of_it(served: Served, shared_url: str) -> None:
    """The tag is strong, the date is that of the last commit, and whoever keeps it asks before it is used."""
    headers = served.get({}).headers
    assert headers["etag"].startswith('"')
    committed = Program(shared_url).value(
        "SELECT strftime('%s', committed_at) FROM phono_recording"
        if shared_url.startswith("sqlite")
        else "SELECT floor(extract(epoch FROM committed_at))::bigint FROM phono_recording"
    )
    assert int(parsedate_to_datetime(headers["last-modified"]).timestamp()) == int(committed)
    assert headers["cache-control"] == "private, no-cache"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-type"] == "audio/flac"


def test_a_second_earlier(served: Served) -> None:
    """A date counts to the second."""
    date = parsedate_to_datetime(served.date) - timedelta(seconds=1)
    earlier = format_datetime(date, usegmt=True)
    assert served.get({"If-Modified-Since": earlier}).status_code == 200
    assert served.get({"If-Range": earlier, "Range": "bytes=7-8"}).status_code == 200
    assert served.get({"If-Unmodified-Since": earlier}).status_code == 412


_numbers = st.integers(0, 2 * _SECONDS * _RATE) | st.integers(0, 10**30)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(first=_numbers | st.none(), last=_numbers | st.none())
@example(first=None, last=None)
@example(first=0, last=None)
def test_any_range(served: Served, first: int | None, last: int | None) -> None:
    """Whatever range is asked for, the answer is what RFC 9110 says, and its bytes are the file's."""
    size = len(served.file)
    answer = served.get({"Range": f"bytes={'' if first is None else first}-{'' if last is None else last}"})
    if (first is None and last is None) or (first is not None and last is not None and first > last):
        assert (answer.status_code, answer.content) == (200, served.file)
        return
    expected = served.file[first : None if last is None else last + 1] if first is not None else b""
    if first is None and last:
        expected = served.file[-last:]
    assert answer.status_code == (206 if expected else 416)
    if expected:
        begin = first if first is not None else size - len(expected)
        assert answer.content == expected
        assert answer.headers["content-range"] == f"bytes {begin}-{begin + len(expected) - 1}/{size}"
