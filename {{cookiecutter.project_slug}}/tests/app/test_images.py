"""What becomes of each kind of picture. All of them are real files, made by Pillow and read by Pillow."""

import io
import random
import struct
import zlib
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageCms, ImageOps, ImageStat

from app.images import FORMATS, ImageRefusedError, Resized, content_type, resize, target_size
from tests.app.fakes import encoded, picture

DARK, LIGHT = 40, 200


def resized(content: bytes, **options: Any) -> tuple[Resized, Image.Image]:
    """Resize a file's bytes and open the outcome."""
    outcome = resize(io.BytesIO(content), **{"max_pixels": 50_000_000, **options})
    image = Image.open(io.BytesIO(outcome.body))
    image.load()
    assert image.size == (outcome.width, outcome.height)
    return outcome, image


def refusal(content: bytes, **options: Any) -> str:
    """Return the reason for which a file's bytes are refused."""
    with pytest.raises(ImageRefusedError) as error:
        resize(io.BytesIO(content), **{"max_pixels": 50_000_000, **options})
    return str(error.value)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """Return one chunk of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_header(width: int, height: int) -> bytes:
    """Return a PNG's beginning that claims a size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"")


@pytest.mark.parametrize(
    ("size", "fit_px", "target"),
    [
        pytest.param((40, 20), 0, (20, 10), id="half"),
        pytest.param((41, 21), 0, (20, 10), id="half of an odd size is rounded down"),
        pytest.param((1, 1), 0, (1, 1), id="a single pixel stays"),
        pytest.param((1, 1000), 0, (1, 500), id="a line stays a line"),
        pytest.param((40, 20), 10, (10, 5), id="the longest side fits"),
        pytest.param((20, 40), 10, (5, 10), id="also if it is the height"),
        pytest.param((40, 20), 100, (40, 20), id="nothing is enlarged"),
        pytest.param((3000, 2), 300, (300, 1), id="no side gets lost"),
    ],
)
def test_target_size(size: tuple[int, int], fit_px: int, target: tuple[int, int]) -> None:
    """The size asked for follows from the picture's and the setting."""
    assert target_size(size, fit_px) == target


@pytest.mark.parametrize("name", list(FORMATS))
@pytest.mark.parametrize("size", [(40, 20), (41, 21), (1, 1), (2, 3), (1, 100), (100, 1)])
@pytest.mark.parametrize("fit_px", [0, 16])
def test_every_format_gets_the_size_asked_for(name: str, size: tuple[int, int], fit_px: int) -> None:
    """Every allowed format in every shape comes out in its own format and at the target size."""
    outcome, image = resized(encoded(picture(size), name), fit_px=fit_px)
    assert image.size == target_size(size, fit_px)
    assert image.format == name
    assert outcome.content_type == FORMATS[name][0]


@pytest.mark.parametrize(
    ("name", "mode", "mode_out"),
    [
        ("JPEG", "RGB", "RGB"),
        ("JPEG", "L", "L"),
        ("JPEG", "CMYK", "CMYK"),
        ("PNG", "RGB", "RGB"),
        ("PNG", "RGBA", "RGBA"),
        ("PNG", "L", "L"),
        ("PNG", "LA", "LA"),
        ("PNG", "P", "RGB"),
        ("PNG", "1", "L"),
        ("WEBP", "RGB", "RGB"),
        ("WEBP", "RGBA", "RGBA"),
    ],
)
def test_colours_survive(name: str, mode: str, mode_out: str) -> None:
    """Dark stays dark and light stays light in every kind of pixel a format has."""
    before = picture((64, 32), mode)
    if mode == "RGBA":
        before.putalpha(250)
    _, image = resized(encoded(before, name))
    assert image.mode == mode_out
    expected, found = before.convert("RGB"), image.convert("RGB")
    for x in (8, 24):
        around = (x * 2 - 4, 12, x * 2 + 4, 20)  # a single bit stands for its shade together with others only
        was = ImageStat.Stat(expected.crop(around)).mean
        now = ImageStat.Stat(found.crop(tuple(side // 2 for side in around))).mean
        assert all(abs(a - b) <= 6 for a, b in zip(was, now, strict=True)), (was, now)


def test_palettes_are_blended() -> None:
    """A palette picture is averaged in colour; between black and white lies grey, not one of the two."""
    stripes = Image.new("RGB", (64, 64), "black")
    for x in range(0, 64, 2):
        stripes.paste("white", (x, 0, x + 1, 64))
    _, image = resized(encoded(stripes.quantize(2), "PNG"))
    assert all(100 < value < 155 for value in image.getpixel((16, 16)))


def test_sixteen_bits_stay_sixteen() -> None:
    """Grey with 16 bits keeps values that 8 bits cannot hold, at half and at a fraction of the size."""
    deep = Image.new("I;16", (64, 64), 300)
    deep.paste(Image.new("I;16", (32, 64), 40_001), (32, 0))
    for fit_px, x in ((0, 28), (8, 7)):
        _, image = resized(encoded(deep, "PNG"), fit_px=fit_px)
        assert image.mode == "I;16"
        assert image.getpixel((0, 0)) == 300
        assert image.getpixel((x, 0)) == 40_001


def test_transparency_is_kept_and_bleeds_nothing() -> None:
    """Invisible red beside visible green leaves no red at the edge."""
    edge = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    edge.paste((0, 255, 0, 255), (31, 0, 64, 64))
    _, image = resized(encoded(edge, "PNG"))
    assert image.getpixel((2, 8))[3] == 0
    red, green, _, alpha = image.getpixel((15, 8))
    assert red < 10
    assert green > 245
    assert 0 < alpha < 255


@pytest.mark.parametrize(("mode", "key"), [("P", 0), ("RGB", (40, 40, 40)), ("L", 40)])
def test_key_colours_become_transparency(mode: str, key: Any) -> None:
    """One colour of a palette or of all colours may mean transparent; shrunk, it is real transparency."""
    before = picture((64, 64)).quantize(2) if mode == "P" else picture((64, 64), mode)
    if mode == "P":
        key = before.getpixel((0, 0))
    _, image = resized(encoded(before, "PNG", transparency=key))
    assert image.mode in ("RGBA", "LA")
    assert image.getpixel((4, 16))[-1] == 0
    assert image.getpixel((28, 16))[-1] == 255


def test_sixteen_bits_with_a_key_colour_are_refused() -> None:
    """The one kind of transparency that cannot be kept is not lost silently."""
    content = encoded(Image.new("I;16", (8, 8), 300), "PNG")
    ihdr_end = 8 + 25
    with_key = content[:ihdr_end] + png_chunk(b"tRNS", b"\x01\x2c") + content[ihdr_end:]
    assert refusal(with_key) == "16-bit grey with a transparent key colour is not supported"


@pytest.mark.parametrize("name", list(FORMATS))
@pytest.mark.parametrize(
    ("orientation", "dark_side"),
    [
        (1, "left"),
        (2, "right"),
        (3, "right"),
        (4, "left"),
        (5, "top"),
        (6, "top"),
        (7, "bottom"),
        (8, "bottom"),
    ],
)
def test_orientation_is_applied(name: str, orientation: int, dark_side: str) -> None:
    """A picture a camera held sideways comes out upright, and says nothing more of it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "A camera with a serial number"
    outcome, image = resized(encoded(picture((64, 32)), name, exif=exif))
    assert image.size == ((32, 16) if orientation < 5 else (16, 32))
    width, height = image.size
    halves = {
        "left": (0, 0, width // 2, height),
        "right": (width // 2, 0, width, height),
        "top": (0, 0, width, height // 2),
        "bottom": (0, height // 2, width, height),
    }
    assert (
        min(halves, key=lambda side: ImageStat.Stat(image.convert("L").crop(halves[side])).mean) == dark_side
    )
    assert not dict(image.getexif())
    assert b"serial number" not in outcome.body


def test_orientation_is_read_from_every_pixel_corner() -> None:
    """Mirrored is told from turned: the one dark corner ends where Pillow's own reading puts it."""
    for orientation in range(1, 9):
        corner = Image.new("L", (64, 32), 255)
        corner.paste(0, (0, 0, 32, 16))
        exif = Image.Exif()
        exif[0x0112] = orientation
        content = encoded(corner, "PNG", exif=exif)
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
        _, image = resized(content)
        expected = upright.resize(image.size, Image.Resampling.BICUBIC)
        assert ImageChops.difference(image, expected).getextrema()[1] <= 8  # the edge's rounding


@pytest.mark.parametrize("exif", [b"MM\x00*garbage", b"not a TIFF header", b""])
@pytest.mark.parametrize("name", list(FORMATS))
def test_broken_exif_is_no_reason_to_refuse(name: str, exif: bytes) -> None:
    """A picture with unreadable EXIF is shown as it is."""
    _, image = resized(encoded(picture((64, 32)), name, exif=b"Exif\x00\x00" + exif))
    assert image.size == (32, 16)


@pytest.mark.parametrize("name", list(FORMATS))
def test_the_colour_profile_is_kept(name: str) -> None:
    """Without its profile a picture would show other colours."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    _, image = resized(encoded(picture((64, 32)), name, icc_profile=profile))
    assert image.info["icc_profile"] == profile


@pytest.mark.parametrize(
    "options", [{"progressive": True}, {"subsampling": 0}, {"quality": 100}, {"optimize": True}]
)
def test_every_kind_of_jpeg(options: dict[str, Any]) -> None:
    """Progressive and unsubsampled files are decoded at reduced size too, and look the same."""
    _, image = resized(encoded(picture((640, 320)), "JPEG", **options))
    assert image.size == (320, 160)
    assert abs(image.convert("L").getpixel((40, 80)) - DARK) <= 3
    assert abs(image.convert("L").getpixel((280, 80)) - LIGHT) <= 3


def test_a_camera_s_multi_picture_file_is_a_jpeg() -> None:
    """The preview that phones append to a photograph does not make it an animation."""
    content = encoded(picture((64, 32)), "MPO", save_all=True, append_images=[picture((8, 4))])
    outcome, image = resized(content)
    assert (image.format, image.size) == ("JPEG", (32, 16))
    assert outcome.content_type == "image/jpeg"


@pytest.mark.parametrize("name", ["PNG", "WEBP"])
def test_animations_are_refused(name: str) -> None:
    """A still of an animation is not a smaller version of it."""
    other = picture((64, 32)).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    content = encoded(picture((64, 32)), name, save_all=True, append_images=[other, picture((64, 32))])
    assert refusal(content) == "animated: 3 frames, and a still would not be the same picture"


@pytest.mark.parametrize("name", ["GIF", "BMP", "TIFF", "PPM", "ICO", "PDF", "EPS", "TGA"])
def test_other_formats_are_refused(name: str) -> None:
    """What is not on the list is not even looked at, whatever Pillow could read."""
    assert refusal(encoded(picture((32, 32)), name)) == "not a readable image of the formats JPEG, PNG, WEBP"


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"<svg/>", b"RIFF????WEBP"]
)
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    """Anything else than a picture is refused with a reason."""
    assert refusal(content).startswith(("not a readable image", "broken image: "))


@pytest.mark.parametrize("name", list(FORMATS))
@pytest.mark.parametrize("percent", [10, 50, 95])
def test_truncated_pictures_are_refused(name: str, percent: int) -> None:
    """Half a picture is not stored as if it were whole."""
    noise = Image.effect_noise((128, 128), 80).convert("RGB")
    content = encoded(noise, name)
    assert refusal(content[: len(content) * percent // 100])


def test_pixels_are_counted_before_they_are_decoded() -> None:
    """A picture over the limit is refused by its header alone: there is no pixel in this one."""
    assert refusal(png_header(8_000, 8_000)) == "too many pixels: 8000 x 8000 is 64.0 MP, allowed are 50 MP"


def test_the_limit_is_the_one_that_was_set() -> None:
    """Exactly the limit passes and one row more does not."""
    assert resized(encoded(picture((100, 100)), "PNG"), max_pixels=10_000)
    assert refusal(encoded(picture((100, 101)), "PNG"), max_pixels=10_000).startswith("too many pixels")


def test_webp_has_half_the_limit() -> None:
    """WebP needs twice the memory of the others for a pixel, so it gets half the pixels."""
    assert resized(encoded(picture((100, 50)), "WEBP"), max_pixels=10_000)
    reason = refusal(encoded(picture((100, 51)), "WEBP"), max_pixels=10_000)
    assert reason == "too many pixels: 100 x 51 is 0.0 MP, allowed are 0.005 MP"


def test_a_decompression_bomb_is_refused() -> None:
    """Pillow's own alarm is a refusal like any other, whatever limit was set."""
    reason = refusal(png_header(60_000, 60_000), max_pixels=10**12)
    assert reason.startswith("too many pixels: Image size (3600000000 pixels) exceeds limit")


def test_a_bomb_in_the_text_of_a_png_is_refused() -> None:
    """A comment that unpacks to hundreds of megabytes is not unpacked."""
    text = b"Comment\x00\x00" + zlib.compress(b"x" * 80_000_000, 9)
    content = encoded(picture((8, 8)), "PNG")
    ihdr_end = 8 + 25
    assert refusal(content[:ihdr_end] + png_chunk(b"zTXt", text) + content[ihdr_end:])


@pytest.mark.parametrize("name", list(FORMATS))
def test_damaged_bytes_are_resized_or_refused_and_nothing_else(name: str) -> None:
    """However bytes are damaged, the outcome is a picture or a refusal, never another error."""
    generator = random.Random(name)  # noqa: S311  # the same damage in every run
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(picture((48, 32)), name, exif=exif, icc_profile=b"profile" * 20)
    outcomes = set()
    for _ in range(400):
        damaged = bytearray(content)
        for _ in range(generator.choice((1, 1, 2, 8))):
            damaged[generator.randrange(min(len(damaged), 600))] = generator.randrange(256)
        try:
            resize(io.BytesIO(bytes(damaged)), max_pixels=1_000_000)
            outcomes.add("resized")
        except ImageRefusedError:
            outcomes.add("refused")
    assert outcomes == {"resized", "refused"}


@pytest.mark.parametrize(
    ("name", "declared", "kept"),
    [
        pytest.param("JPEG", "image/jpeg", "image/jpeg", id="the usual one stays"),
        pytest.param("JPEG", "image/jpg", "image/jpg", id="another name of the same stays"),
        pytest.param(
            "PNG", "IMAGE/PNG; charset=x", "IMAGE/PNG; charset=x", id="spelling and parameters stay"
        ),
        pytest.param("JPEG", "image/png", "image/jpeg", id="a wrong one is corrected"),
        pytest.param("JPEG", "text/html", "image/jpeg", id="a dangerous one is corrected"),
        pytest.param("WEBP", "binary/octet-stream", "image/webp", id="S3's default says nothing"),
        pytest.param("PNG", "", "image/png", id="none at all"),
    ],
)
def test_content_type(name: str, declared: str, kept: str) -> None:
    """The owner's content type is kept as long as it is true."""
    assert content_type(name, declared) == kept


@pytest.mark.parametrize(("fit_px", "shrunk_by"), [(0, 2), (300, 2), (160, 4), (80, 8)])
def test_a_jpeg_is_decoded_at_reduced_size(fit_px: int, shrunk_by: int) -> None:
    """The quick way is really taken: the pixels are the ones libjpeg makes when it shrinks while decoding."""
    content = encoded(Image.effect_noise((640, 320), 60).convert("RGB"), "JPEG")
    decoded = Image.open(io.BytesIO(content))
    decoded.draft(None, (640 // shrunk_by, 320 // shrunk_by))
    decoded.load()
    assert decoded.size == (640 // shrunk_by, 320 // shrunk_by)
    outcome, image = resized(content, fit_px=fit_px)
    if image.size != decoded.size:
        decoded = decoded.resize(image.size)
    assert outcome.body == encoded(decoded, "JPEG")
