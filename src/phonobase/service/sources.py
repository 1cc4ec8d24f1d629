"""The sources of a service's file, put together by the input that each hears."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from phonobase.errors import AudioError, InvalidDetails, InvalidService
from phonobase.pcm import MAX_CHANNELS, AudioFormat, SampleFormat
from phonobase.recorder.inputs import DEFAULT_CHANNELS, DEFAULT_DTYPE, DEFAULT_RATE
from phonobase.recorder.settings import InputSettings, SourceSettings, Trigger
from phonobase.service.tables import Table
from phonobase.store.draft import CHUNK_SECONDS, Draft
from phonobase.store.recording import Details, new_recording

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from phonobase.pcm import Frames

DEFAULT_ROLLOVER_S = 3600
"""In a service new recordings begin every hour, unless the file says otherwise."""

_PLUGIN = "plugin:"
_LONGEST_PRE_ROLL_S = 3600
"""Sound before a trigger waits in memory."""

_TRIGGER_KEYS = ("trigger", "pre_roll", "hang", "detector")
_SHARED_KEYS = (
    *("input", "device", "samplerate", "channels", "open_channels", "dtype", "realtime"),
    *("encoding", "chunk", "rollover", *_TRIGGER_KEYS),
    *("title", "notes", "external_id", "tags"),
)
SOURCE_KEYS = ("name", *_SHARED_KEYS)
"""What a table ``[[source]]`` may hold; ``[defaults]`` holds the same but the name."""


@dataclass(frozen=True, slots=True)
class ServiceInput:
    """What one process of a service hears and records.

    Attributes:
        name: That of its first source.
        input: Where the sound comes from.
        sources: What becomes of it; several where they take different channels.
    """

    name: str
    input: InputSettings
    sources: tuple[SourceSettings, ...]

    @property
    def ends(self) -> bool:
        """Whether it ends by itself, as a file does."""
        return not _goes_on(self.input.kind)


@dataclass(frozen=True, slots=True)
class Detector:
    """Something that tells sound worth keeping; its module is imported when it is first asked.

    Attributes:
        module: Where it is.
        name: What it is called there.
    """

    module: str
    name: str

    def __call__(self, frames: Frames) -> bool:
        """Whether to record these frames."""
        return bool(self.load()(frames))

    def load(self) -> Callable[[Frames], object]:
        """Return what does the work. Python imports it once.

        Raises:
            InvalidService: It cannot be imported, or cannot be called.
        """
        try:
            found: object = getattr(importlib.import_module(self.module), self.name)
        except Exception as error:
            raise InvalidService(
                f"the detector {self.module}:{self.name} cannot be imported: {error}"
            ) from error
        if not callable(found):
            raise InvalidService(f"the detector {self.module}:{self.name} is nothing that can be called")
        return found


def read_sources(root: Table, folder: Path) -> tuple[ServiceInput, ...]:
    """Return what the tables ``[[source]]`` of a file say, with what ``[defaults]`` adds.

    Raises:
        InvalidService: One says something that means nothing, or there is none.
    """
    defaults = _defaults(root)
    given = root.values.get("source")
    if not isinstance(given, list) or not given or not all(isinstance(values, dict) for values in given):
        raise root.invalid(None, "nothing to record; add a table [[source]] with a name")
    inputs: dict[object, ServiceInput] = {}
    places: dict[str, str] = {}
    for number, values in enumerate(given, 1):
        table = _named(root, number, values, defaults)
        found = _input(table, folder)
        source = found.sources[0]
        if source.name in places:
            raise table.invalid("name", f"{source.name!r} is the name of {places[source.name]} already")
        places[source.name] = f"[[source]] {number}"
        shared = (found.input.kind, found.input.device) if source.channels else number
        before = inputs.get(shared)
        inputs[shared] = found if before is None else _joined(before, found, table)
    return tuple(inputs.values())


def _defaults(root: Table) -> Table:
    values = root.values.get("defaults", {})
    if not isinstance(values, dict):
        raise root.invalid("defaults", "this is no table; write [defaults] on a line of its own")
    table = Table(root.path, "[defaults]", values)
    table.refuse_unknown(_SHARED_KEYS, elsewhere={"name": "a [[source]]"})
    _tags(table)
    return table


def _named(root: Table, number: int, values: dict[str, Any], defaults: Table) -> Table:
    """Return the table of a source, with what it does not say itself from the defaults."""
    name = values.get("name")
    own = Table(root.path, f"[[source]] {number}" + (f" ({name})" if isinstance(name, str) else ""), values)
    own.refuse_unknown(SOURCE_KEYS)
    if own.text("name") is None:
        raise own.invalid("name", "every source has a name; add one")
    if not {"trigger", "detector"} & {*values, *defaults.values}:
        for key in _TRIGGER_KEYS:
            if key in own:
                raise own.invalid(key, 'this goes with a trigger; add one, as trigger = "-40dBFS"')
    tags = {**_tags(defaults), **_tags(own)}
    usual = dict(defaults.values)
    if "input" in own:  # another input than the usual one is at another device
        usual.pop("device", None)
    return Table(root.path, own.name, {**usual, **values, "tags": tags})


def _input(table: Table, folder: Path) -> ServiceInput:
    name = table.text("name") or ""
    kind = _kind(table, folder)
    device = _device(table)
    if kind != "device" and device is not None:
        raise table.invalid("device", 'this goes with input = "device"; leave one of the two out')
    dtype = table.choice("dtype", [str(known) for known in SampleFormat])
    opened, channels = _channels(table)
    settings = InputSettings(
        kind=kind,
        device=device,
        samplerate=table.whole("samplerate"),
        channels=opened,
        dtype=dtype,
        realtime=table.flag("realtime"),
    )
    if kind == "device" and settings.realtime is False:
        raise table.invalid("realtime", "a device is heard in real time; leave this out")
    source = SourceSettings(
        details=Details(
            source=name,
            encoding=table.text("encoding"),
            title=table.text("title"),
            notes=table.text("notes"),
            external_id=table.text("external_id"),
            tags=_tags(table),
        ),
        channels=channels,
        chunk_seconds=table.duration("chunk", CHUNK_SECONDS),
        rollover_s=table.rollover("rollover", DEFAULT_ROLLOVER_S),
        trigger=_trigger(table),
    )
    _check(table, settings, source)
    return ServiceInput(name, settings, (source,))


def _device(table: Table) -> str | None:
    """Return a device's number, or its name."""
    given = table.values.get("device")
    if isinstance(given, int) and not isinstance(given, bool):
        return str(table.whole("device", least=0))
    return table.text("device")


def _kind(table: Table, folder: Path) -> str:
    kind = table.text("input") or "device"
    if kind == "-":
        raise table.invalid(
            "input", "a service has no standard input; name a device, a file or a pipe's path"
        )
    if kind.startswith(_PLUGIN) and not all(kind.removeprefix(_PLUGIN).partition(":")):
        raise table.invalid("input", f"{kind!r} names no input; write plugin:MODULE:FUNCTION")
    return kind if _goes_on(kind) else str(folder / kind)


def _goes_on(kind: str) -> bool:
    return kind in ("device", "tone") or kind.startswith(_PLUGIN)


def _channels(table: Table) -> tuple[int | None, tuple[int, ...] | None]:
    """Return how many channels are opened, and which of them are taken: all, with None."""
    given, opened = table.values.get("channels"), table.whole("open_channels")
    if not isinstance(given, list):
        if opened is not None:
            raise table.invalid("open_channels", "this goes with a list of channels, as channels = [1, 2]")
        return table.whole("channels"), None
    for channel in given:
        if not isinstance(channel, int) or isinstance(channel, bool) or not 1 <= channel <= MAX_CHANNELS:
            raise table.invalid("channels", f"{channel!r} is no channel; they count from 1 to {MAX_CHANNELS}")
    if not given or len(set(given)) != len(given):
        raise table.invalid("channels", "name each channel once, as channels = [1, 2]")
    if opened is not None and opened < max(given):
        raise table.invalid(
            "open_channels", f"channel {max(given)} is not among the first {opened}; open more"
        )
    return opened or max(given), tuple(given)


def _trigger(table: Table) -> Trigger | None:
    usual = Trigger()
    detector = table.text("detector")
    if table.values.get("trigger") is False or (detector is None and "trigger" not in table):
        return None
    return Trigger(
        level_dbfs=table.level("trigger", usual.level_dbfs),
        pre_roll_s=table.duration(
            "pre_roll", usual.pre_roll_s, may_be_zero=True, at_most=_LONGEST_PRE_ROLL_S
        ),
        hang_s=table.duration("hang", usual.hang_s, may_be_zero=True),
        detector=None if detector is None else _detector(table, detector),
    )


def _detector(table: Table, text: str) -> Detector:
    module, _, name = text.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), name)):
        raise table.invalid("detector", f"{text!r} is no detector; write module:name")
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        found = None
    if found is None:
        raise table.invalid("detector", f"there is no module {module}; install it, or set PYTHONPATH")
    return Detector(module, name)


def _tags(table: Table) -> dict[str, Any]:
    tags = table.values.get("tags", {})
    if not isinstance(tags, dict):
        raise table.invalid("tags", 'these are names with values, as tags = { room = "3" }')
    return tags


def _check(table: Table, settings: InputSettings, source: SourceSettings) -> None:
    """Refuse what could not be stored; a format that only the input knows is seen when that is opened."""
    try:
        audio_format = AudioFormat(
            settings.samplerate or DEFAULT_RATE,
            len(source.channels or ()) or settings.channels or DEFAULT_CHANNELS,
            SampleFormat(settings.dtype or DEFAULT_DTYPE),
        )
        Draft(new_recording(audio_format, **source.details), source.chunk_seconds)
    except (AudioError, InvalidDetails) as error:
        raise table.invalid(None, str(error)) from error


def _joined(before: ServiceInput, found: ServiceInput, table: Table) -> ServiceInput:
    """Return an input that feeds one source more; it is opened with as many channels as any asks for."""
    opened = max(before.input.channels or 1, found.input.channels or 1)
    one, other = (replace(input_.input, channels=opened) for input_ in (before, found))
    for key in (named.name for named in fields(InputSettings)):
        if getattr(one, key) != getattr(other, key):
            raise table.invalid(
                key, f"{before.name} hears the same input, and has {getattr(one, key)}; say the same in both"
            )
    return replace(before, input=one, sources=(*before.sources, *found.sources))
