import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.pulse import SoundServer

RATE = 44_100
BOUND_S = 60

OPEN = """
import sys
from phonobase.capture import DeviceInput
from phonobase.errors import PhonobaseError
from phonobase.pcm import AudioFormat
rate, channels, device = sys.argv[1:]
wanted = int(device) if device.isdecimal() else device or None
try:
    DeviceInput(AudioFormat(int(rate), int(channels)), wanted).close()
    print("opened")
except PhonobaseError as error:
    print(f"{type(error).__name__}: {error}")
"""

LIST = """
import sys
from phonobase.capture import list_devices
from phonobase.errors import PhonobaseError
try:
    print(list_devices(float(sys.argv[1])))
except PhonobaseError as error:
    print(f"{type(error).__name__}: {error}")
"""

TWO_CHANNELS = """
pcm.default {
    type multi
    slaves { only { pcm { type null } channels 2 } }
    bindings { 0 { slave only channel 0 } 1 { slave only channel 1 } }
    hint.description "Two channels"
}
"""
NOT_CONNECTED = "pcm.default { type hw card 31 }\nctl.default { type hw card 31 }\n"
NO_DEVICE = (
    "DeviceUnavailable: no input device: connect one, or record the test tone with --input tone; "
    "`phonobase devices` lists what can be heard"
)


def _said(script: str, env: Mapping[str, str], *arguments: str) -> str:
    """Runs a script and returns the one line it says; on standard error it must say nothing."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env={**os.environ, **env},
        capture_output=True,
        check=True,
        text=True,
        timeout=BOUND_S,
    )
    assert done.stderr == ""
    return done.stdout.removesuffix("\n")


def _alsa(tmp_path: Path, configuration: str) -> dict[str, str]:
    path = tmp_path / "alsa.conf"
    path.write_text(configuration)
    return {"ALSA_CONFIG_PATH": str(path)}


def test_the_devices_are_listed(sound: SoundServer) -> None:
    """Both inputs of the sound server are there, and one is the default."""
    listed = _said(LIST, sound.env, "10")
    for index, name, default in ((0, "pulse", False), (1, "default", True)):
        assert (
            f"Device(index={index}, name='{name}', host_api='ALSA', channels=32, "
            f"default_sample_rate=44100, is_default={default})" in listed
        )


def test_an_unknown_name_is_answered_with_the_names(sound: SoundServer) -> None:
    """Whoever mistypes a name is told which there are."""
    assert _said(OPEN, sound.env, str(RATE), "1", "microphone") == (
        "DeviceUnavailable: no input device 'microphone'; there are 0: pulse (ALSA), 1: default (ALSA)"
    )


def test_a_refused_rate_is_answered_with_the_devices_own(sound: SoundServer) -> None:
    """PulseAudio stops at 384 kHz; the error says which rate works, and that one does."""
    assert _said(OPEN, sound.env, "700000", "1", "") == (
        "DeviceUnavailable: default (ALSA) does not record at 700000 Hz; its own rate is 44100 Hz: "
        "record at that rate (--samplerate 44100)"
    )
    assert _said(OPEN, sound.env, "44100", "1", "") == "opened"


def test_too_many_channels_are_answered_with_their_number(tmp_path: Path) -> None:
    """A device with two channels is not asked for three."""
    env = _alsa(tmp_path, TWO_CHANNELS)
    assert _said(OPEN, env, str(RATE), "3", "") == (
        "DeviceUnavailable: default (ALSA) does not record 3 channels; it has 2: "
        "record at most that many (--channels 2)"
    )
    assert _said(OPEN, env, str(RATE), "2", "0") == "opened"


def test_a_machine_without_an_input_says_what_to_do(tmp_path: Path) -> None:
    """No device is an empty list, and an error that names the way without one."""
    env = _alsa(tmp_path, NOT_CONNECTED)
    assert _said(LIST, env, "10") == "[]"
    assert _said(OPEN, env, str(RATE), "1", "") == NO_DEVICE


def test_a_crash_of_portaudio_is_an_error_like_others(tmp_path: Path) -> None:
    """PortAudio aborts the process where ALSA has no configuration at all; it is not ours."""
    said = _said(OPEN, _alsa(tmp_path, ""), str(RATE), "1", "")
    assert said == (
        f"CaptureError: PortAudio crashed while it looked for devices (status {-signal.SIGABRT}); "
        "check the sound configuration of this machine, or record with --input tone"
    )


def test_a_sound_server_that_hangs_does_not_hang_the_list() -> None:
    """Whoever asks for devices gets an answer in the time they give."""
    with SoundServer() as server:
        os.kill(server.pid, signal.SIGSTOP)
        try:
            said = _said(LIST, server.env, "1")
        finally:
            os.kill(server.pid, signal.SIGCONT)
    assert said == ("CaptureError: the sound system did not answer within 1 s; restart the sound server")


@pytest.mark.parametrize(("script", "arguments"), [(OPEN, ["44100", "1", ""]), (LIST, ["10"])])
def test_without_portaudio_the_package_is_named(tmp_path: Path, script: str, arguments: list[str]) -> None:
    """The import raises OSError where the library is missing; the error says how to get it."""
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    remedy = {"darwin": "brew install portaudio"}.get(sys.platform, "apt-get install libportaudio2")
    assert _said(script, {"PYTHONPATH": path}, *arguments) == (
        f"PortAudioMissing: PortAudio is not installed, so no device can be heard; run `{remedy}`"
    )
