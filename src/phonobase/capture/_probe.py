"""Print as JSON what PortAudio sees.

Run as a program of its own, because PortAudio may hang or abort.
"""

from __future__ import annotations

import json
import sys


def main() -> None:
    """Print the devices and which of them is the default, or why there is no PortAudio."""
    try:
        import sounddevice  # noqa: PLC0415 - its absence is an answer
    except (ImportError, OSError) as error:
        json.dump({"missing": str(error)}, sys.stdout)
        return
    host_apis = [api["name"] for api in sounddevice.query_hostapis()]
    found = {
        "default": sounddevice.default.device[0],
        "devices": [
            {
                "index": device["index"],
                "name": device["name"],
                "host_api": host_apis[device["hostapi"]],
                "channels": device["max_input_channels"],
                "default_sample_rate": round(device["default_samplerate"]),
            }
            for device in sounddevice.query_devices()
            if device["max_input_channels"] > 0
        ],
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
