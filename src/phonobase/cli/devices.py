"""``phonobase devices``."""

from __future__ import annotations

from dataclasses import asdict

import click

from phonobase.capture.devices import list_devices
from phonobase.cli.options import json_option
from phonobase.cli.output import note, print_json, print_table


@click.command("devices")
@json_option
def command(*, as_json: bool) -> None:
    """List what this machine can hear."""
    found = list_devices()
    if as_json:
        print_json([asdict(device) for device in found])
    elif not found:
        note("no input device: connect one, or record the test tone with --input tone")
    else:
        print_table(
            ["", "no", "name", "host api", "channels", "rate"],
            [
                [
                    "*" if device.is_default else "",
                    str(device.index),
                    device.name,
                    device.host_api,
                    str(device.channels),
                    str(device.default_sample_rate),
                ]
                for device in found
            ],
            numbers=(1, 4, 5),
        )
