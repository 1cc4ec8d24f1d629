"""PortAudio in this process: loaded late, kept quiet, opened by one thread at a time."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import threading
from typing import TYPE_CHECKING, Any

from phonobase.capture.devices import portaudio_missing
from phonobase.errors import DeviceUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phonobase.capture.devices import Device

_lock = threading.Lock()
_open_streams = 0


def claim(timeout_s: float) -> None:
    """Let nobody else open or close a device until ``give_back``: PortAudio is not made for threads.

    Any thread may give it back: one that hangs in PortAudio does so when it comes out of it, so that there is
    never more than one of them.

    Raises:
        DeviceUnavailable: Somebody else did not come to an end in time.
    """
    if not _lock.acquire(timeout=timeout_s):
        raise DeviceUnavailable(
            f"a device has been opening or closing for {timeout_s:g} s; restart the sound server"
        )


def give_back() -> None:
    """End what ``claim`` began."""
    _lock.release()


@contextlib.contextmanager
def exclusive(timeout_s: float) -> Iterator[None]:
    """``claim`` for as long as the block lasts.

    Raises:
        DeviceUnavailable: Somebody else did not come to an end in time.
    """
    claim(timeout_s)
    try:
        yield
    finally:
        give_back()


def load() -> Any:  # noqa: ANN401 - sounddevice has no types
    """Return the module sounddevice.

    Raises:
        PortAudioMissing: It, or the library that it needs, is not installed.
    """
    try:
        import sounddevice  # noqa: PLC0415 - it opens PortAudio, which may be missing or hang
    except (ImportError, OSError):
        raise portaudio_missing() from None
    return sounddevice


def open_stream(device: Device, **settings: object) -> Any:  # noqa: ANN401
    """Open, but do not start, a stream that reads raw bytes from a device. ``claim`` it before.

    Raises:
        sounddevice.PortAudioError: The device refuses.
    """
    global _open_streams  # noqa: PLW0603 - PortAudio itself is global
    sounddevice = load()
    index = _index(sounddevice, device)
    if index is None and not _open_streams:
        # PortAudio looks for devices once; looking again closes every stream.
        sounddevice._terminate()  # noqa: SLF001 - there is no public way
        sounddevice._initialize()  # noqa: SLF001
        index = _index(sounddevice, device)
    if index is None:
        raise DeviceUnavailable(
            f"{device} was connected after this program started; restart it to record from it"
        )
    stream = sounddevice.RawInputStream(device=index, **settings)
    _open_streams += 1
    return stream


def close_stream(stream: Any) -> None:  # noqa: ANN401
    """Give back what ``open_stream`` returned, for however long that takes."""
    global _open_streams  # noqa: PLW0603
    with _lock:
        stream.abort()
        stream.close()
        _open_streams -= 1


def abandon() -> None:
    """Leave a stream that hangs behind: the end of the process must neither wait for it nor crash."""
    sounddevice = load()
    atexit.unregister(sounddevice._exit_handler)  # noqa: SLF001 - it closes every stream
    # The interpreter unloads the library at its end, under the thread that hangs in it. ctypes never
    # lets go of a library.
    ctypes.CDLL(sounddevice._libname)  # noqa: SLF001


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send to nowhere what C libraries write to standard error. ``claim`` it before."""
    try:
        saved = os.dup(2)
    except OSError:  # a service may run without it
        yield
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _index(sounddevice: Any, device: Device) -> int | None:  # noqa: ANN401
    """Return the number of a device in this process, which may be another than elsewhere."""
    found = list(sounddevice.query_devices())
    same = [
        candidate["index"]
        for candidate in found
        if candidate["name"] == device.name
        and candidate["max_input_channels"] > 0
        and sounddevice.query_hostapis(candidate["hostapi"])["name"] == device.host_api
    ]
    if device.index in same:
        return device.index
    index: int | None = same[0] if same else None
    return index
