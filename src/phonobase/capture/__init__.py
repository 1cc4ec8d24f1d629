"""Where sound comes from: devices, files, a pipe, a test tone."""

from phonobase.capture.block import Block, Input
from phonobase.capture.device import DeviceInput
from phonobase.capture.devices import Device, list_devices
from phonobase.capture.limit import limited
from phonobase.capture.pace import paced
from phonobase.capture.pipe import PipeInput
from phonobase.capture.seed import record_audio_to_bytes
from phonobase.capture.tone import ToneInput

__all__ = [
    "Block",
    "Device",
    "DeviceInput",
    "Input",
    "PipeInput",
    "ToneInput",
    "limited",
    "list_devices",
    "paced",
    "record_audio_to_bytes",
]
