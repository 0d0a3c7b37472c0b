"""Images: every format that Pillow writes, whole and damaged, odd arrays and tensors, bombs, files that are none.

Oracle: the pixels are those that Pillow reads (lossy formats within a few levels), and an accepted image gives the same
labels as the same pixels saved as PNG. A PNG whose sums are wrong, and a JPEG without its end, are not accepted.
"""

import io
import os
import struct
import warnings
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import photos
from campaign.inputs import Input, damaged, require
from mmseg_clipsurgery.api.image_files import SUFFIXES
from mmseg_clipsurgery.api.images import read_image

import numpy as np
import torch
from PIL import EpsImagePlugin, Image, ImageOps

WORDS = ['cat', 'dog', 'grass']
LOSSY = 12  # grey levels between two decoders, at most, on average over an image
WITHOUT_SUMS = (
    b'\xff\xd8\xff',
    b'II*',
    b'MM',
)  # JPEG, TIFF: of damaged ones each decoder makes something else
SIDES = [(1, 1), (1, 40), (40, 1), (2, 300), (7, 5), (12, 12), (30, 44), (64, 64)]  # height, width


def prepare() -> Any:
    warnings.simplefilter('ignore')
    Image.init()
    return photos.model()


def trial(model: Any, given: Input) -> None:
    given.kind(whole, damage, damage, array, tensor, header, other)(model, given)


def whole(model: Any, given: Input) -> None:
    """A sound file, under any name, from a path, bytes or a file object."""
    data = encoded(given)
    pixels = read_image(handed_over(data, given))
    near(pixels, data)
    agrees(model, pixels, data)


def damage(model: Any, given: Input) -> None:
    data = encoded(given)
    broken = damaged(data, given.random)
    pixels = read_image(handed_over(broken, given))
    if broken[:4] == b'\x89PNG' and not sums_right(broken):
        require(np.array_equal(pixels, read_image(data)), 'a PNG with wrong sums gave other pixels')
    if not broken.startswith(WITHOUT_SUMS):
        near(pixels, broken)
    if given.chance(0.2):
        agrees(model, pixels, broken)


def encoded(given: Input) -> bytes:
    """A photo in some mode, in some format that holds it."""
    height, width = given.random.choice(SIDES)
    image = given.one_of(MODES)(Image.fromarray(photos.photo(height, width, given.random.getrandbits(32))))
    while True:
        kind, options = given.random.choice(FORMATS)
        exif = Image.Exif()
        exif[0x0112] = given.random.randrange(10)
        turned = given.chance(0.3) and kind in ('JPEG', 'PNG', 'TIFF', 'WEBP')
        stream = io.BytesIO()
        try:
            image.save(stream, kind, **options, **({'exif': exif} if turned else {}))
        except Exception:
            continue  # the format has no such mode or size
        given.label += f' {kind}'
        return stream.getvalue()


def handed_over(data: bytes, given: Input) -> Any:
    """A path with any suffix, bytes, or a file object read to anywhere."""
    way = given.random.random()
    if way < 0.2:
        return data
    if way < 0.3:
        stream = io.BytesIO(data)
        stream.seek(given.random.randrange(len(data) + 1))
        return stream
    path = (
        given.folder
        / f'photo{given.pick(*sorted(SUFFIXES), ".txt", ".JPG", "", ".png.jpg", " .png", ".eps")}'
    )
    path.write_bytes(data)
    return path if given.chance(0.5) else str(path)


def near(pixels: np.ndarray, data: bytes) -> None:
    """The pixels are those that Pillow reads, where it reads the file, and as one of 8 bits a channel."""
    try:
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    except Exception:
        return
    if image.mode in ('I', 'F') or image.mode.startswith('I;16'):
        return
    expected = np.asarray(image.convert('RGBA' if 'A' in image.mode.upper() else 'RGB'))[..., :3]
    require(pixels.shape == expected.shape, f'the shape {pixels.shape}, Pillow reads {expected.shape}')
    apart = float(np.abs(pixels.astype(int) - expected).mean())
    require(apart <= LOSSY, f'{apart:.1f} levels from what Pillow reads')


def agrees(model: Any, pixels: np.ndarray, data: bytes) -> None:
    """The labels of the file are those of its pixels as PNG."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, 'PNG')
    one, other = (model.segment(image, WORDS).labels for image in (data, stream.getvalue()))
    require(np.array_equal(one, other), 'other labels than those of the same pixels as PNG')
    require(one.shape == pixels.shape[:2] and one.max() < len(WORDS), 'labels of another shape or range')


def sums_right(data: bytes) -> bool:
    """Whether the chunks of a PNG are whole and have the sums that they state."""
    place, kind = 8, b''
    while place + 12 <= len(data) and kind != b'IEND':
        size = int.from_bytes(data[place : place + 4], 'big')
        kind, end = data[place + 4 : place + 8], place + 8 + size
        if zlib.crc32(data[place + 4 : end]).to_bytes(4, 'big') != data[end : end + 4]:
            return False
        place = end + 4
    return kind == b'IEND'


def array(model: Any, given: Input) -> None:
    """Arrays and batches of types, shapes and values that may be none of an image."""
    shape = given.random.choice(SHAPES)
    image = given.one_of(TYPES)(given.numpy().random(shape))
    given.label += f' {shape}'
    found = model.segment(image, WORDS)
    require(image.dtype.kind in 'fu' and image.ndim in (2, 3, 4), f'{image.dtype}, {shape} was accepted')
    finite = image.dtype.kind == 'u' or bool(np.isfinite(image).all())
    require(finite and image.min() >= -1e-3, 'values out of range')
    require(image.dtype.kind == 'u' or image.max() <= 1.001, 'values out of range')
    if image.dtype == np.uint8 and image.ndim == 3:
        shown = Image.fromarray(np.broadcast_to(image[..., :3], (*shape[:2], 3)))
        require(
            np.array_equal(found.labels, model.segment(shown, WORDS).labels),
            'other labels than as a PIL image',
        )


def tensor(model: Any, given: Input) -> None:
    """Tensors of types, layouts and values that may be none of an image."""
    odd = given.one_of(TENSORS)(torch.from_numpy(given.numpy().random((3, 9, 8))))
    found = read_image(odd)
    require(found.shape == (*odd.shape[1:], 3), f'{tuple(odd.shape)} became {found.shape}')
    require(np.isfinite(found).all(), 'pixels that are not finite')


def header(model: Any, given: Input) -> None:
    """Headers that promise more pixels than a file holds, and small files that unpack to gigabytes."""
    pixels = read_image(handed_over(given.one_of(BOMBS)(), given))
    require(pixels.nbytes < 1 << 30, 'a gigabyte of pixels was unpacked')


def other(model: Any, given: Input) -> None:
    """What is no image at all."""
    way = given.one_of(OTHERS)
    if isinstance(way, bytes):
        (given.folder / 'photo.jpg').write_bytes(way)
    read_image(given.folder / 'photo.jpg' if isinstance(way, bytes) else way(given) if callable(way) else way)
    require(False, 'what is no image was accepted')


def png(width: int, height: int, body: bytes, depth: int = 8, colour: int = 2) -> bytes:
    head = struct.pack('>IIBBBBB', width, height, depth, colour, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        len(data).to_bytes(4, 'big') + kind + data + zlib.crc32(kind + data).to_bytes(4, 'big')
        for kind, data in ((b'IHDR', head), (b'IDAT', body), (b'IEND', b''))
    )


def postscript(given: Input) -> Any:
    """A PostScript picture, where the program that executes such would leave a mark."""
    script = given.folder / 'gs'
    script.write_text(f'#!/bin/sh\ntouch {given.mark}\n')
    script.chmod(0o755)
    EpsImagePlugin.gs_binary = str(script)
    stream = io.BytesIO()
    Image.fromarray(photos.photo(9, 9)).save(stream, 'EPS')
    return handed_over(stream.getvalue(), given)


def pipe(given: Input) -> Path:
    os.mkfifo(given.folder / 'photo.jpg')
    return given.folder / 'photo.jpg'


def loop(given: Input) -> Path:
    (given.folder / 'photo.jpg').symlink_to('photo.jpg')
    return given.folder / 'photo.jpg'


def closed(given: Input) -> io.BytesIO:
    stream = io.BytesIO(b'x')
    stream.close()
    return stream


def grey(image: Image.Image) -> np.ndarray:
    return np.asarray(image)[..., 0].astype(np.uint16)


# fmt: off
MODES: dict[str, Any] = {
    mode: partial(Image.Image.convert, mode=mode)
    for mode in ('RGB', 'L', '1', 'P', 'LA', 'RGBA', 'CMYK', 'YCbCr', 'I', 'F', 'PA')
} | {
    'I;16': lambda image: Image.fromarray(grey(image) * 256),
    '12 bits': lambda image: Image.fromarray(grey(image) * 16),
    '16 colours': lambda image: image.convert('P', palette=Image.Palette.ADAPTIVE, colors=16),
}
KINDS = 'AVIF BMP DIB DDS GIF ICNS ICO IM JPEG2000 MPO MSP PCX PPM QOI SGI SPIDER TGA WEBP XBM'
FORMATS: list[tuple[str, dict[str, Any]]] = [(kind, {}) for kind in KINDS.split()] + [
    *[('JPEG', {}), ('JPEG', {'progressive': True}), ('JPEG', {'quality': 10}), ('JPEG', {'subsampling': 0})] * 2,
    *[('PNG', {}), ('PNG', {'optimize': True}), ('PNG', {'compress_level': 0}), ('PNG', {'bits': 4})] * 3,
    *[('TIFF', {'compression': one}) for one in ('raw', 'tiff_lzw', 'tiff_deflate', 'packbits', 'jpeg', 'group4')],
    ('WEBP', {'lossless': True}), ('GIF', {'interlace': 1}), ('PNG', {'save_all': True}), ('GIF', {'save_all': True}),
]
SHAPES = [(9, 8, 3), (9, 8), (9, 8, 1), (9, 8, 4), (3, 9, 8), (0, 8, 3), (9, 8, 2), (2, 9, 8, 3)]
TYPES: dict[str, Any] = {
    name: lambda image, name=name: (image * 255).astype(name)
    for name in ['uint8', 'uint16', 'int8', 'int32', 'int64', 'uint32', 'bool', 'complex64', 'object', 'str']
} | {
    'float64': lambda image: image,
    'float16': lambda image: image.astype(np.float16),
    'big endian': lambda image: image.astype('>f4'),
    'levels': lambda image: image * 255,
    'negative': lambda image: -image,
    'nan': lambda image: image * np.nan,
    'one nan': lambda image: np.where(image == image.max(initial=0), np.nan, image),
    'infinite': lambda image: image + np.inf,
    'reversed': lambda image: (image * 255).astype(np.uint8)[::-1, ::-1],
    'read only': lambda image: np.broadcast_to(np.uint8(7), image.shape),
    '10 bits': lambda image: (image * 1023).astype(np.uint16),
}
TENSORS = {
    'double': lambda image: image,
    'bfloat16': lambda image: image.bfloat16(),
    'uint8': lambda image: (image * 255).byte(),
    'int64': lambda image: image.long(),
    'bool': lambda image: image > 0.5,
    'complex': lambda image: image.to(torch.complex64),
    'normalised': lambda image: image * 4 - 2,
    'nan': lambda image: image * float('nan'),
    'meta': lambda image: image.to('meta'),
    'sparse': lambda image: image.to_sparse(),
    'quantized': lambda image: torch.quantize_per_tensor(image.float(), 0.1, 0, torch.quint8),
    'H W 3': lambda image: image.movedim(0, 2),
    'needs grad': lambda image: image.clone().requires_grad_(),
    'strided': lambda image: image.flip(2)[:, ::2],
    'none': lambda image: image[:, :0],
}
BMP, TIFF_SIZE = '<IHHIIiiHHIIiiII', [(256, 10**6), (257, 10**6), (258, 8), (262, 1), (273, 8)]
BOMBS = {
    'PNG of 30,000 x 30,000': lambda: png(30000, 30000, zlib.compress(bytes(3751 * 30000), 1), 1, 0),
    'PNG of 60,000 x 60,000, cut': lambda: png(60000, 60000, b'x'),
    'PNG of 2^31 - 1': lambda: png(2**31 - 1, 2**31 - 1, b''),
    'PNG of 0': lambda: png(0, 0, b''),
    'PNG of 1 x 2^30': lambda: png(1, 2**30, zlib.compress(bytes(99))),
    'GIF': lambda: b'GIF89a' + b'\xff' * 4 + b'\x80' + bytes(8) + b',\0\0\0\0' + b'\xff' * 4 + b'\0\x02\x02\x44\x01\0;',
    'BMP': lambda: b'BM' + struct.pack(BMP, 54, 0, 0, 54, 40, 200000, 200000, 1, 24, 0, 0, 0, 0, 0, 0),
    'BMP of -2^31': lambda: b'BM' + struct.pack(BMP, 54, 0, 0, 54, 40, 10, -(2**31), 1, 24, 0, 0, 0, 0, 0, 0),
    'PPM': lambda: b'P6 99999 99999 255\n' + bytes(99),
    'PPM of 10^9': lambda: b'P6 1000000000 1000000000 255\n',
    'PBM': lambda: b'P4 900000 900000\n' + bytes(99),
    'TGA': lambda: struct.pack('<BBBHHBHHHHBB', 0, 0, 2, 0, 0, 0, 0, 0, 65535, 65535, 24, 0) + bytes(30),
    'TIFF': lambda: b'II*\0\x08\0\0\0\x05\0' + b''.join(struct.pack('<HHII', a, 4, 1, b) for a, b in TIFF_SIZE),
    'QOI': lambda: b'qoif' + struct.pack('>IIBB', 200000, 200000, 3, 0) + bytes(40),
    'SGI': lambda: struct.pack('>hBBHHHHll', 474, 1, 1, 3, 65535, 65535, 3, 0, 255) + bytes(600),
    'WebP': lambda: b'RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0' + b'\xff' * 6 + bytes(4),
    'JPEG': lambda: b'\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\x03\x01\x22\0\x02\x11\x01\x03\x11\x01\xff\xd9',
}
OTHERS: dict[str, Any] = {
    'empty': b'', 'text': b'no photo', 'web page': b'<!DOCTYPE html><html>', 'PDF': b'%PDF-1.4\n',
    'SVG': b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>',
    'Git LFS': b'version https://git-lfs.github.com/spec/v1\n', 'video': b'\0\0\0 ftypisom' + bytes(90),
    'HEIC': b'\0\0\0 ftypheic' + bytes(90), 'pickle': b'\x80\x04\x95' + bytes(20), 'numpy': b'\x93NUMPY' + bytes(90),
    'random': lambda given: io.BytesIO(given.random.randbytes(999)), 'PostScript': postscript, 'pipe': pipe,
    'loop': loop,
    'folder': lambda given: given.folder, 'nothing there': lambda given: given.folder / 'none.jpg', 'closed': closed,
    'device': '/dev/zero', 'URL': 'https://example.org/a.jpg', 'null in path': 'a\0b.jpg', 'surrogate': 'a\udcffb.jpg',
    'long path': 'a' * 5000 + '.jpg', 'home of nobody': '~nobody-there/a.jpg', 'no path': '', 'None': None, 'number': 3,
    'text stream': io.StringIO('x'),
    'no images': [], 'no pixels': Image.new('RGB', (0, 0)), 'strings': np.array([['a', 'b']]),
}
# fmt: on
