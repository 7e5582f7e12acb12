"""Compares derived images with those of libvips, and with Pillow's if libvips cannot read the file or has others.

Each line of the input is a JSON object with the `path` of a picture, and if it was shown with its `size` and its `images`, a
path by the name of each preset, and with `max_difference`. Each is answered with a line: `readable`, a list with the name of
the `reader`, the `size` of the upright picture, the `differences` by preset and whether both `agree`; or why it is
`unreadable`.

A difference is the mean absolute difference of the means of 8 x 8 pixels, in levels of 0 to 255, of the channel where it is
largest. Colours are multiplied with alpha. The reference's picture is encoded as the derived image is, on white if that is a
JPEG.
"""

import io
import json
import os
import resource
import sys

# Files are compared in parallel already.
os.environ["VIPS_CONCURRENCY"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy
import pyvips
from PIL import Image, ImageCms, ImageOps

MAX_MEMORY = 4 << 30
MAX_PIXELS = 100_000_000
BLOCK = 8
# Of the default presets.
QUALITY = {"JPEG": 82, "WEBP": 75}


class Unreadable(Exception):
    """A picture that a reader cannot show."""


class Vips:
    """A picture as libvips reads it."""

    def __init__(self, path):
        image = pyvips.Image.new_from_file(path)
        check_size(image.width, image.height)
        # Decodes once for all sizes, so that what is damaged is found here.
        image = image.copy_memory().autorot()
        has_profile = "icc-profile-data" in image.get_fields()
        if image.interpretation == "cmyk" and not has_profile:
            # libvips takes it for a certain press, Pillow and Plinth for no press.
            raise Unreadable("CMYK without a profile")
        if has_profile:
            try:
                image = image.icc_transform("srgb", embedded=True, intent="perceptual")
            except pyvips.Error:
                # A profile for other pixels: browsers ignore it.
                pass
        # With eight bits.
        image = image.colourspace("srgb")
        if not image.hasalpha():
            image = image.bandjoin(255)
        self.image = image.cast("uchar").premultiply(max_alpha=255)
        self.size = (image.width, image.height)

    def resized(self, width, height):
        """Returns the colours, multiplied with alpha, and alpha."""
        own_width, own_height = self.size
        image = self.image.resize(width / own_width, vscale=height / own_height, kernel="lanczos3")
        return image.numpy().reshape(height, width, 4).clip(0, 255)


class Pillow:
    """A picture as Pillow reads it."""

    def __init__(self, path):
        image = Image.open(path)
        check_size(*image.size)
        icc = image.info.get("icc_profile")
        image = ImageOps.exif_transpose(image)
        image.load()
        alpha = None
        if image.mode in ("LA", "La"):
            image, alpha = image.convert("LA").split()
        if "transparency" in image.info or image.mode in ("PA", "RGBa"):
            image = image.convert("RGBA")
        if image.mode.startswith("I;16"):
            levels = numpy.asarray(image).astype("uint16") >> 8
            image = Image.fromarray(levels.astype("uint8"))
        if image.mode in ("I", "F"):
            raise Unreadable(f"Pillow's mode {image.mode} has no white")
        if image.mode == "RGBA":
            alpha = image.getchannel("A")
            image = image.convert("RGB")
        if image.mode in ("1", "P"):
            image = image.convert("L" if image.mode == "1" else "RGB")
        image = self.to_srgb(image, icc)
        image.putalpha(255 if alpha is None else alpha)
        self.image = image.convert("RGBa")
        self.size = image.size

    @staticmethod
    def to_srgb(image, icc):
        if icc:
            try:
                profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
                return ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
            except (ImageCms.PyCMSError, OSError, ValueError):
                pass
        return image.convert("RGB")

    def resized(self, width, height):
        """Returns the colours, multiplied with alpha, and alpha."""
        image = self.image.resize((width, height), Image.Resampling.LANCZOS)
        return numpy.asarray(image).astype("float32")


def check_size(width, height):
    if width * height > MAX_PIXELS:
        raise Unreadable("too many pixels")


def block_means(pixels):
    """The means of blocks; those at the right and below may be smaller."""
    height, width, _ = pixels.shape
    rows, columns = numpy.arange(0, height, BLOCK), numpy.arange(0, width, BLOCK)
    sums = numpy.add.reduceat(numpy.add.reduceat(pixels, rows, axis=0), columns, axis=1)
    counts = numpy.outer(numpy.diff([*rows, height]), numpy.diff([*columns, width]))
    return sums / counts[:, :, None]


def encoded(pixels, form):
    """The pixels after a way through an encoder: what it loses of small pictures in strong colours is no difference."""
    pixels = pixels.round().astype("uint8")
    file = io.BytesIO()
    if form == "JPEG":
        Image.fromarray(pixels).save(file, form, quality=QUALITY[form], subsampling="4:2:0")
    else:
        image = Image.frombytes("RGBa", pixels.shape[1::-1], pixels.tobytes())
        image.convert("RGBA").save(file, form, quality=QUALITY[form])
    return Image.open(file)


def multiplied(image):
    return numpy.asarray(image.convert("RGBA").convert("RGBa")).astype("float32")


def difference(picture, path):
    image = Image.open(path)
    expected = picture.resized(*image.size)
    if image.format == "JPEG":
        expected = expected[:, :, :3] + (255 - expected[:, :, 3:])
    expected = encoded(expected, image.format)
    seen, expected = (block_means(multiplied(one)) for one in (image, expected))
    errors = numpy.abs(expected - seen)
    return float(errors.mean(axis=(0, 1)).max())


def compare(picture, request):
    size, images = request["size"], request["images"]
    differences = {name: difference(picture, path) for name, path in images.items()}
    agree = size == list(picture.size) and max(differences.values()) <= request["max_difference"]
    return {"size": picture.size, "differences": differences, "agree": agree}


def answer(request):
    readable, reasons = [], []
    for reader in (Vips, Pillow):
        try:
            picture = reader(request["path"])
            compared = compare(picture, request) if "images" in request else {"size": picture.size}
        except Exception as error:  # whatever a reader raises, the other one may read the file
            reasons.append(f"{reader.__name__}: {type(error).__name__} {error}")
            continue
        readable.append({"reader": reader.__name__, **compared})
        if compared.get("agree", True):
            break
    return {"readable": readable} if readable else {"unreadable": "; ".join(reasons)}


def main():
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY, MAX_MEMORY))
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
