"""Make one picture smaller: a file of bytes in, fewer bytes out. Pure: no S3, no clock, no files."""

import struct
import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Any

from PIL import (
    Image,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

FORMATS: dict[str, tuple[str, ...]] = {
    "JPEG": ("image/jpeg", "image/jpg", "image/pjpeg"),
    "PNG": ("image/png", "image/x-png"),
    "WEBP": ("image/webp",),
}
"""What may be decoded, under Pillow's names, with the content types that mean it (ours first).

Each decoder is code that strangers' bytes reach, so a format is added here on purpose, not by default.
"""

# Pillow loads its decoders at the first picture; named here, that is paid while the function starts.
_DECODERS = (JpegImagePlugin, MpoImagePlugin, PngImagePlugin, WebPImagePlugin)
Image.preinit()

# What Pillow raises for bytes that are not a whole, well-formed picture. An error of the network below the
# file is none of these and passes.
_BROKEN = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error, OverflowError)

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class ImageRefusedError(Exception):
    """The picture cannot be resized, and trying again would not change that."""


@dataclass(frozen=True)
class Resized:
    """A picture as it is to be stored."""

    body: bytes
    content_type: str
    width: int
    height: int


def resize(source: IO[bytes], *, declared_type: str = "", fit_px: int = 0, max_pixels: int) -> Resized:
    """Return the picture at half its size, or with its longest side at `fit_px` pixels if that is smaller.

    The format stays; colour profile, transparency and 16-bit grey are kept, EXIF is applied and dropped.
    `declared_type` is kept as content type where it agrees with the bytes, which otherwise decide.
    Raises ImageRefusedError with a reason for a log line.
    """
    try:
        # Pillow's warnings about a picture would be log lines that do not name it.
        with warnings.catch_warnings(action="ignore"), Image.open(source, formats=list(FORMATS)) as image:
            _check(image, max_pixels)
            name = "JPEG" if image.format == "MPO" else str(image.format)
            orientation = _orientation(image)
            profile = image.info.get("icc_profile")
            picture = _shrink(image, target_size(image.size, fit_px))
            if orientation in _UPRIGHT:
                picture = picture.transpose(_UPRIGHT[orientation])
            body = _encode(picture, name, profile)
    except UnidentifiedImageError as error:
        raise ImageRefusedError(f"not a readable image of the formats {', '.join(FORMATS)}") from error
    except Image.DecompressionBombError as error:
        raise ImageRefusedError(f"too many pixels: {error}") from error
    except _BROKEN as error:
        raise ImageRefusedError(f"broken image: {error or type(error).__name__}") from error
    return Resized(body, content_type(name, declared_type), picture.width, picture.height)


def target_size(size: tuple[int, int], fit_px: int) -> tuple[int, int]:
    """Return half of a size, or the size with its longest side at `fit_px`; never larger, never 0."""
    width, height = size
    if not fit_px:
        return max(1, width // 2), max(1, height // 2)
    scale = min(1.0, fit_px / max(size))
    return max(1, round(width * scale)), max(1, round(height * scale))


def content_type(name: str, declared: str) -> str:
    """Return the declared content type if it means this format, else the format's own."""
    media_type = declared.partition(";")[0].strip().lower()
    return declared if media_type in FORMATS[name] else FORMATS[name][0]


def _check(image: Image.Image, max_pixels: int) -> None:
    """Refuse by what the header says, before any pixel is decoded."""
    pixels = image.width * image.height
    # WebP's decoder holds several copies of the picture: without this, a picture within the limit could take
    # all of the function's memory, which ends it without a word.
    max_pixels = max_pixels // 2 if image.format == "WEBP" else max_pixels
    if pixels > max_pixels:
        raise ImageRefusedError(
            f"too many pixels: {image.width} x {image.height} is {pixels / 1e6:.1f} MP,"
            f" allowed are {max_pixels / 1e6:g} MP"
        )
    # A camera's MPO is a JPEG with previews or depth maps behind it: its first frame is the picture.
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if frames > 1:
        raise ImageRefusedError(f"animated: {frames} frames, and a still would not be the same picture")


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation; a picture whose EXIF is broken is shown as it is, as browsers do."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except (*_BROKEN, ZeroDivisionError):
        return 1


def _shrink(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    if image.format in ("JPEG", "MPO"):
        # With a gap of 1.0 libjpeg decodes straight to half (a quarter, an eighth) of the size, which is
        # several times faster than decoding everything; Pillow's default of 2.0 never does at half the size.
        image.thumbnail(size, reducing_gap=1.0)
        return image
    picture = _with_blendable_pixels(image)
    # Pillow cannot pre-shrink 16-bit grey.
    picture.thumbnail(size, reducing_gap=None if picture.mode == "I;16" else 2.0)
    return picture


def _with_blendable_pixels(image: Image.Image) -> Image.Image:
    """Return the picture in a mode whose pixels can be averaged: no palette, key colour or single bits."""
    if image.mode == "I;16":
        if image.has_transparency_data:
            raise ImageRefusedError("16-bit grey with a transparent key colour is not supported")
        return image
    colours = "L" if image.mode in ("1", "L", "LA") else "RGB"
    mode = colours + "A" if image.has_transparency_data else colours
    return image if image.mode == mode else image.convert(mode)


def _encode(picture: Image.Image, name: str, profile: bytes | None) -> bytes:
    # Level 3: in half of the default's time about the same size; run-length coding alone is faster
    # still for photographs but doubles screenshots and drawings, which is what PNG is used for.
    options: dict[str, Any] = {"compress_level": 3} if name == "PNG" else {}
    if profile:
        options["icc_profile"] = profile
    body = BytesIO()
    picture.save(body, name, **options)
    return body.getvalue()
