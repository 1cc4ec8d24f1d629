from __future__ import annotations

import contextlib
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonobase.audio.kinds import Kind
from phonobase.errors import ProofFailed
from phonobase.store.evidence import Written, manifest_of
from phonobase.store.export import as_cut, write_take
from phonobase.store.manifest import dump, load
from phonobase.store.proof import prove
from tests.store.judge import ffmpeg_pcm, frames_of, random_pcm, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from phonobase import Archive
    from phonobase.store.cut import Cut

RATE = 8_000
PACKET = 4096
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOISE = frames_of(random_pcm(10 * RATE, 1, "int16"), 1, "int16")


class Exported(NamedTuple):
    """A file beside the bytes of its manifest."""

    path: Path
    manifest: bytes

    def check(self) -> None:
        """Proves the file against the manifest."""
        prove(self.path, load(self.manifest))

    @property
    def plain(self) -> dict[str, Any]:
        """What the manifest says."""
        said: dict[str, Any] = json.loads(self.manifest)
        return said

    def saying(self, plain: dict[str, Any]) -> Exported:
        """Returns the file beside another manifest, whose hash is right."""
        del plain["sha256"]
        sha256 = hashlib.sha256(_text(plain)).hexdigest()
        return self._replace(manifest=_text(plain | {"sha256": sha256}))


def _text(plain: dict[str, Any]) -> bytes:
    return (json.dumps(plain, indent=1, sort_keys=True) + "\n").encode()


def _at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest.fixture(scope="module")
def desk(shared_archive: Archive) -> Archive:
    """An archive of a source with every sort of gap.

    Heard from 0 to 10 s, with half a second of it lost and a loss of unknown length; paused until 12 s; heard
    as PCM until 17 s; unrecorded until 20 s; heard until 22 s.
    """
    with shared_archive.writer(RATE, source="desk", chunk_seconds=1, started_at=START) as writer:
        writer.write(NOISE[: 3 * RATE])
        writer.lose(RATE // 2, "overflow", "test")
        writer.write(NOISE[3 * RATE : 5 * RATE])
        writer.lose(0, "clock-step", "test")
        writer.write(NOISE[5 * RATE : 9 * RATE + RATE // 2])
    shared_archive.add_gap("desk", _at(10), _at(12), "paused")
    with shared_archive.writer(
        RATE, source="desk", chunk_seconds=1, started_at=_at(12), encoding="pcm"
    ) as writer:
        writer.write(NOISE[: 5 * RATE])
    with shared_archive.writer(RATE, source="desk", chunk_seconds=1, started_at=_at(20)) as writer:
        writer.write(NOISE[: 2 * RATE])
    return shared_archive


def _export(archive: Archive, cut: Cut, folder: Path, kind: Kind) -> Iterator[Exported]:
    written = []
    for number, take in enumerate(cut.takes):
        path = folder / f"{number}{kind.suffix}"
        with path.open("wb") as out:
            write_take(archive, take, kind, out)
        written.append(Written(path.name, path, kind, take))
    manifest = dump(manifest_of(archive, cut, written))
    for file in written:
        yield Exported(file.path, manifest)


def _cut(archive: Archive, folder: Path, kind: Kind, first: float = 1.25, last: float = 21.0) -> Exported:
    (exported,) = _export(archive, archive.cut("desk", _at(first), _at(last)), folder, kind)
    return exported


def _copied(archive: Archive, folder: Path) -> Exported:
    """Exports the FLAC frames 2 to 9 of the first recording: two chunks, and half of the next."""
    first, last = 2 * PACKET / RATE, 7 * PACKET / RATE
    return _cut(archive, folder, Kind.FLAC, first, last)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("policy", ["silence", "split"])
@pytest.mark.parametrize(
    ("first", "last", "files"),
    [
        (0.0, 22.0, 5),
        (-1.0, 22.5, 5),
        (1.25, 21.0, 5),
        (3.1, 3.6, 1),
        (3.2, 11.0, 2),
        (5.50001, 9.99999, 1),
        (12.0, 17.0, 1),
        (2 * PACKET / RATE, 4 * PACKET / RATE, 1),
    ],
)
def test_what_was_exported_is_proved(
    desk: Archive, tmp_path: Path, kind: Kind, policy: str, first: float, last: float, files: int
) -> None:
    """Untouched files of every kind, with gaps and without, are what their manifest says."""
    cut = desk.cut("desk", _at(first), _at(last), policy)

    exported = list(_export(desk, cut, tmp_path, kind))

    assert len(exported) == (files if policy == "split" else 1)
    for one in exported:
        one.check()
    assert len(load(exported[0].manifest).gaps) == len(cut.gaps)
    exported[0].path.with_name("renamed").write_bytes(exported[0].path.read_bytes())
    if len(exported) == 1:
        exported[0]._replace(path=tmp_path / "renamed").check()
    else:
        with pytest.raises(
            ProofFailed, match=r"names no renamed, but 0\.\w+, 1\.\w+.*; give the file its name"
        ):
            exported[0]._replace(path=tmp_path / "renamed").check()


@pytest.mark.parametrize("kind", list(Kind))
def test_a_recording_is_proved(desk: Archive, tmp_path: Path, kind: Kind) -> None:
    """A whole recording goes with a manifest, too, its losses listed."""
    recording = desk.find(source="desk")[-1]
    (exported,) = _export(desk, as_cut(desk, recording), tmp_path, kind)

    exported.check()

    assert [gap["cause"] for gap in exported.plain["gaps"]] == ["overflow", "clock-step"]
    (part,) = exported.plain["files"][0]["parts"]
    assert part["copied"] is (kind is Kind.FLAC)
    assert part["recording"]["chain_head"] == recording.chain_head.hex()
    if kind is Kind.FLAC:
        assert recording.pcm_sha256 is not None
        assert exported.plain["files"][0]["pcm_sha256"] == recording.pcm_sha256.hex()


def test_the_manifest_says_what_others_find(desk: Archive, tmp_path: Path) -> None:
    """Sizes and hashes are those of the file, as ffmpeg decodes it; chunks are those of the archive."""
    exported = _cut(desk, tmp_path, Kind.WAV)

    (file,) = exported.plain["files"]
    data, pcm = exported.path.read_bytes(), ffmpeg_pcm(exported.path, "int16")
    assert (file["bytes"], file["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert file["pcm_sha256"] == hashlib.sha256(pcm).hexdigest()
    assert data[file["header_bytes"] :] == pcm
    assert file["frame_count"] == len(pcm) // 2 == round(19.75 * RATE)
    assert [part["frame_count"] for part in file["parts"]] == [70_000, 16_000, 40_000, 24_000, 8_000]
    assert [part["copied"] for part in file["parts"]] == [False, False, True, False, False]
    assert [(gap["cause"], gap["first_frame"]) for gap in exported.plain["gaps"]] == [
        ("overflow", 3 * RATE),
        ("clock-step", 5 * RATE + RATE // 2),
        ("paused", None),
        ("unrecorded", None),
    ]
    assert exported.plain["heard_us"] == 14_250_000
    with desk.reading() as repository:
        chunks = sum(recording.chunk_count for recording in repository.find(source="desk"))
    # The first chunk and the last are not touched.
    assert sum(len(part["chunks"]) for part in file["parts"]) == chunks - 2


def _flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("place", [0, 30, -20_000, -1])
def test_a_changed_byte_is_found(desk: Archive, tmp_path: Path, kind: Kind, place: int) -> None:
    """Whichever bit of a file is changed, and whatever is cut off, it is not what was exported."""
    exported = _cut(desk, tmp_path, kind)
    _flip(exported.path, place)

    with pytest.raises(ProofFailed, match="was changed: its sha256 is another"):
        exported.check()

    exported.path.write_bytes(exported.path.read_bytes()[:-1])
    with pytest.raises(ProofFailed, match=r"bytes, and \d+ were exported"):
        exported.check()


def _redone(exported: Exported, *, pcm: bool = False) -> Exported:
    """Returns the manifest of a file that was changed with its hashes made anew."""
    plain, data = exported.plain, exported.path.read_bytes()
    plain["files"][0] |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    if pcm:
        found = ffmpeg_pcm(exported.path, "int16")
        plain["files"][0]["pcm_sha256"] = hashlib.sha256(found).hexdigest()
    return exported.saying(plain)


def test_a_changed_sample_is_found_though_the_hash_of_the_file_was_made_anew(
    desk: Archive, tmp_path: Path
) -> None:
    """The samples have a hash of their own; and where a chunk was copied, its hash is bound by the chain."""
    exported = _cut(desk, tmp_path, Kind.WAV)
    in_a_copy = exported.plain["files"][0]["header_bytes"] + 2 * (70_000 + 16_000 + 20_000)
    _flip(exported.path, in_a_copy)

    with pytest.raises(ProofFailed, match="its samples are not those that were exported"):
        _redone(exported).check()
    with pytest.raises(ProofFailed, match="chunk 2 in it is not the one that was recorded"):
        _redone(exported, pcm=True).check()


@pytest.mark.parametrize("kind", [Kind.WAV, Kind.BWF])
def test_what_was_copied_is_not_for_the_manifest_to_say(desk: Archive, tmp_path: Path, kind: Kind) -> None:
    """PCM in a WAV is compared with the chain, though the manifest says that it was encoded anew."""
    exported = _cut(desk, tmp_path, kind, 12.5, 16.5)
    _flip(exported.path, -20_000)
    plain = _redone(exported, pcm=True).plain
    for part in plain["files"][0]["parts"]:
        part["copied"] = False

    with pytest.raises(ProofFailed, match="is wrong in whether 0"):
        exported.saying(plain).check()


def test_a_low_rate_excuses_no_gap_elsewhere(desk: Archive, tmp_path: Path) -> None:
    """How far apart sound may be that meets is for the two to say, and not for another file."""
    with desk.writer(1, source="slow", started_at=_at(0)) as writer:
        writer.write(NOISE[:10])
    for first in (10.0, 12.5):
        with desk.writer(RATE, source="slow", started_at=_at(first)) as writer:
            writer.write(NOISE[:RATE])
    exported = next(_export(desk, desk.cut("slow", _at(0), _at(13.5)), tmp_path, Kind.WAV))
    exported.check()
    plain = exported.plain
    assert [gap["cause"] for gap in plain["gaps"]] == ["unrecorded"]
    plain["gaps"].clear()
    plain["heard_us"] += 1_500_000

    with pytest.raises(ProofFailed, match="do not meet from 2026-03-01T12:00:11"):
        exported.saying(plain).check()


def test_a_changed_sample_of_copied_flac_is_found(desk: Archive, tmp_path: Path) -> None:
    """Frames that were given other numbers are still those whose hash the chain binds."""
    exported = _copied(desk, tmp_path)
    (part,) = exported.plain["files"][0]["parts"]
    assert part["copied"]
    exported.check()
    samples = np.frombuffer(ffmpeg_pcm(exported.path, "int16"), "<i2").copy()
    samples[100] ^= 1
    other = desk.add(samples.tobytes(), RATE, source="elsewhere")
    exported.path.write_bytes(desk.open(other.id).read())
    assert (
        len(desk.open(other.id).read()) - other.byte_count == exported.plain["files"][0]["header_bytes"] + 5
    )

    plain = _redone(exported, pcm=True).plain
    plain["files"][0]["header_bytes"] = len(other.header)
    with pytest.raises(ProofFailed, match="chunk 1 in it is not the one that was recorded"):
        exported.saying(plain).check()


def test_sound_in_a_silence_is_found(desk: Archive, tmp_path: Path) -> None:
    """Time of which there is no sound is silent, whatever the hashes say."""
    exported = _cut(desk, tmp_path, Kind.WAV)
    _flip(exported.path, exported.plain["files"][0]["header_bytes"] + 2 * (70_000 + 15_999))

    with pytest.raises(ProofFailed, match="holds sound where the manifest says that nothing was heard"):
        _redone(exported, pcm=True).check()


@pytest.mark.parametrize("number", range(4))
def test_a_missing_gap_is_found(desk: Archive, tmp_path: Path, number: int) -> None:
    """A gap that is taken out of a manifest shows, though its hash, and what was heard, are made anew."""
    exported = _cut(desk, tmp_path, Kind.WAV)
    plain = exported.plain
    gap = plain["gaps"].pop(number)

    with pytest.raises(ProofFailed, match="the manifest was changed"):
        load(_text(plain))
    with pytest.raises(ProofFailed, match="gap"):
        exported.saying(dict(plain)).check()

    lost = datetime.fromisoformat(gap["ended_at"]) - datetime.fromisoformat(gap["started_at"])
    plain["heard_us"] += lost // timedelta(microseconds=1)
    with pytest.raises(ProofFailed, match="gaps"):
        exported.saying(plain).check()


@pytest.fixture(scope="module")
def small(desk: Archive, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A file with a gap in it, and one chunk."""
    return _cut(desk, tmp_path_factory.mktemp("small"), Kind.FLAC, 9.5, 10.5)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_every_byte_of_a_manifest_counts(small: Exported, data: st.DataObject) -> None:
    """Change one, take one out, put one in: it is no manifest any more, and the program says so."""
    whole = small.manifest
    place = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[place]))
    for other in (
        whole[:place] + bytes([byte]) + whole[place + 1 :],
        whole[:place] + whole[place + 1 :],
        whole[:place] + bytes([byte]) + whole[place:],
    ):
        with pytest.raises(ProofFailed, match=r"the manifest was changed|that is no manifest"):
            load(other)


def test_every_byte_of_a_manifest_counts_one_after_the_other(small: Exported) -> None:
    """Likewise for all places, one flipped bit each."""
    for place in range(len(small.manifest)):
        changed = bytearray(small.manifest)
        changed[place] ^= 1 << place % 8
        with pytest.raises(ProofFailed):
            load(bytes(changed))


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"null", b"1", b'"x"', b"[" * 100_000, b"\xff\xfe", b'{"sha256": ""}', b"1" * 10_000],
)
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    """Whatever it is, the answer is one clear line."""
    with pytest.raises(ProofFailed, match=r"the manifest was changed|that is no manifest"):
        load(data)


def _files(plain: dict[str, Any]) -> dict[str, Any]:
    file: dict[str, Any] = plain["files"][0]
    return file


def _chunk(plain: dict[str, Any]) -> dict[str, Any]:
    chunk: dict[str, Any] = _files(plain)["parts"][0]["chunks"][1]
    return chunk


LIES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "another chunk": (lambda plain: _chunk(plain).update(sha256="00" * 32), "the chain differs at chunk"),
    "another link": (lambda plain: _chunk(plain).update(chain="00" * 32), "the chain differs at chunk"),
    "a chunk less": (lambda plain: _files(plain)["parts"][0]["chunks"].pop(1), "lacks a chunk before chunk"),
    "no chunks": (lambda plain: _files(plain)["parts"][0]["chunks"].clear(), "says what cannot be"),
    "the last chunk less": (lambda plain: _files(plain)["parts"][0]["chunks"].pop(), "lacks chunks"),
    "another source": (lambda plain: plain.update(source="door"), "does not begin with what"),
    "another recording": (
        lambda plain: _files(plain)["parts"][2]["recording"].update(id="0" * 32),
        "does not begin with what the manifest says it is",
    ),
    "another head": (
        lambda plain: _files(plain)["parts"][2]["recording"].update(chain_head="00" * 32),
        "its chain does not end as the manifest says",
    ),
    "another time": (
        lambda plain: _files(plain).update(started_at="2026-03-01T12:00:01.251000+00:00"),
        "at another time than its recording has",
    ),
    "no time": (lambda plain: plain.update(since="yesterday"), "for a time, which is none"),
    "another end": (
        lambda plain: plain.update(until="2026-03-01T12:00:22.000000+00:00"),
        "are not the whole period",
    ),
    "another end, accounted for": (
        lambda plain: plain.update(until="2026-03-01T12:00:22.000000+00:00", heard_us=15_250_000),
        "end at 2026-03-01T12:00:21",
    ),
    "a gap more": (lambda plain: plain["gaps"].append(plain["gaps"][-1]), "are not the whole period"),
    "a part less": (lambda plain: _files(plain)["parts"].pop(), "not its frame_count"),
    "no sound": (lambda plain: plain["files"].clear(), "do not meet"),
    "a rate of none": (lambda plain: _files(plain).update(sample_rate=0), "says what cannot be"),
    "no gap, and a file that excuses it": (
        lambda plain: (
            plain["gaps"].pop(2),
            plain.update(heard_us=plain["heard_us"] + 2_000_000),
            plain["files"].append(
                _files(plain) | {"name": "x", "parts": [], "frame_count": 0, "sample_rate": 1}
            ),
        ),
        "gaps|has x without sound",
    ),
    "a file twice": (lambda plain: plain["files"].append(_files(plain)), "two files of one name"),
    "nothing copied": (
        lambda plain: [part.update(copied=True) for part in _files(plain)["parts"]],
        "whether 0.flac holds the chunks' own bytes",
    ),
    "another kind": (lambda plain: _files(plain).update(kind="opus"), "and not the hash that goes with it"),
    "no hash": (lambda plain: _files(plain).update(pcm_sha256=None), "and not the hash that goes with it"),
    "a lossy kind": (lambda plain: _files(plain).update(kind="opus", pcm_sha256=None), "the file is no OPUS"),
    "a kind that is none": (lambda plain: _files(plain).update(kind="mp3"), "says what cannot be"),
    "another place": (lambda plain: _files(plain).update(header_bytes=7), "at another place than the file"),
    "another version": (lambda plain: plain.update(phonobase_manifest=2), "of another version"),
    "another key": (lambda plain: plain.update(more=1), "that is no manifest"),
    "a fraction": (lambda plain: plain.update(heard_us=1.5), "that is no manifest"),
}


@pytest.mark.parametrize(("lie", "found"), LIES.values(), ids=LIES)
def test_a_manifest_that_is_not_true_to_itself_is_found(
    desk: Archive, tmp_path: Path, lie: Callable[[dict[str, Any]], Any], found: str
) -> None:
    """What follows from what else is said must be so, though the hash is right."""
    exported = _cut(desk, tmp_path, Kind.FLAC)
    plain = exported.plain
    lie(plain)

    with pytest.raises(ProofFailed, match=found):
        exported.saying(plain).check()


@pytest.fixture(scope="module")
def copies(desk: Archive, small: Exported, tmp_path_factory: pytest.TempPathFactory) -> list[Exported]:
    """Files of samples, of copied FLAC and of copied PCM."""
    folder = tmp_path_factory.mktemp("copies")
    return [small, _copied(desk, folder), _cut(desk, folder, Kind.WAV, 12.5, 15)]


ODD = [-1, 0, 1, 7, 2**31, 2**63, 10**40, "", "x", "00", "é", "0" * 32, "00" * 32, None, True, 1.5, [], {}]


def _leaves(value: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401 - whatever JSON holds
    """Yields every object or list of a document with every key of it."""
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _leaves(value[key])


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_no_manifest_breaks_the_program(copies: list[Exported], data: st.DataObject) -> None:
    """Whatever stands in one, and though its hash is right: it is refused in words, or says nothing wrong."""
    one = data.draw(st.sampled_from(copies))
    plain = one.plain
    for _ in range(data.draw(st.integers(1, 3))):
        leaves = [(holder, key) for holder, key in _leaves(plain) if holder is not plain or key != "sha256"]
        holder, key = data.draw(st.sampled_from(leaves))
        holder[key] = data.draw(st.sampled_from(ODD))
    with contextlib.suppress(ProofFailed):
        one.saying(plain).check()


@pytest.fixture(scope="module")
def crowd(shared_archive: Archive) -> Archive:
    """An archive of a source whose recordings overlap, of two rates, with gaps that overlap them."""
    random = np.random.default_rng(7)
    start_us = 0
    for number in range(12):
        rate = (RATE, 44_100)[number // 3 % 2]
        started_at = START + timedelta(microseconds=start_us)
        form = {"source": "crowd", "chunk_seconds": 0.5, "encoding": ("flac", "pcm")[number % 2]}
        with shared_archive.writer(rate, started_at=started_at, **form) as writer:  # type: ignore[arg-type]
            for _ in range(3):
                writer.lose(int(random.choice([0, 0, 77, rate // 3])), "overflow", "test")
                writer.write(NOISE[: int(random.integers(1, 2 * rate))])
        recording = shared_archive.get(writer.id)
        start_us = (recording.ended_at - START) // timedelta(microseconds=1)
        start_us = max(0, start_us + int(random.choice([0, 1, -50, 900_000, -1_200_000])))
        with shared_archive.writing() as repository:
            bounds = (
                recording.started_at + timedelta(seconds=0.5),
                recording.started_at + timedelta(seconds=0.75),
            )
            inside = {"recording": recording, "first_frame": rate // 2, "frame_count": rate // 4}
            repository.add_gap("crowd", *bounds, "muted", **inside)  # type: ignore[arg-type]
    for first in (0.4, 3, 7, 7.1):
        shared_archive.add_gap("crowd", _at(first), _at(first + 1.3), "paused")
    return shared_archive


@settings(max_examples=60, deadline=None)
@given(
    source=st.sampled_from(["desk", "crowd"]),
    first_us=st.integers(-500_000, 21_000_000),
    length_us=st.integers(200, 10_000_000),
    policy=st.sampled_from(["silence", "split"]),
)
def test_every_cut_is_accounted_for(
    desk: Archive,
    crowd: Archive,
    tmp_path_factory: pytest.TempPathFactory,
    source: str,
    first_us: int,
    length_us: int,
    policy: str,
) -> None:
    """Wherever a cut begins and ends, and whatever overlaps, its manifest is true to itself."""
    assert crowd is desk
    since = START + timedelta(microseconds=first_us)
    cut = desk.cut(source, since, since + timedelta(microseconds=length_us), policy)
    folder = tmp_path_factory.mktemp("cut")

    for exported in _export(desk, cut, folder, Kind.WAV):
        exported.check()


def test_every_recording_is_accounted_for(crowd: Archive, tmp_path: Path) -> None:
    """Likewise whole recordings, whatever lies in them, and one in progress as far as it goes."""
    with crowd.writer(RATE, source="crowd", chunk_seconds=0.5, started_at=_at(60)) as writer:
        writer.write(NOISE)
        wait_until(lambda: writer.frames_committed > 5 * RATE)
        for recording in crowd.find(source="crowd", limit=None):
            for exported in _export(crowd, as_cut(crowd, recording), tmp_path, Kind.of(recording.encoding)):
                exported.check()
