"""Frames → a file: a GIF by Pillow, which is always there, or an MP4 by ffmpeg, where that is."""

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gdrun.errors import OutputError
from gdrun.plots.animation.scene import Pixels, Scene
from gdrun.plots.animation.timeline import TICK

COLORS = 128  # of a GIF; one palette for all frames lets most of a frame be left out
PACKED = np.array([2**16, 2**8, 1])  # makes one number of a colour
DROPPED_BITS = 3  # lower ones of a colour, which nobody sees
SAMPLES = 5  # frames that the palette is made for
MP4_RATE = 25  # frames a second
FFMPEG = "ffmpeg"


def has_ffmpeg() -> bool:
    """Whether films can be made as MP4."""
    return shutil.which(FFMPEG) is not None


def save_gif(
    scene: Scene, ticks: Sequence[int], path: Path, on_frame: Callable[[int], None]
) -> None:
    """Save a GIF that is repeated for ever; `on_frame` is called with the number of each frame.

    Raises:
        OSError: it can't be written.
    """
    palette = _Palette(scene)

    def frames() -> Iterator[Image.Image]:
        for number in range(len(scene)):
            on_frame(number)
            yield palette.image(scene.frame(number))

    first, *others = frames()
    durations = [1000 // TICK * tick for tick in ticks]
    first.save(path, format="GIF", save_all=True, append_images=others, duration=durations, loop=0)


class _Palette:
    """The most frequent colours of some frames, as they are: white stays white.

    Pillow's own choice is off by a few shades, and dithering would make noise of plain areas, which
    doesn't pack. Colours with the same upper bits become one.
    """

    def __init__(self, scene: Scene) -> None:
        last = len(scene) - 1
        numbers = dict.fromkeys(round(last * k / (SAMPLES - 1)) for k in range(SAMPLES))
        pixels = np.concatenate([scene.frame(number).reshape(-1, 3) for number in numbers])
        _, where, times = np.unique(pixels @ PACKED, return_index=True, return_counts=True)
        frequent = pixels[where[np.argsort(-times, kind="stable")]]
        _, first = np.unique(_upper(frequent), return_index=True)
        self._colors = frequent[np.sort(first)[:COLORS]]
        levels = np.arange(0, 256, 2**DROPPED_BITS) + 2 ** (DROPPED_BITS - 1)
        grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
        # |a − b|² = |a|² − 2ab + |b|², of which |a|² is the same for all b.
        colors = self._colors.astype(np.float32)
        distances = (colors**2).sum(axis=1) - 2 * grid.astype(np.float32) @ colors.T
        self._nearest = distances.argmin(axis=1).astype(np.uint8)
        self._nearest[_upper(self._colors)] = np.arange(len(self._colors))

    def image(self, pixels: Pixels) -> Image.Image:
        """A frame in these colours."""
        image = Image.fromarray(self._nearest[_upper(pixels)])
        image.putpalette(self._colors.tobytes())
        return image


def _upper(pixels: Pixels) -> NDArray[np.uint16]:
    """The upper bits of colours, (…, 3), as one number each."""
    red, green, blue = np.moveaxis((pixels >> DROPPED_BITS).astype(np.uint16), -1, 0)
    bits = 8 - DROPPED_BITS
    return np.asarray(red << 2 * bits | green << bits | blue)


def save_mp4(
    scene: Scene, ticks: Sequence[int], path: Path, on_frame: Callable[[int], None]
) -> None:
    """Save an MP4 as presentations play it; `on_frame` is called with the number of each frame.

    Raises:
        OSError: ffmpeg can't be started.
        OutputError: it fails.
    """
    height, width, _ = scene.frame(0).shape
    arguments = [
        *(FFMPEG, "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"),
        *("-s", f"{width}x{height}", "-r", str(MP4_RATE), "-i", "-"),
        # Half the colours, and even sizes, are all that many players know.
        *("-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p"),
        *("-movflags", "+faststart", "-f", "mp4", str(path.absolute())),
    ]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None
    said = b""
    try:
        with suppress(BrokenPipeError):  # it has failed, and says why
            _feed(process.stdin, scene, ticks, on_frame)
        _, said = process.communicate()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode:
        lines = said.decode(errors="replace").split("\n")
        raise OutputError(f"{path}: ffmpeg failed: {next(filter(None, lines), 'it says nothing')}")


def _feed(
    stream: IO[bytes], scene: Scene, ticks: Sequence[int], on_frame: Callable[[int], None]
) -> None:
    """Write each frame as often as it is seen at a constant rate."""
    ends = [round(MP4_RATE * sum(ticks[:k]) / TICK) for k in range(len(ticks) + 1)]
    for number, (start, end) in enumerate(pairwise(ends)):
        on_frame(number)
        frame = scene.frame(number).tobytes()
        for _ in range(end - start):
            stream.write(frame)
