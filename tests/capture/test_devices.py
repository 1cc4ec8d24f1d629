import pytest

from phonobase.capture._refusal import refused
from phonobase.capture.devices import Device, find_device
from phonobase.errors import DeviceUnavailable
from phonobase.pcm import AudioFormat


def _device(index: int, name: str, *, default: bool = False) -> Device:
    return Device(index, name, "ALSA", 2, 48_000, is_default=default)


DESK = _device(0, "USB Audio: Desk (hw:1,0)")
DEFAULT = _device(3, "default", default=True)
DOOR = _device(4, "USB Audio: Door (hw:2,0)")
DEVICES = [DESK, DEFAULT, DOOR]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (None, DEFAULT),
        (4, DOOR),
        ("4", DOOR),
        ("default", DEFAULT),
        ("desk", DESK),
        ("USB Audio: Door (hw:2,0)", DOOR),
        ("HW:1", DESK),
    ],
)
def test_a_device_is_found(wanted: str | int | None, found: Device) -> None:
    """A number, a whole name, or a part of one in any case will do."""
    assert find_device(DEVICES, wanted) == found


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            "usb",
            (
                "'usb' could be any of 0: USB Audio: Desk (hw:1,0) (ALSA), "
                "4: USB Audio: Door (hw:2,0) (ALSA); use more of the name, or the number"
            ),
        ),
        (
            1,
            (
                "no input device 1; there are 0: USB Audio: Desk (hw:1,0) (ALSA), "
                "3: default (ALSA), 4: USB Audio: Door (hw:2,0) (ALSA)"
            ),
        ),
    ],
)
def test_a_device_is_not_guessed(wanted: str | int, message: str) -> None:
    """What could mean two devices, or none, is answered with those there are."""
    with pytest.raises(DeviceUnavailable) as raised:
        find_device(DEVICES, wanted)
    assert str(raised.value) == message


def test_without_a_default_the_first_device_is_used() -> None:
    """Some host APIs name no default."""
    assert find_device([DESK, DOOR], None) == DESK


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("Error opening RawInputStream: Device unavailable", -9985),
            (
                "default (ALSA) is busy or gone; end the program that records from it, or choose "
                "another: `phonobase devices` lists what can be heard"
            ),
        ),
        (
            ("Error opening RawInputStream: Sample format not supported", -9994),
            "default (ALSA) does not record int16; try --dtype int16",
        ),
        (
            ("Error opening RawInputStream: Invalid number of channels", -9998),
            "default (ALSA) does not record 1 channels; it has 2: record at most that many (--channels 2)",
        ),
        (
            ("Error opening RawInputStream: Unanticipated host error", -9999, (0, -5, "I/O\nerror")),
            (
                "default (ALSA) does not open: Unanticipated host error: I/O error; "
                "`phonobase devices` lists what can be heard"
            ),
        ),
        (
            ("Error querying device -1",),
            (
                "default (ALSA) does not open: Error querying device -1; "
                "`phonobase devices` lists what can be heard"
            ),
        ),
    ],
)
def test_what_portaudio_says_becomes_what_to_do(arguments: tuple[object, ...], message: str) -> None:
    """Every refusal is one line that names the device and the next step."""
    error = refused(Exception(*arguments), DEFAULT, AudioFormat(48_000, 1))
    assert (type(error), str(error)) == (DeviceUnavailable, message)
