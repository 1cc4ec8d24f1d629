from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from phonobase.errors import InvalidService
from phonobase.recorder.settings import InputSettings, Trigger
from phonobase.service.config import Service, read_service

ELSEWHERE = "sqlite:///elsewhere.db"


def _read(folder: Path, text: str) -> Service:
    path = folder / "service.toml"
    path.write_text(text, encoding="utf-8")
    return read_service(path, ELSEWHERE)


def test_the_least_that_a_service_says(tmp_path: Path) -> None:
    """A source with a name is a service: the usual device, an hour a recording, the archive of the call."""
    service = _read(tmp_path, '[[source]]\nname = "desk"')

    (input_,) = service.inputs
    (source,) = input_.sources
    assert (service.archive, service.spool, service.metrics_address) == (ELSEWHERE, None, None)
    assert (input_.name, input_.input) == ("desk", InputSettings())
    assert (source.name, source.channels, source.trigger) == ("desk", None, None)
    assert (source.chunk_seconds, source.rollover_s) == (2.0, 3600)


def test_everything_that_a_service_says(tmp_path: Path) -> None:
    """Every key of the file arrives, in the units that the program works with."""
    service = _read(
        tmp_path,
        """
        archive = "postgresql://me:secret@db/sound"
        spool = "spool.db"
        grace = "1d"
        floor = "1.5GiB"
        metrics = "[::1]:9464"
        metrics_file = "/run/phonobase.prom"
        log_format = "json"
        [[source]]
        name = "desk"
        device = 3
        samplerate = 48000
        channels = 2
        dtype = "int24"
        encoding = "pcm"
        chunk = 0.5
        rollover = "1h30m"
        trigger = "-35.5 dBFS"
        pre_roll = "1500s"
        hang = 0
        title = "Desk"
        notes = "A note"
        external_id = "7"
        tags = { room = 3, side = "left" }
        """,
    )

    (input_,) = service.inputs
    (source,) = input_.sources
    assert service.archive == "postgresql://me:secret@db/sound"
    assert service.spool == tmp_path / "spool.db"
    assert (service.grace_s, service.floor_bytes) == (86_400, 3 * 2**29)
    assert service.metrics_address == ("::1", 9464)
    assert (service.metrics_file, service.log_format) == (Path("/run/phonobase.prom"), "json")
    assert input_.input == InputSettings("device", "3", 48_000, 2, "int24")
    assert source.details == {
        "source": "desk",
        "encoding": "pcm",
        "title": "Desk",
        "notes": "A note",
        "external_id": "7",
        "tags": {"room": 3, "side": "left"},
    }
    assert (source.chunk_seconds, source.rollover_s) == (0.5, 5400)
    assert source.trigger == Trigger(-35.5, 1500, 0)


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    """What a service prints of itself, as in a traceback, holds no password."""
    service = _read(tmp_path, 'archive = "postgresql://me:secret@db/sound"\n[[source]]\nname = "desk"')

    assert "secret" not in repr(service)


def test_defaults_hold_where_a_source_says_nothing(tmp_path: Path) -> None:
    """A source takes what [defaults] says, except what it says itself; tags of both are kept."""
    service = _read(
        tmp_path,
        """
        [defaults]
        device = "usb"
        trigger = -40
        chunk = "5s"
        tags = { site = "north", room = 1 }
        [[source]]
        name = "a"
        [[source]]
        name = "b"
        device = "other"
        trigger = false
        tags = { room = 2 }
        [[source]]
        name = "c"
        input = "tone"
        """,
    )

    (a,), (b,), _ = (input_.sources for input_ in service.inputs)
    assert [input_.input.device for input_ in service.inputs] == ["usb", "other", None]
    assert (a.trigger, b.trigger) == (Trigger(-40.0), None)
    assert (a.chunk_seconds, b.chunk_seconds) == (5.0, 5.0)
    assert (a.details["tags"], b.details["tags"]) == (
        {"site": "north", "room": 1},
        {"site": "north", "room": 2},
    )


def test_sources_that_share_a_device_share_an_input(tmp_path: Path) -> None:
    """Sources with channels of one device are fed by one input, opened with as many as any of them needs."""
    service = _read(
        tmp_path,
        """
        [defaults]
        device = "interface"
        [[source]]
        name = "a"
        channels = [2, 1]
        [[source]]
        name = "b"
        channels = [5]
        [[source]]
        name = "c"
        device = "other"
        channels = [1]
        open_channels = 4
        [[source]]
        name = "d"
        """,
    )

    named = [(input_.name, [source.name for source in input_.sources]) for input_ in service.inputs]
    assert named == [("a", ["a", "b"]), ("c", ["c"]), ("d", ["d"])]
    assert [input_.input.channels for input_ in service.inputs] == [5, 4, None]
    assert [source.channels for source in service.inputs[0].sources] == [(2, 1), (5,)]
    assert service.only("b") is service.inputs[0]


def test_relative_paths_begin_at_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From whichever folder a service is run, its file means the same archive, spool and input."""
    (tmp_path / "etc").mkdir()
    path = tmp_path / "etc" / "service.toml"
    path.write_text('archive = "sqlite:///a.db"\nspool = "s.db"\n[[source]]\nname = "x"\ninput = "x.wav"')
    monkeypatch.chdir(tmp_path)

    service = read_service(Path("etc/service.toml"), ELSEWHERE)

    assert service.archive == f"sqlite:///{tmp_path}/etc/a.db"
    assert service.spool == tmp_path / "etc" / "s.db"
    assert service.inputs[0].input.kind == str(tmp_path / "etc" / "x.wav")


def test_a_detector_is_imported_when_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the file imports no detector; asking it does, and its answer counts."""
    (tmp_path / "of_mine.py").write_text("def loud(frames):\n    return frames.max() > 5\n")
    monkeypatch.syspath_prepend(tmp_path)
    service = _read(tmp_path, '[[source]]\nname = "a"\ndetector = "of_mine:loud"')

    trigger = service.inputs[0].sources[0].trigger

    assert trigger is not None
    assert trigger.detector is not None
    assert [trigger.detector(np.full((4, 1), value)) for value in (5, 6)] == [False, True]


MISTAKES = [
    ("", ("nothing to record", "[[source]]")),
    ("source = 3", ("nothing to record",)),
    ("[[source]]\nname = ", ("is no TOML",)),
    ("[[source]]", ("[[source]] 1", "name", "every source has a name")),
    ('archiv = "x"\n[[source]]\nname = "a"', ("archiv", "did you mean archive?")),
    ('rollover = "1h"\n[[source]]\nname = "a"', ("rollover", "belongs in [defaults]")),
    ('[[source]]\nname = "a"\nchanels = 2', ("[[source]] 1 (a)", "chanels", "did you mean channels?")),
    ('[[source]]\nname = "a"\nzzz = 2', ("zzz", "there are: name, input")),
    ('[defaults]\nname = "a"\n[[source]]\nname = "a"', ("[defaults]", "name", "belongs in a [[source]]")),
    ('[defaults]\ntitel = "a"\n[[source]]\nname = "a"', ("[defaults]", "titel", "did you mean title?")),
    ('defaults = 3\n[[source]]\nname = "a"', ("defaults", "no table")),
    ('[[source]]\nname = "a"\n[[source]]\nname = "a"', ("[[source]] 2 (a)", "[[source]] 1 already")),
    ('[[source]]\nname = ""', ("name", "empty")),
    ("[[source]]\nname = 3", ("name", "3 is no text")),
    ('[[source]]\nname = "a\\nb"', ("cannot name a source",)),
    ('[[source]]\nname = "a"\nsamplerate = 44.1', ("samplerate", "44.1 is no whole number of at least 1")),
    ('[[source]]\nname = "a"\nsamplerate = true', ("samplerate", "true is no whole number of at least 1")),
    ('[[source]]\nname = "a"\nsamplerate = 2000000', ("2000000 Hz cannot be stored",)),
    ('[[source]]\nname = "a"\nchannels = 0', ("channels", "0 is no whole number of at least 1")),
    ('[[source]]\nname = "a"\nchannels = []', ("channels", "each channel once")),
    ('[[source]]\nname = "a"\nchannels = [1, 1]', ("channels", "each channel once")),
    ('[[source]]\nname = "a"\nchannels = [0]', ("channels", "they count from 1")),
    ('[[source]]\nname = "a"\nchannels = [3]\nopen_channels = 2', ("open_channels", "open more")),
    ('[[source]]\nname = "a"\nopen_channels = 2', ("open_channels", "goes with a list")),
    ('[[source]]\nname = "a"\ndtype = "int8"', ("dtype", "'int8' is not one of int16")),
    ('[[source]]\nname = "a"\nencoding = "mp3"', ("no encoding 'mp3'",)),
    ('[[source]]\nname = "a"\nencoding = "flac"\ndtype = "float32"', ("FLAC cannot hold float32",)),
    ('[[source]]\nname = "a"\nchunk = "soon"', ("chunk", "'soon' is no duration")),
    ('[[source]]\nname = "a"\nchunk = 0', ("chunk", "no time at all")),
    ('[[source]]\nname = "a"\nchunk = "25h"', ("chunks of 90000 s are not possible",)),
    ('[[source]]\nname = "a"\nchunk = -1', ("chunk", "'-1' is no duration")),
    ('[[source]]\nname = "a"\nchunk = false', ("chunk", "false is neither")),
    ('[[source]]\nname = "a"\nrollover = "2d"', ("rollover", "whole seconds up to 24h")),
    ('[[source]]\nname = "a"\nrollover = 0.5', ("rollover", "whole seconds up to 24h")),
    ('[[source]]\nname = "a"\ntrigger = "loud"', ("trigger", "'loud' is no level")),
    ('[[source]]\nname = "a"\ntrigger = 3', ("trigger", "0 dBFS")),
    ('[[source]]\nname = "a"\nhang = "5s"', ("hang", "goes with a trigger")),
    ('[[source]]\nname = "a"\ndetector = "vad"', ("detector", "write module:name")),
    ('[[source]]\nname = "a"\ndetector = "no_such.vad:f"', ("detector", "no module no_such.vad")),
    ('[[source]]\nname = "a"\ninput = "-"', ("input", "no standard input")),
    ('[[source]]\nname = "a"\ninput = "tone"\ndevice = "x"', ("device", "leave one")),
    ('[[source]]\nname = "a"\nrealtime = false', ("realtime", "in real time")),
    ('[[source]]\nname = "a"\ntags = "x"', ("tags", "names with values")),
    ('[[source]]\nname = "a"\ntags = { at = 2026-01-01 }', ("tags must be names with JSON values",)),
    ('[[source]]\nname = " "', ("name", "empty")),
    ('[[source]]\nname = "a"\ndevice = true', ("device", "true is no text")),
    ('[[source]]\nname = "a"\ndevice = -1', ("device", "-1 is no whole number of at least 0")),
    ('[[source]]\nname = "a"\ndevice = 0x' + 5000 * "f", ("device", "write less")),
    ('[[source]]\nname = "a"\ndevice = ' + 5000 * "9", ("is no TOML", "digits")),
    ('[[source]]\nname = "a"\nchunk = 0x' + 5000 * "f", ("chunk", "write less")),
    ("[[source]]\nname = 0x" + 5000 * "f", ("name", "a very large number is no text")),
    ('[[source]]\nname = "a"\ninput = "plugin:"', ("input", "write plugin:MODULE:FUNCTION")),
    ('[[source]]\nname = "a"\ninput = "plugin:of_mine"', ("input", "write plugin:MODULE:FUNCTION")),
    ('[[source]]\nname = "a"\ninput = "plugin::f"', ("input", "write plugin:MODULE:FUNCTION")),
    ('[[source]]\nname = "a"\ninput = "a\\u0000"', ("input", "a NUL")),
    ('[[source]]\nname = "a"\ntrigger = -40\npre_roll = "61m"', ("pre_roll", "more than 3600 s")),
    ("deep = " + 5000 * "[" + 5000 * "]", ("nested too deeply",)),
    ('[[source]]\nname = "a"\ntags' + 2000 * ".a" + " = 1", ("tags", "nested too deeply")),
    ('archive = "postgresql://u:p@h:port/db"\n[[source]]\nname = "a"', ("archive", "port that is no number")),
    ('archive = "here"\n[[source]]\nname = "a"', ("archive", "is not a database URL")),
    ('archive = "mysql://h/d"\n[[source]]\nname = "a"', ("archive", "postgresql://")),
    ('archive = "sqlite://"\n[[source]]\nname = "a"', ("archive", "name a file")),
    ('floor = "much"\n[[source]]\nname = "a"', ("floor", "'much' is no size")),
    ('floor = "5 kb b"\n[[source]]\nname = "a"', ("floor", "is no size")),
    ('floor = "99999999T"\n[[source]]\nname = "a"', ("floor", "more than any disk")),
    ('grace = "-1h"\n[[source]]\nname = "a"', ("grace", "is no duration")),
    ('metrics = "9464"\n[[source]]\nname = "a"', ("metrics", "host:port")),
    ('metrics = "h:99999"\n[[source]]\nname = "a"', ("metrics", "host:port")),
    ('log_format = "xml"\n[[source]]\nname = "a"', ("log_format", "'xml' is not one of text, json")),
    (
        '[defaults]\nchannels = [1]\n[[source]]\nname = "a"\n[[source]]\nname = "b"\nsamplerate = 8000',
        ("[[source]] 2 (b)", "samplerate", "a hears the same input"),
    ),
]


@pytest.mark.parametrize(("text", "words"), MISTAKES)
def test_every_mistake_is_one_line(tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    """What means nothing is refused in a line that names the file, the table and the key."""
    with pytest.raises(InvalidService) as refusal:
        _read(tmp_path, text)

    message = str(refusal.value)
    assert message.startswith(str(tmp_path / "service.toml"))
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "url", ["postgresql:/me:secret@db", "me:secret@db/x", "postgresql://me:secret@h:port/x"]
)
def test_a_mistake_shows_no_password(tmp_path: Path, url: str) -> None:
    """An archive that is no URL may hold a password all the same."""
    with pytest.raises(InvalidService) as refusal:
        _read(tmp_path, f'archive = "{url}"\n[[source]]\nname = "a"')

    assert "secret" not in str(refusal.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A file that is not there, is a folder or is no text is refused by its name."""
    (tmp_path / "latin.toml").write_bytes(b'[[source]]\nname = "caf\xe9"')
    for name, word in (("none.toml", "there is no file"), (".", "cannot be read"), ("latin.toml", "cannot")):
        with pytest.raises(InvalidService, match=word):
            read_service(tmp_path / name, ELSEWHERE)


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    """Who asks for a source that the file does not name is told which there are."""
    with pytest.raises(InvalidService, match="no source 'hall'; there are: desk"):
        _read(tmp_path, '[[source]]\nname = "desk"').only("hall")
