"""Folders of numbered images, which are treated as videos.

The number of an image is the last group of digits in its name, and image n is shown n / rate seconds after image 0. The
text around the number and the image size must be the same for all images in a folder. Missing numbers leave a gap in
time and are counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from agrm_study.training.data.decoding.decoder import Decoder, chunks
from agrm_study.training.data.decoding.error import VideoError
from agrm_study.training.data.decoding.killable import beat
from agrm_study.training.data.decoding.video import VideoInfo

if TYPE_CHECKING:
    from PIL import Image

IMAGE_SUFFIXES: Final = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Suffixes of images, in lower case."""
CONTAINER: Final = "images"
"""`VideoInfo.container` of a folder of images."""
NOMINAL_RATE: Final = 25.0
"""Nominal frame rate in `VideoInfo`, in images per second; the manifest contains the actual rate."""
ORIENTATION: Final = 0x0112
"""EXIF tag for the orientation."""
QUARTER_TURNS: Final = range(5, 9)
"""EXIF orientations that swap width and height."""
DEEP_MODES: Final = ("I", "F")
"""First letters of the Pillow modes with more than 8 bits per channel."""


def number_of(name: str) -> int | None:
    """The number in an image's name; None if the file is not an image or its name has no digits."""
    stem, _, suffix = name.rpartition(".")
    digits = re.findall("[0-9]+", stem)
    return int(digits[-1]) if digits and f".{suffix.lower()}" in IMAGE_SUFFIXES else None


def is_numbered(names: Iterable[str]) -> bool:
    """Whether the images among these file names form a video, that is, at least two images, all with a number."""
    numbers = [number_of(name) for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES]
    return len(numbers) > 1 and None not in numbers


def images_in(folder: Path) -> list[Path]:
    """All images in a folder that are not hidden, sorted by name."""
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    )


def numbered_images(folder: Path) -> list[Path]:
    """The images in a folder, sorted by number; hidden files and other files are skipped.

    Raises:
        VideoError: If the folder contains fewer than two images, an image without a number, images from different
            series, or a duplicate number.
    """
    by_number: dict[int, Path] = {}
    series: set[tuple[str, str]] = set()
    for path in images_in(folder):
        number = number_of(path.name)
        if number is None:
            raise VideoError(f"{path.name} has no number, unlike the other images in its folder")
        if other := by_number.get(number):
            raise VideoError(f"two images have the number {number}: {other.name} and {path.name}")
        by_number[number] = path
        before, after = re.split("[0-9]+(?=[^0-9]*$)", path.stem)
        series.add((before, after + path.suffix.lower()))
        if len(series) > 1:
            names = " and ".join(sorted(f"{start}…{end}" for start, end in series))
            raise VideoError(f"images from different series are in one folder: {names}")
    if len(by_number) < 2:
        raise VideoError("the folder contains fewer than two images")
    return [by_number[number] for number in sorted(by_number)]


def read_folder_info(folder: Path) -> VideoInfo:
    """Read the number, size and times of the images in a folder from their names and headers.

    Raises:
        VideoError: As in `numbered_images`, or if an image cannot be read or the images differ in size.
    """
    paths = numbered_images(folder)
    numbers = np.array([number_of(path.name) for path in paths], dtype=np.float64)
    width, height = _size(paths[0])
    for path in paths[1:]:
        beat()
        if (size := _size(path)) != (width, height):
            raise _other_size(paths[0], (width, height), path, size)
    times = (numbers - numbers[0]) / NOMINAL_RATE
    return VideoInfo(
        frames=len(paths),
        promised=0,
        packets=len(paths),
        promised_s=0.0,
        present_s=0.0,
        cut_off="",
        stream=0,
        streams=1,
        fps=round((len(paths) - 1) / float(times[-1]), 6),
        width=width,
        height=height,
        rotation=0,
        pixel_aspect=1.0,
        interlaced=False,
        codec=paths[0].suffix.lower().removeprefix("."),
        container=CONTAINER,
        reordered=False,
        edit_list=False,
        variable_rate=False,
        absent=int(numbers[-1] - numbers[0]) + 1 - len(paths),
        times=times,
    )


class ImagesDecoder(Decoder):
    """Reads folders of numbered images with Pillow and applies the EXIF orientation of each image."""

    name = "images"

    def available(self) -> bool:
        return True

    def handles(self, info: VideoInfo) -> bool:
        return info.container == CONTAINER

    def read(
        self, path: Path, info: VideoInfo, indices: Sequence[int], width: int, height: int
    ) -> Iterator[NDArray[np.uint8]]:
        paths = numbered_images(path)
        if len(paths) != info.frames:
            raise VideoError(f"the folder contains {len(paths)} images, previously {info.frames}", "truncated")
        smaller = width * height < info.width * info.height
        way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        for chunk in chunks(indices, width, height):
            batch = np.empty((len(chunk), height, width, 3), np.uint8)
            for place, index in enumerate(chunk):
                image = _pixels(paths[index])
                if image.shape[:2] != (info.height, info.width):
                    raise _other_size(paths[0], (info.width, info.height), paths[index], image.shape[1::-1])
                batch[place] = cv2.resize(image, (width, height), interpolation=way)
            yield batch


def _other_size(first: Path, size: Sequence[int], path: Path, other: Sequence[int]) -> VideoError:
    sizes = f"{first.name} is {size[0]}x{size[1]}, {path.name} is {other[0]}x{other[1]}"
    return VideoError(f"images of different sizes: {sizes}")


def _size(path: Path) -> tuple[int, int]:
    """Width and height of an image as displayed."""
    with _opened(path) as image:
        turned = image.getexif().get(ORIENTATION, 1) in QUARTER_TURNS
        return (image.height, image.width) if turned else (image.width, image.height)


def _pixels(path: Path) -> NDArray[np.uint8]:
    """RGB pixels (H, W, 3) of an image as displayed; transparency is ignored."""
    from PIL import ImageOps

    with _opened(path) as image:
        if image.mode.startswith(DEEP_MODES):
            raise VideoError(f"{path.name} has more than 8 bits per channel; convert the images to 8 bits")
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"), dtype=np.uint8)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image; any exception raised by Pillow for damaged data becomes a `VideoError`."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            yield image
    except VideoError:
        raise
    except UnidentifiedImageError:
        raise VideoError(f"{path.name} is not an image, or is damaged") from None
    except Exception as error:  # damaged data cause many types of errors
        raise VideoError(f"{path.name} cannot be decoded ({error})") from None
