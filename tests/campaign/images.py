"""Images: every format that Pillow writes, whole and damaged, odd arrays and tensors, bombs, files that are none.

Oracle: the pixels are those that Pillow reads (lossy formats within a few levels), and an accepted image gives the same
labels as the same pixels saved as PNG. A PNG whose sums are wrong, and a JPEG without its end, are not accepted.
"""

import io
import os
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import photos
from campaign.inputs import Input, damaged, require
from mmseg_clipsurgery.api.image_files import SUFFIXES
from mmseg_clipsurgery.api.images import read_image

import numpy as np
import torch
from PIL import Image, ImageOps

WORDS = ['cat', 'dog', 'grass']
LOSSY = 12  # grey levels between two decoders, at most, on average over an image
SIDES = [(1, 1), (1, 40), (40, 1), (2, 300), (7, 5), (12, 12), (30, 44), (64, 64)]  # height, width


def prepare() -> Any:
    warnings.simplefilter('ignore')
    Image.init()
    return photos.model()


def trial(model: Any, given: Input) -> None:
    given.one_of(
        {
            'file': whole,
            'damage': damage,
            'damaged': damage,
            'array': array,
            'tensor': tensor,
            'header': header,
            'other': other,
        }
    )(model, given)


def whole(model: Any, given: Input) -> None:
    """A sound file, under any name, from a path, bytes or a file object."""
    data, image = encoded(given)
    pixels = read_image(handed_over(data, given))
    expected = upright(Image.open(io.BytesIO(data)))
    if expected is not None:
        near(pixels, expected, 'whole')
    agrees(model, pixels, data, given)


def damage(model: Any, given: Input) -> None:
    data, image = encoded(given)
    broken = damaged(data, given.random)
    pixels = read_image(handed_over(broken, given))
    if broken[:4] == b'\x89PNG' and not sums_right(broken):
        require(np.array_equal(pixels, read_image(data)), 'a PNG with wrong sums gave other pixels')
    try:
        expected = upright(Image.open(io.BytesIO(broken)))
    except Exception:
        expected = None
    if expected is not None and broken[:3] != b'\xff\xd8\xff':
        near(pixels, expected, 'damaged')
    if given.chance(0.2):
        agrees(model, pixels, broken, given)


def encoded(given: Input) -> tuple[bytes, Image.Image]:
    """A photo in some mode, in some format that holds it."""
    height, width = given.random.choice(SIDES)
    pixels = photos.photo(height, width, given.random.getrandbits(32))
    image = given.one_of(MODES)(Image.fromarray(pixels))
    while True:
        kind, options = given.random.choice(FORMATS)
        if given.chance(0.3) and kind in ('JPEG', 'PNG', 'TIFF', 'WEBP'):
            exif = Image.Exif()
            exif[0x0112] = given.random.choice([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 99])
            options = {**options, 'exif': exif}
        stream = io.BytesIO()
        try:
            image.save(stream, kind, **options)
        except Exception:
            continue  # the format has no such mode or size
        given.label += f' {kind}'
        return stream.getvalue(), image


def handed_over(data: bytes, given: Input) -> Any:
    """A path with any suffix, bytes, or a file object."""
    way = given.random.random()
    if way < 0.2:
        return data
    if way < 0.3:
        stream = io.BytesIO(data)
        stream.seek(given.random.randrange(len(data) + 1))
        return stream
    path = given.folder / (
        'photo' + given.random.choice([*sorted(SUFFIXES), '.txt', '.JPG', '', '.png.jpg', ' .png', '.eps'])
    )
    path.write_bytes(data)
    return path if given.chance(0.5) else str(path)


def upright(image: Image.Image) -> np.ndarray | None:
    """Pillow's pixels "H W 3"; None for more than 8 bits a channel, which `reading` decides on."""
    image = ImageOps.exif_transpose(image)
    if image.mode in ('I', 'F') or image.mode.startswith('I;16'):
        return None
    return np.asarray(
        image.convert('RGB' if image.mode not in ('LA', 'RGBA', 'PA', 'La', 'RGBa') else 'RGBA')
    )[..., :3]


def near(pixels: np.ndarray, expected: np.ndarray, how: str) -> None:
    require(pixels.shape == expected.shape, f'{how}: the shape {pixels.shape}, Pillow reads {expected.shape}')
    apart = float(np.abs(pixels.astype(int) - expected).mean())
    require(apart <= LOSSY, f'{how}: {apart:.1f} levels from what Pillow reads')


def agrees(model: Any, pixels: np.ndarray, data: bytes, given: Input) -> None:
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
    random = given.numpy()
    shape = given.one_of(
        {
            'H W 3': (9, 8, 3),
            'H W': (9, 8),
            'H W 1': (9, 8, 1),
            'H W 4': (9, 8, 4),
            '3 H W': (3, 9, 8),
            'none': (0, 8, 3),
            'H W 2': (9, 8, 2),
            '5 axes': (1, 1, 9, 8, 3),
            'one axis': (9,),
            'batch': (2, 9, 8, 3),
        }
    )
    image = given.one_of(TYPES)(random.random(shape))
    found = model.segment(image, WORDS)
    require(
        image.dtype.kind in 'fu' and len(shape) in (2, 3, 4),
        f'an array of {image.dtype}, {shape} was accepted',
    )
    require(
        image.dtype.kind == 'u'
        or (np.isfinite(image).all() and image.min() >= -1e-3 and image.max() <= 1.001),
        'values out of range',
    )
    if image.dtype == np.uint8 and len(shape) == 3:
        require(
            np.array_equal(
                found.labels,
                model.segment(
                    Image.fromarray(np.broadcast_to(image[..., :3], (*shape[:2], 3))), WORDS
                ).labels,
            ),
            'other labels than as a PIL image',
        )


def tensor(model: Any, given: Input) -> None:
    image = torch.from_numpy(given.numpy().random((3, 9, 8)))
    odd = given.one_of(
        {
            'double': lambda: image,
            'bfloat16': lambda: image.bfloat16(),
            'half': lambda: image.half(),
            'uint8': lambda: (image * 255).byte(),
            'normalised': lambda: image * 4 - 2,
            'nan': lambda: image * float('nan'),
            'int64': lambda: image.long(),
            'bool': lambda: image > 0.5,
            'complex': lambda: image.to(torch.complex64),
            'meta': lambda: image.to('meta'),
            'sparse': lambda: image.to_sparse(),
            'H W 3': lambda: image.movedim(0, 2),
            'needs grad': lambda: image.clone().requires_grad_(),
            'strided': lambda: image.flip(2)[:, ::2],
            'none': lambda: image[:, :0],
            'quantized': lambda: torch.quantize_per_tensor(image.float(), 0.1, 0, torch.quint8),
        }
    )()
    found = read_image(odd)
    require(found.shape == (*odd.shape[1:], 3), f'{tuple(odd.shape)} became {found.shape}')
    require(np.isfinite(found).all(), 'pixels that are not finite')


def header(model: Any, given: Input) -> None:
    """Headers that promise more pixels than a file holds, and small files that unpack to gigabytes."""
    data = given.one_of(BOMBS)()
    pixels = read_image(handed_over(data, given))
    require(pixels.nbytes < 1 << 30, 'a gigabyte of pixels was unpacked')


def other(model: Any, given: Input) -> None:
    """What is no image at all."""
    image = given.one_of(OTHERS)(given)
    read_image(image)
    require(False, 'what is no image was accepted')


def png(width: int, height: int, body: bytes, depth: int = 8, colour: int = 2) -> bytes:
    parts = [
        (b'IHDR', struct.pack('>IIBBBBB', width, height, depth, colour, 0, 0, 0)),
        (b'IDAT', body),
        (b'IEND', b''),
    ]
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        len(data).to_bytes(4, 'big') + kind + data + zlib.crc32(kind + data).to_bytes(4, 'big')
        for kind, data in parts
    )


def ghostscript(given: Input) -> bytes:
    """A PostScript picture, where a program called `gs` would leave a mark."""
    script = given.folder / 'gs'
    script.write_text(f'#!/bin/sh\ntouch {given.mark}\n')
    script.chmod(0o755)
    os.environ['PATH'] = f'{given.folder}:{os.environ["PATH"]}'
    from PIL import EpsImagePlugin

    EpsImagePlugin.gs_binary = str(script)
    stream = io.BytesIO()
    Image.fromarray(photos.photo(9, 9)).save(stream, 'EPS')
    return stream.getvalue()


def file_of(given: Input, data: bytes) -> Path:
    path = given.folder / 'photo.jpg'
    path.write_bytes(data)
    return path


def fifo(given: Input) -> Path:
    os.mkfifo(given.folder / 'photo.jpg')
    return given.folder / 'photo.jpg'


def loop(given: Input) -> Path:
    (given.folder / 'photo.jpg').symlink_to('photo.jpg')
    return given.folder / 'photo.jpg'


MODES = {
    mode: lambda image, mode=mode: image.convert(mode)
    for mode in ('RGB', 'L', '1', 'P', 'LA', 'RGBA', 'CMYK', 'YCbCr', 'I', 'F', 'PA')
} | {
    'I;16': lambda image: Image.fromarray(np.asarray(image)[..., 0].astype(np.uint16) * 256),
    '12 bits': lambda image: Image.fromarray(np.asarray(image)[..., 0].astype(np.uint16) * 16),
    'transparent': lambda image: image.convert('P', palette=Image.Palette.ADAPTIVE, colors=16),
}
FORMATS = [
    (kind, {})
    for kind in [
        'AVIF',
        'BMP',
        'DIB',
        'DDS',
        'GIF',
        'ICNS',
        'ICO',
        'IM',
        'JPEG2000',
        'MPO',
        'MSP',
        'PCX',
        'PPM',
        'QOI',
        'SGI',
        'SPIDER',
        'TGA',
        'WEBP',
        'XBM',
    ]
]
FORMATS += [
    ('JPEG', options)
    for options in (
        {},
        {'progressive': True},
        {'quality': 10},
        {'quality': 100, 'subsampling': 0},
        {'restart_marker_rows': 1},
    )
] * 2
FORMATS += [('PNG', options) for options in ({}, {'optimize': True}, {'compress_level': 0}, {'bits': 4})] * 3
FORMATS += [
    ('TIFF', {'compression': one})
    for one in ('raw', 'tiff_lzw', 'tiff_deflate', 'packbits', 'jpeg', 'group4', 'zstd')
]
FORMATS += [
    ('WEBP', {'lossless': True}),
    ('GIF', {'interlace': 1}),
    ('PNG', {'save_all': True}),
    ('GIF', {'save_all': True}),
]
TYPES = {
    name: lambda image, name=name: (image * 255).astype(name)
    for name in ('uint8', 'uint16', 'int8', 'int32', 'int64', 'uint32', 'bool', 'complex64', 'object', 'str')
} | {
    'float64': lambda image: image,
    'float16': lambda image: image.astype(np.float16),
    'levels': lambda image: image * 255,
    'negative': lambda image: -image,
    'nan': lambda image: image * np.nan,
    'one nan': lambda image: np.where(image == image.max(initial=0), np.nan, image),
    'infinite': lambda image: image + np.inf,
    'big endian': lambda image: image.astype('>f4'),
    'reversed': lambda image: (image * 255).astype(np.uint8)[::-1, ::-1],
    'read only': lambda image: np.broadcast_to(np.uint8(7), image.shape),
    '10 bits': lambda image: (image * 1023).astype(np.uint16),
}
BOMBS = {
    'PNG of 30,000 x 30,000': lambda: png(
        30000, 30000, zlib.compress(bytes((30000 // 8 + 1) * 30000), 1), 1, 0
    ),
    'PNG of 60,000 x 60,000, cut': lambda: png(60000, 60000, b'x'),
    'PNG of 2^31 - 1': lambda: png(2**31 - 1, 2**31 - 1, b''),
    'PNG of 0': lambda: png(0, 0, b''),
    'PNG of 1 x 2^30': lambda: png(1, 2**30, zlib.compress(bytes(99))),
    'PNG of text': lambda: (
        png(4, 4, zlib.compress(bytes(52)))[:33]
        + (9).to_bytes(4, 'big')
        + b'zTXt'
        + b'a\0\0'
        + b'xxxxxx'
        + bytes(4)
    ),
    'GIF': lambda: (
        b'GIF89a'
        + struct.pack('<HHBBB', 65535, 65535, 0x80, 0, 0)
        + bytes(6)
        + b','
        + struct.pack('<HHHHB', 0, 0, 65535, 65535, 0)
        + b'\x02\x02\x44\x01\0;'
    ),
    'BMP': lambda: (
        b'BM' + struct.pack('<IHHIIiiHHIIiiII', 54, 0, 0, 54, 40, 200000, 200000, 1, 24, 0, 0, 0, 0, 0, 0)
    ),
    'BMP of -2^31': lambda: (
        b'BM' + struct.pack('<IHHIIiiHHIIiiII', 54, 0, 0, 54, 40, 10, -(2**31), 1, 24, 0, 0, 0, 0, 0, 0)
    ),
    'PPM': lambda: b'P6 99999 99999 255\n' + bytes(99),
    'PPM of 10^9': lambda: b'P6 1000000000 1000000000 255\n',
    'PBM': lambda: b'P4 900000 900000\n' + bytes(99),
    'TGA': lambda: struct.pack('<BBBHHBHHHHBB', 0, 0, 2, 0, 0, 0, 0, 0, 65535, 65535, 24, 0) + bytes(30),
    'TIFF': lambda: (
        b'II*\0\x08\0\0\0'
        + struct.pack('<H', 5)
        + b''.join(
            struct.pack('<HHII', *one)
            for one in [
                (256, 4, 1, 10**6),
                (257, 4, 1, 10**6),
                (258, 3, 1, 8),
                (262, 3, 1, 1),
                (273, 4, 1, 8),
            ]
        )
        + bytes(4)
    ),
    'QOI': lambda: b'qoif' + struct.pack('>IIBB', 200000, 200000, 3, 0) + bytes(40),
    'SGI': lambda: struct.pack('>hBBHHHHll', 474, 1, 1, 3, 65535, 65535, 3, 0, 255) + bytes(600),
    'WebP': lambda: (
        b'RIFF'
        + struct.pack('<I', 30)
        + b'WEBPVP8X'
        + struct.pack('<I', 10)
        + b'\0\0\0\0'
        + b'\xff\xff\xff' * 2
        + bytes(4)
    ),
    'JPEG': lambda: (
        b'\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\x03\x01\x22\0\x02\x11\x01\x03\x11\x01\xff\xd9'
    ),
}
OTHERS = {
    'empty': lambda given: file_of(given, b''),
    'text': lambda given: file_of(given, b'no photo'),
    'web page': lambda given: file_of(given, b'<!DOCTYPE html><html>'),
    'SVG': lambda given: file_of(
        given, b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>'
    ),
    'PDF': lambda given: file_of(given, b'%PDF-1.4\n'),
    'Git LFS': lambda given: file_of(given, b'version https://git-lfs.github.com/spec/v1\n'),
    'random': lambda given: file_of(given, given.random.randbytes(999)),
    'EPS': ghostscript,
    'EPS file': lambda given: file_of(given, ghostscript(given)),
    'video': lambda given: file_of(given, b'\0\0\0 ftypisom' + bytes(90)),
    'HEIC': lambda given: file_of(given, b'\0\0\0 ftypheic' + bytes(90)),
    'pickle': lambda given: file_of(given, b'\x80\x04\x95' + bytes(20)),
    'numpy': lambda given: file_of(given, b'\x93NUMPY' + bytes(90)),
    'folder': lambda given: given.folder,
    'nothing there': lambda given: given.folder / 'none.jpg',
    'pipe': fifo,
    'link to itself': loop,
    'device': lambda given: '/dev/zero',
    'URL': lambda given: 'https://example.org/a.jpg',
    'null in path': lambda given: 'a\0b.jpg',
    'surrogate in path': lambda given: 'a\udcffb.jpg',
    'long path': lambda given: 'a' * 5000 + '.jpg',
    'home of nobody': lambda given: '~nobody-there/a.jpg',
    'no path': lambda given: '',
    'None': lambda given: None,
    'number': lambda given: 3,
    'text stream': lambda given: io.StringIO('x'),
    'closed stream': lambda given: closed(),
    'no images': lambda given: [],
    'unopened': lambda given: Image.new('RGB', (0, 0)),
    'strings': lambda given: np.array([['a', 'b']]),
}


def closed() -> io.BytesIO:
    stream = io.BytesIO(b'x')
    stream.close()
    return stream
