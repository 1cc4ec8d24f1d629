"""Inputs of somebody else's: whatever they do, it is as if a device had failed, which is opened again."""

from __future__ import annotations

import contextlib
import importlib
import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from phonobase.capture.block import Block
from phonobase.errors import CaptureError, DeviceUnavailable
from phonobase.pcm import AudioFormat

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_log = logging.getLogger("phonobase.recorder")


class PluginInput:
    """What a function makes, called with the format that is asked for.

    Args:
        name: The function, as ``MODULE:FUNCTION``.
        asked: That format.

    Raises:
        DeviceUnavailable: There is no such function, or it fails, or what it returns is no input.
    """

    def __init__(self, name: str, asked: AudioFormat) -> None:
        self._name = name
        module, _, function = name.partition(":")
        try:
            make = getattr(importlib.import_module(module), function)
        except (ImportError, AttributeError, ValueError) as error:
            raise DeviceUnavailable(
                f"there is no input plugin:{name} ({error}); write plugin:MODULE:FUNCTION"
            ) from None
        with self._as_a_device():
            self._input: Any = make(asked)
            self.format: AudioFormat = self._input.format
            self.frame_count: int | None = self._input.frame_count
            self.description: Mapping[str, str | int | float] = dict(self._input.description)
        if not isinstance(self.format, AudioFormat):
            raise DeviceUnavailable(f"plugin:{name} has no format but {self.format!r}")

    def blocks(self) -> Iterator[Block]:
        """Yield the sound."""
        with self._as_a_device():
            for block in self._input.blocks():
                self._check(block)
                yield block

    def stop(self) -> None:
        """Make blocks() end soon."""
        self._input.stop()

    def close(self) -> None:
        """Let it give back what it holds."""
        with self._as_a_device():
            self._input.close()

    def _check(self, block: object) -> None:
        frames = block.frames if isinstance(block, Block) else None
        if isinstance(frames, np.ndarray):
            found = (frames.ndim, *frames.shape[1:], frames.dtype)
            if found == (2, self.format.channels, self.format.sample_format.dtype):
                return
        raise DeviceUnavailable(f"plugin:{self._name} gave something that is no block of {self.format}")

    @contextlib.contextmanager
    def _as_a_device(self) -> Iterator[None]:
        try:
            yield
        except CaptureError:
            raise
        except Exception as error:
            _log.debug("an input failed", exc_info=True)
            raise DeviceUnavailable(f"plugin:{self._name}: {type(error).__name__}: {error}") from error
