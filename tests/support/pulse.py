"""A real sound server for tests: what is played into its sink is what its input hears.

PortAudio reaches it through ALSA's pulse plugin, as on a Linux desktop, and sees two inputs,
"default" and "pulse"; both are the monitor of the sink.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Literal, Self

from tests.support.prs import Frames
from tests.support.require import missing, require

Format = Literal["s16le", "s32le", "float32le"]

_PATIENCE = 10.0
_FORMATS: dict[str, Format] = {"int16": "s16le", "int32": "s32le", "float32": "float32le"}

# The order in which ALSA names channels; any other would make the server mix them anew.
_CHANNEL_MAP = [
    "front-left",
    "front-right",
    "rear-left",
    "rear-right",
    "front-center",
    "lfe",
    "side-left",
    "side-right",
]

# No file of the system's is read: they would look for sound cards, and complain aloud.
_ALSA = """
pcm.default {{ type pulse server "{server}" hint.description "Default" }}
pcm.pulse   {{ type pulse server "{server}" hint.description "PulseAudio" }}
ctl.default {{ type pulse server "{server}" }}
ctl.pulse   {{ type pulse server "{server}" }}
"""


class SoundServer:
    """PulseAudio for the tests alone, with a sink named "phonobase" whose monitor is the input.

    `env` are the variables with which a process finds it. They work only if they are set before
    PortAudio is loaded, so a capture belongs into a process of its own.

    What is played comes back bit for bit as long as player, sink and recorder agree on rate,
    channels and format, so that nothing is converted, and as long as the recorder uses blocking
    reads. That was so with either device, with a latency of 0.2 s, 0.5 s, 1 s or "high" (35 ms) and
    the blocksize left to PortAudio, also with twice as many busy processes as cores and four busy
    threads in the recording process.

    How it fails: once the recorder is 4 MiB behind, sound is lost and PortAudio reports no overflow.
    When the server ends, a read fails at once; while the sink is suspended (`pactl`) or the server is
    stopped (SIGSTOP) a read hangs, nothing is available, and all goes on when that ends.
    """

    def __init__(self, rate: int = 44_100, channels: int = 2, sample_format: Format = "s16le") -> None:
        self.rate, self.channels, self.sample_format = rate, channels, sample_format
        self.env: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._programs = {name: require(name) for name in ("pulseaudio", "pacat", "pactl")}
        library = "alsa-lib/libasound_module_pcm_pulse.so"
        if not [*Path("/usr").glob(f"lib*/{library}"), *Path("/usr").glob(f"lib*/*/{library}")]:
            missing("ALSA's way to PulseAudio", "sudo apt-get install libasound2-plugins (Linux only)")
        self._directory = Path(tempfile.mkdtemp(prefix="phonobase-pulse-"))
        server = f"unix:{self._directory / 'native'}"
        alsa = self._directory / "alsa.conf"
        alsa.write_text(_ALSA.format(server=server))
        client = self._directory / "client.conf"
        client.write_text("autospawn = no\n")
        self.env = {
            "ALSA_CONFIG_PATH": str(alsa),
            "PULSE_CLIENTCONFIG": str(client),
            "PULSE_COOKIE": str(self._directory / "cookie"),
            "PULSE_RUNTIME_PATH": str(self._directory),
            "PULSE_SERVER": server,
            "PULSE_STATE_PATH": str(self._directory),
        }
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._process is None:
            raise RuntimeError("the sound server is not running")
        return self._process.pid

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        sink = " ".join(_null_sink("phonobase", self.rate, self.channels, self.sample_format))
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self._programs["pulseaudio"], "-n", "--daemonize=no", "--use-pid-file=no"),
                    *("--exit-idle-time=-1", "--disable-shm=yes", "--high-priority=no"),
                    f"--load=module-native-protocol-unix socket={self._directory}/native auth-anonymous=1",
                    f"--load={sink}",
                ],
                env=os.environ | self.env | self._isolation(),
                start_new_session=True,  # Ctrl-C is for pytest, which then stops the server
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"PulseAudio does not start:\n{self.log()}")
            time.sleep(0.02)
        self.pactl("set-default-source", "phonobase.monitor")

    def stop(self) -> None:
        """Ends the server in good order; recorders lose their input."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kills the server, as a crash would."""
        self._end(signal.SIGKILL)

    def log(self) -> str:
        """Returns what the server has said."""
        return (self._directory / "log").read_text(errors="replace")

    def pactl(self, *arguments: str) -> str:
        """Gives the server a command and returns its answer."""
        return subprocess.check_output(
            [self._programs["pactl"], *arguments], env=os.environ | self.env, text=True
        )

    def load_sink(
        self, name: str, rate: int = 44_100, channels: int = 2, sample_format: Format = "s16le"
    ) -> None:
        """Adds a sink; its monitor is the input from then on."""
        self.pactl("load-module", *_null_sink(name, rate, channels, sample_format))
        self.pactl("set-default-source", f"{name}.monitor")

    def play(self, frames: Frames, *, sink: str = "phonobase", rate: int | None = None) -> None:
        """Plays frames into a sink, in real time, and returns when the last one was heard."""
        player = self.play_async(frames, sink=sink, rate=rate)
        if player.wait() != 0:
            raise RuntimeError(f"pacat failed with {player.returncode}:\n{self.log()}")

    def play_async(
        self, frames: Frames, *, sink: str = "phonobase", rate: int | None = None
    ) -> subprocess.Popen[bytes]:
        """Plays frames into a sink while the caller does something else; `wait` for the end."""
        with tempfile.TemporaryFile(dir=self._directory) as file:
            file.write(frames.tobytes())
            file.seek(0)
            return subprocess.Popen(
                [
                    *(self._programs["pacat"], "--playback", "--raw", f"--device={sink}"),
                    f"--format={_FORMATS[frames.dtype.name]}",
                    f"--rate={rate or self.rate}",
                    f"--channels={frames.shape[1]}",
                    f"--channel-map={_channel_map(frames.shape[1])}",
                ],
                env=os.environ | self.env,
                stdin=file,
            )

    def _isolation(self) -> dict[str, str]:
        """Returns the variables that keep the server from a desktop's files and message bus."""
        home = str(self._directory)
        return {
            "DBUS_SESSION_BUS_ADDRESS": "disabled:",
            "HOME": home,
            "XDG_CONFIG_HOME": home,
            "XDG_RUNTIME_DIR": home,
        }

    def _answers(self) -> bool:
        with contextlib.suppress(subprocess.CalledProcessError):
            subprocess.run(
                [self._programs["pactl"], "info"],
                check=True,
                env=os.environ | self.env,
                capture_output=True,
            )
            return True
        return False

    def _end(self, signal_number: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal_number)
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _null_sink(name: str, rate: int, channels: int, sample_format: Format) -> list[str]:
    return [
        "module-null-sink",
        f"sink_name={name}",
        f"rate={rate}",
        f"channels={channels}",
        f"format={sample_format}",
        f"channel_map={_channel_map(channels)}",
        # The sink then hands on sound every 50 ms. It would do so every 2 s, and whoever begins
        # to listen meanwhile would hear nothing for so long and miss what was played first.
        "norewinds=1",
    ]


def _channel_map(channels: int) -> str:
    return "mono" if channels == 1 else ",".join(_CHANNEL_MAP[:channels])
