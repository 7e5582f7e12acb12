"""Writes the files of the corpus that the tests cannot write themselves.

Run in this folder: python make.py, with pillow==13.0.0. The output is committed. Each image is 32 x 16 and shows four
quarters: red and green above blue and white, unless its row in the test says otherwise. All files are CC0.
"""

import struct

from PIL import Image

WIDTH, HEIGHT = 32, 16
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quarters(mode, colours):
    picture = Image.new(mode, (WIDTH, HEIGHT))
    for index, colour in enumerate(colours):
        left, top = index % 2 * WIDTH // 2, index // 2 * HEIGHT // 2
        picture.paste(colour, (left, top, left + WIDTH // 2, top + HEIGHT // 2))
    return picture


def s15fixed16(value):
    return struct.pack(">i", round(value * 65536))


def profile(kind, colour_space, connection_space, tags):
    """Returns an ICC profile of version 2 (ICC.1:2001) with these tags."""
    offset, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for name, value in tags:
        value += bytes(-len(value) % 4)
        table += name + struct.pack(">II", offset + len(data), len(value))
        data += value
    size = offset + len(data)
    header = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x02400000, kind, colour_space, connection_space)
    header += struct.pack(">6H4s", 2024, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    header += s15fixed16(0.9642) + s15fixed16(1.0) + s15fixed16(0.8249)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def xyz(x, y, z):
    return b"XYZ " + bytes(4) + s15fixed16(x) + s15fixed16(y) + s15fixed16(z)


def gamma(exponent):
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(exponent * 256))


def text(name):
    return b"desc" + bytes(4) + struct.pack(">I", len(name) + 1) + name + bytes(1 + 12 + 67)


WHITE_POINT = xyz(0.9642, 1.0, 0.8249)
# The primaries of sRGB and of Display P3, adapted to D50.
SRGB = ((0.4360, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7139))
DISPLAY_P3 = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))


def coloured(name, red, green, blue):
    tags = [(b"desc", text(name)), (b"wtpt", WHITE_POINT)]
    tags += [(tag, xyz(*primary)) for tag, primary in ((b"rXYZ", red), (b"gXYZ", green), (b"bXYZ", blue))]
    tags += [(tag, gamma(2.2)) for tag in (b"rTRC", b"gTRC", b"bTRC")]
    return profile(b"mntr", b"RGB ", b"XYZ ", tags)


def grey(exponent):
    tags = [(b"desc", text(b"grey")), (b"wtpt", WHITE_POINT), (b"kTRC", gamma(exponent))]
    return profile(b"mntr", b"GRAY", b"XYZ ", tags)


def cyan_only():
    """Returns the profile of a printer that prints cyan as mid grey, and no other ink (6.5.6, mft1)."""
    identity = bytes(range(256))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0])
    lut += b"".join(s15fixed16(float(place % 4 == 0)) for place in range(9))
    lut += identity * 4 + bytes([255, 128, 128]) * 8 + bytes([128, 128, 128]) * 8 + identity * 3
    return profile(b"prtr", b"CMYK", b"Lab ", [(b"A2B0", lut)])


def main():
    profiles = {
        # Its red and green are exchanged, so a decoder that ignores the profile shows wrong colours.
        "exchanged": coloured(b"exchanged", SRGB[1], SRGB[0], SRGB[2]),
        "p3": coloured(b"p3", *DISPLAY_P3),
        "grey-1.8": grey(1.8),
        "cyan": cyan_only(),
    }
    for name, bytes_ in profiles.items():
        with open(f"{name}.icc", "wb") as file:
            file.write(bytes_)
    rgb = quarters("RGB", (RED, GREEN, BLUE, WHITE))
    for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
        for kind, options in (("", {}), ("-progressive", {"progressive": True})):
            name = f"rgb-{subsampling.replace(':', '')}{kind}.jpg"
            rgb.save(name, quality=95, subsampling=subsampling, optimize=True, **options)
    rgb.save("rgb-restarts.jpg", quality=95, restart_marker_blocks=1, optimize=True)
    rgb.save("rgb-untransformed.jpg", quality=95, keep_rgb=True, optimize=True)
    quarters("L", (0, 80, 128, 255)).save("grey.jpg", quality=95, optimize=True)
    inks = quarters("CMYK", ((255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 255, 0), (0, 0, 0, 255)))
    inks.save("cmyk.jpg", quality=95, optimize=True)
    inks.save("cmyk-icc.jpg", quality=95, optimize=True, icc_profile=profiles["cyan"])

    rgb.save("lossy.webp", quality=95)
    # Half of the light, all of it, and none.
    soft = quarters("RGBA", ((255, 0, 0, 128), (0, 255, 0, 255), (0, 0, 255, 0), (255, 255, 255, 255)))
    soft.save("lossy-alpha.webp", quality=95, exact=True)
    other = quarters("RGB", (WHITE, BLUE, GREEN, RED))
    rgb.save("animated.webp", save_all=True, append_images=[other], lossless=True)

    bilevel = quarters("1", (0, 1, 1, 0))
    bilevel.save("g4.tif", compression="group4")
    rgb.save("lzw.tif", compression="tiff_lzw")
    rgb.save("packbits.tif", compression="packbits")
    rgb.save("deflate.tif", compression="tiff_adobe_deflate")
    rgb.convert("YCbCr").save("jpeg.tif", compression="jpeg", quality=95)


if __name__ == "__main__":
    main()
