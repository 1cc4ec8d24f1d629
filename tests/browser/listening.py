"""What is heard in the page, sample by sample."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import numpy as np
from fastapi import Response

if TYPE_CHECKING:
    from fastapi import FastAPI
    from numpy.typing import NDArray

    from phonobase.pcm import Frames
    from tests.browser.shown import Shown

    Times = NDArray[np.float64]

_SILENCE = 16
"""Frames of silence that noise never has."""

PACKED = """
const packed = (samples) => {
  const bytes = new Uint8Array(samples.buffer);
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768)
    text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return btoa(text);
};
const interleaved = (buffer, first, count) => {
  const channels = buffer.numberOfChannels;
  const samples = new Float32Array(channels * count);
  for (let channel = 0; channel < channels; channel++) {
    const data = buffer.getChannelData(channel).subarray(first, first + count);
    data.forEach((value, i) => { samples[i * channels + channel] = value; });
  }
  return samples;
};
"""
"""How sound leaves the page: interleaved, as base64 of 32-bit floats."""

_DECODED = f"""
async ([selector, rate, channels, first, count]) => {{
  {PACKED}
  const answer = await fetch(document.querySelector(selector).currentSrc);
  const context = new OfflineAudioContext(channels, 1, rate);
  const decoded = await context.decodeAudioData(await answer.arrayBuffer());
  return [decoded.length, packed(interleaved(decoded, first, count))];
}}
"""

_TAP_PROGRAM = """
registerProcessor("tap", class extends AudioWorkletProcessor {
  process([[...channels]]) {
    const copies = channels.map((each) => each.slice());
    if (channels.length) this.port.postMessage({ channels: copies, at: Date.now() });
    return true;
  }
});
"""
"""What ``with_tap`` serves: Chromium takes such programs from the page's own host alone."""
_TAP_PATH = "/tap.js"

_TAPPING = f"""
{PACKED}
window.heard = [];
const tapping = async (context) => {{
  await context.audioWorklet.addModule("{_TAP_PATH}");
  const node = new AudioWorkletNode(context, "tap", {{ outputChannelCount: [1] }});
  node.port.onmessage = ({{ data: {{ channels, at }} }}) => {{
    const getChannelData = (channel) => channels[channel];
    const buffer = {{ numberOfChannels: channels.length, getChannelData }};
    window.heard.push({{ sound: interleaved(buffer, 0, channels[0].length), at }});
  }};
  return node;
}};
"""

_TAP = f"""
async ([selector, rate]) => {{
  {_TAPPING}
  const context = new AudioContext({{ sampleRate: rate }});
  const node = await tapping(context);
  context.createMediaElementSource(document.querySelector(selector)).connect(node);
  node.connect(context.destination);
  await context.resume();
}}
"""

_TAP_ALL = f"""
(() => {{
  {_TAPPING}
  const {{ connect }} = AudioNode.prototype, {{ resume }} = AudioContext.prototype;
  const taps = new WeakMap();
  const tapped = (context) => {{
    if (!taps.has(context)) taps.set(context, tap(context, new GainNode(context)));
    return taps.get(context);
  }};
  const tap = (context, mix) => ({{
    mix,
    ready: tapping(context).then((node) => {{
      connect.call(mix, node);
      connect.call(node, context.destination);
    }}),
  }});
  AudioContext.prototype.resume = async function () {{
    await tapped(this).ready;  // so that nothing is played before it is listened to
    return resume.call(this);
  }};
  AudioNode.prototype.connect = function (target, ...rest) {{
    if (target instanceof AudioDestinationNode) connect.call(this, tapped(this.context).mix);
    return connect.call(this, target, ...rest);
  }};
}})()
"""

_HEARD = f"""
() => {{
  {PACKED}
  const parts = window.heard;
  const samples = new Float32Array(parts.reduce((sum, {{ sound }}) => sum + sound.length, 0));
  let place = 0;
  for (const {{ sound }} of parts) {{
    samples.set(sound, place);
    place += sound.length;
  }}
  return [packed(samples), parts.map(({{ sound }}) => sound.length), parts.map(({{ at }}) => at)];
}}
"""


def decoded(shown: Shown, rate: int, first: int, count: int, channels: int = 1) -> tuple[int, Frames]:
    """Has the browser decode the very address that the player plays.

    Returns:
        How many frames there are, and ``count`` of them from ``first`` on, as int16.
    """
    length, text = shown.ask(_DECODED, "#audio", rate, channels, first, count)
    return length, _frames(text, channels)


def with_tap(app: FastAPI) -> FastAPI:
    """Has an application serve what ``tap`` and ``tap_all`` need."""
    program = Response(_TAP_PROGRAM, media_type="text/javascript")
    app.add_route(_TAP_PATH, lambda _request: program)
    return app


def tap(shown: Shown, selector: str, rate: int) -> None:
    """Takes down from now on what an element of the page plays, on its way to the loudspeaker."""
    shown.ask(_TAP, selector, rate)


def tap_all(shown: Shown) -> None:
    """As ``tap``, of whatever the page plays without an element, once it is loaded next."""
    shown.page.add_init_script(_TAP_ALL)


def heard(shown: Shown, channels: int = 1) -> tuple[Frames, Times]:
    """Returns what was played since ``tap``, as int16, and when each frame was, in seconds since 1970.

    The times are those of the blocks in which a browser plays, of 3 to 500 ms.
    """
    text, lengths, at_ms = shown.ask(_HEARD)
    counts = np.array(lengths, int) // channels
    return _frames(text, channels), np.repeat(np.array(at_ms, float) / 1000, counts)


def sounding(frames: Frames) -> Frames:
    """Returns the first stretch of noise: on a busy machine a browser plays silence where sound is late."""
    sounds = np.flatnonzero(frames.any(axis=1))
    pauses = np.flatnonzero(np.diff(sounds) > _SILENCE)
    last = sounds[pauses[0]] if len(pauses) else sounds[-1]
    return frames[sounds[0] : last + 1]


def _frames(text: str, channels: int) -> Frames:
    return as_int16(np.frombuffer(base64.b64decode(text), "<f4").reshape(-1, channels), 32_767)


def as_int16(samples: Frames, loudest: int) -> Frames:
    """Returns the 16-bit samples that a browser has made floats of.

    Args:
        samples: The floats.
        loudest: Which 16-bit sample it makes 1.0 of: Chromium 32767, Firefox 32768; of -32768 both make -1.0.
    """
    scaled = samples.astype(np.float64) * np.where(samples < 0, 32_768, loudest)
    frames = scaled.round().astype(np.int16)
    assert np.abs(frames - scaled).max(initial=0) < 0.02, "these are no 16-bit samples"
    return frames
