"""Images of every kind become pixels as MMSeg would load them, or are refused by name."""

import io
import zlib

import photos
from mmseg_clipsurgery.api import image_files, reading
from mmseg_clipsurgery.api.image_files import decode_image, header_pixels
from mmseg_clipsurgery.api.images import read_image, read_images
from mmseg_clipsurgery.api.opencv import decode
from mmseg_clipsurgery.api.pixels import to_uint8
from mmseg_clipsurgery.api.reading import Reading

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

pytestmark = pytest.mark.mmseg

PHOTO = photos.photo(20, 32)


def as_mmseg(path) -> np.ndarray:
    """RGB pixels of a file through MMSeg's own loading step."""
    transforms = pytest.importorskip('mmcv.transforms')
    return transforms.LoadImageFromFile()(dict(img_path=str(path)))['img'][..., ::-1]


def test_files_are_read_as_mmseg_reads_them(tmp_path):
    files = {
        'a.jpg': dict(quality=90),
        'b.png': {},
        'c.bmp': {},
        'd.tiff': {},
        'e.webp': dict(quality=90),
    }
    for name, options in files.items():
        path = photos.save(tmp_path / name, PHOTO, **options)
        assert np.array_equal(read_image(path), as_mmseg(path)), name


@pytest.mark.parametrize('mode', ['L', 'LA', 'RGBA', 'P', '1', 'CMYK'])
def test_modes(tmp_path, mode):
    image = Image.fromarray(PHOTO).convert('RGBA' if mode == 'LA' else 'RGB').convert(mode)
    pixels = read_image(image)
    assert pixels.shape == PHOTO.shape
    assert pixels.dtype == np.uint8
    if mode in ('RGBA', 'CMYK'):
        assert np.abs(pixels.astype(int) - PHOTO).max() <= 1
    if mode == 'CMYK':
        return
    path = tmp_path / 'image.png'
    image.save(path)
    assert np.array_equal(read_image(path), pixels)
    assert np.array_equal(pixels, as_mmseg(path))


def test_16_bits_keep_their_high_byte(tmp_path):
    deep = np.random.default_rng(0).integers(0, 65536, (20, 32, 3), np.uint16)
    path = tmp_path / 'deep.png'
    assert cv2.imwrite(str(path), deep[..., ::-1])
    assert np.array_equal(read_image(path), deep >> 8)
    assert np.array_equal(read_image(deep), deep >> 8)
    grey = Image.fromarray(deep[..., 0])
    assert grey.mode == 'I;16'
    assert np.array_equal(read_image(grey), np.repeat(deep[..., :1] >> 8, 3, axis=2))


@pytest.mark.parametrize(
    ('depth', 'read_as'), [(7, 8), (8, 8), (9, 10), (10, 10), (11, 11), (12, 12), (13, 14), (16, 16)]
)
def test_fewer_bits_in_16_are_stretched(tmp_path, caplog, depth, read_as):
    reading.say_depth.cache_clear()
    deep = np.random.default_rng(0).integers(0, 1 << depth, (20, 32, 3), np.uint16)
    deep[0, 0] = (1 << depth) - 1
    expected = (deep >> (read_as - 8)).astype(np.uint8)
    for name in ('deep.png', 'deep.tiff'):
        assert cv2.imwrite(str(tmp_path / name), deep[..., ::-1])
        as_opencv = decode((tmp_path / name).read_bytes())  # rounds a TIFF
        assert np.array_equal(read_image(tmp_path / name, Reading(bit_depth=16)), as_opencv), name
        assert np.array_equal(read_image(tmp_path / name), as_opencv if depth == 16 else expected), name
    assert np.array_equal(read_image(deep), expected)
    assert np.array_equal(read_image(Image.fromarray(deep[..., 0]))[..., 0], expected[..., 0])
    assert np.array_equal(
        read_image(deep, Reading(bit_depth=max(8, depth)))[0, 0], [min(255, (1 << depth) - 1)] * 3
    )
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == (read_as < 16)
    assert all(f'are read as {read_as} bits; if they are not, state bit_depth' in line for line in said)
    if depth > 8:
        with pytest.raises(ValueError, match=rf'up to {(1 << depth) - 1}, which 8 bits do not hold'):
            read_image(deep, Reading(bit_depth=8))


def netpbm(most: int, colours: bool = False) -> bytes:
    """A Netpbm file whose white is `most`, with a comment in its header."""
    values = np.round(PHOTO / 255 * most).astype('u1' if most < 256 else '>u2')
    kind, values = ('P6', values) if colours else ('P5', values[..., 0])
    return f'{kind} # made here\n32 20\n{most}\n'.encode() + values.tobytes()


@pytest.mark.parametrize('colours', [False, True], ids=['PGM', 'PPM'])
@pytest.mark.parametrize('most', [15, 100, 255, 1023, 4095, 65535])
def test_netpbm_is_white_where_it_says(most, colours):
    found = read_image(netpbm(most, colours))
    expected = PHOTO if colours else np.repeat(PHOTO[..., :1], 3, axis=2)
    assert np.abs(found.astype(int) - expected).max() <= 255 / most / 2 + 0.5


def written(suffix: str, pixels: np.ndarray) -> bytes:
    return cv2.imencode(suffix, pixels[..., ::-1])[1].tobytes()


def float_map(pixels: np.ndarray) -> bytes:
    """A grey PFM file, whose rows go from the bottom up."""
    return b'Pf\n32 20\n-1.0\n' + pixels[::-1].astype('<f4').tobytes()


SHARES = PHOTO / 255
FLOATS = {
    'TIFF of 32 bits': (lambda: written('.tiff', SHARES.astype(np.float32)), 3),
    'TIFF of 64 bits': (lambda: written('.tiff', SHARES), 3),
    'PFM': (lambda: float_map(SHARES[..., 0]), 1),
}


@pytest.mark.parametrize(('data', 'channels'), FLOATS.values(), ids=FLOATS.keys())
def test_floating_point_files_are_read(data, channels):
    found = read_image(data())
    assert found.dtype == np.float32
    assert np.abs(found - PHOTO[..., :channels]).max() < 1e-3


UNKNOWN_RANGES = {
    'grey levels as floats': (
        lambda: written('.tiff', PHOTO.astype(np.float32)),
        'from 0 to 255; they must be in',
    ),
    'negative': (
        lambda: written('.tiff', (SHARES - 0.5).astype(np.float32)),
        'floating-point pixels from -0.5',
    ),
    'NaN': (lambda: written('.tiff', np.full_like(SHARES, np.nan)), 'from nan to nan'),
    'PFM beyond 1': (lambda: float_map(PHOTO[..., 0]), 'from 0 to 255; they must be in'),
    'radiance beyond 1': (lambda: written('.hdr', PHOTO.astype(np.float32)), 'floating-point pixels from'),
    'int16': (lambda: written('.tiff', PHOTO.astype(np.int16) - 128), 'pixels of type int16'),
    'int8': (lambda: written('.tiff', (PHOTO // 2).astype(np.int8)), 'pixels of type int8'),
    'int32': (lambda: written('.tiff', PHOTO.astype(np.int32)), 'pixels of type int32'),
}


@pytest.mark.parametrize(('data', 'message'), UNKNOWN_RANGES.values(), ids=UNKNOWN_RANGES.keys())
def test_files_whose_range_is_unknown_are_refused(data, message):
    with pytest.raises(ValueError, match=f'the given data: .*{message}'):
        read_image(data())


def test_bytes_and_file_objects_are_read_as_the_file(tmp_path):
    path = photos.save(tmp_path / 'a.png', PHOTO)
    data = path.read_bytes()
    stream = io.BytesIO(data)
    with path.open('rb') as file:
        for image in (data, bytearray(data), memoryview(data), stream, stream, file):
            assert np.array_equal(read_image(image), PHOTO)
    pixels, batch = read_images([data, stream])
    assert batch
    assert np.array_equal(pixels, [PHOTO, PHOTO])


@pytest.mark.parametrize('kind', ['PNG', 'TIFF', 'JPEG', 'GIF', 'WEBP', 'JPEG2000'])
def test_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch, kind):
    buffer = io.BytesIO()
    Image.fromarray(PHOTO).save(buffer, kind)
    assert read_image(buffer, Reading(max_pixels=20 * 32)).shape == PHOTO.shape
    monkeypatch.setattr('mmseg_clipsurgery.api.image_files.decode', lambda *_: pytest.fail('decoded'))
    with pytest.raises(
        ValueError, match=r'a\.png has 640 pixels, more than the limit of 639; shrink it, or raise'
    ):
        decode_image(buffer.getvalue(), 'a.png', Reading(max_pixels=639))


def test_a_decompression_bomb_is_refused():
    chunk = b'IHDR' + (30000).to_bytes(4, 'big') * 2 + bytes([8, 2, 0, 0, 0])
    data = b'\x89PNG\r\n\x1a\n' + (13).to_bytes(4, 'big') + chunk + zlib.crc32(chunk).to_bytes(4, 'big')
    assert header_pixels(data) == 900_000_000
    with pytest.raises(ValueError, match='the given data has 900,000,000 pixels, more than the limit'):
        read_image(data)
    with pytest.raises(ValueError, match='PIL image has 40 pixels'):
        read_image(Image.new('RGB', (5, 8)), Reading(max_pixels=39))
    for image, what in (
        (np.uint8(0), 'array'),
        (torch.zeros(()), 'tensor'),
    ):  # of one value: nothing is made of it
        many = (
            np.broadcast_to(image, (60_000, 60_000)) if what == 'array' else image.expand(3, 60_000, 60_000)
        )
        with pytest.raises(ValueError, match=f'the {what} has 3,600,000,000 pixels, more than the limit'):
            read_image(many)


@pytest.mark.parametrize(
    'settings', [dict(bit_depth=7), dict(bit_depth=17), dict(max_pixels=0), dict(max_pixels=1.5)]
)
def test_settings_of_reading_out_of_range(settings):
    with pytest.raises(ValueError, match=f'{next(iter(settings))} must be'):
        Reading(**settings)


@pytest.mark.parametrize('orientation', range(1, 9))
def test_exif_turns_paths_and_pil_images_alike(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = photos.save(tmp_path / 'photo.jpg', PHOTO, quality=95, exif=exif)
    pixels = read_image(path)
    assert pixels.shape[:2] == ((20, 32) if orientation < 5 else (32, 20))
    opened = read_image(Image.open(path))
    assert pixels.shape == opened.shape
    assert np.abs(pixels.astype(int) - opened).mean() < 3  # two decoders


def test_arrays_and_tensors():
    tensor = torch.from_numpy(PHOTO.copy()).movedim(2, 0)
    same = [
        PHOTO,
        PHOTO[..., ::-1][..., ::-1],
        np.dstack([PHOTO, PHOTO[..., :1]]),
        tensor,
        tensor.contiguous(),
        PHOTO / 255.0,
        (PHOTO / 255.0).astype(np.float32),
        tensor / 255,
    ]
    for image in same:
        pixels = read_image(image)
        assert pixels.flags.c_contiguous
        assert np.array_equal(to_uint8(pixels), PHOTO)
    for grey in (PHOTO[..., 0], PHOTO[..., :1], tensor[0], tensor[:1]):
        assert np.array_equal(read_image(grey), np.repeat(PHOTO[..., :1], 3, axis=2))
    assert np.abs(to_uint8(read_image((tensor / 255).bfloat16())).astype(int) - PHOTO).max() <= 1
    assert read_image(PHOTO / 255.0).dtype == np.float32


def test_batches():
    assert read_images(PHOTO)[1] is False
    for batch in ([PHOTO, PHOTO], (PHOTO, PHOTO), np.stack([PHOTO, PHOTO]), torch.zeros(2, 3, 4, 5)):
        pixels, batched = read_images(batch)
        assert batched
        assert len(pixels) == 2


def test_a_file_that_ends_too_early_is_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for name in ('cut.jpg', 'cut.png'):
        path = photos.save(tmp_path / name, noise)
        path.write_bytes(path.read_bytes()[:-2000])
        with pytest.raises(ValueError, match=rf'{name} is (no image that can be read \(.*\)|damaged: .*); '):
            read_image(path)


def test_bytes_after_the_end_do_no_harm(tmp_path):
    path = photos.save(tmp_path / 'long.jpg', PHOTO, quality=95)
    whole = read_image(path)
    path.write_bytes(path.read_bytes() + b'appended')
    assert np.abs(read_image(path).astype(int) - whole).mean() < 3


def file_with(content: bytes):
    def make(tmp_path):
        path = tmp_path / 'file.jpg'
        path.write_bytes(content)
        return path

    return make


ERRORS = {
    'missing': (lambda tmp: tmp / 'missing.jpg', 'missing.jpg does not exist; check the path'),
    'folder': (lambda tmp: tmp, 'is a folder; give its files'),
    'text': (file_with(b'no image'), r'file.jpg is no image that can be read \(it is of no known format\)'),
    'empty': (file_with(b''), r'no image that can be read \(it is empty\)'),
    'none': (lambda tmp: None, 'got an image of type NoneType; give a path'),
    'no bytes': (lambda tmp: b'', r'the given data is no image that can be read \(it is empty\)'),
    'no bytes in a file': (lambda tmp: io.BytesIO(), r'the given file is no image .*\(it is empty\)'),
    'a file of text': (
        lambda tmp: io.StringIO('a'),
        'a file object of text, not of bytes; open it with mode "rb"',
    ),
    'a photo opened as text': (
        lambda tmp: photos.save(tmp / 'a.png', PHOTO).open(encoding='utf-8'),
        'a file object of text, not of bytes; open it with mode "rb"',
    ),
    'a URL': (
        lambda tmp: 'https://example.org/a.jpg',
        'a.jpg is a URL; download it, and give the file or its bytes',
    ),
    'an unknown home': (lambda tmp: '~nobody_here/a.jpg', 'home of a user who is not known'),
    'a path that is too long': (lambda tmp: 'x' * 5000, r'^x{60}\.\.\. is a path of 5000 characters'),
    'a null character': (lambda tmp: 'a\0b', 'holds a null character'),
    'an empty path': (lambda tmp: '', "got '' where a path is expected"),
    'channels first': (lambda tmp: np.zeros((3, 8, 8), np.uint8), r'"H W 3".*\(3, 8, 8\).*to the end'),
    'channels last': (lambda tmp: torch.zeros(8, 8, 3), r'"3 H W".*\(8, 8, 3\).*to the front'),
    'two channels': (lambda tmp: np.zeros((8, 8, 2), np.uint8), '"H W 3"'),
    'no pixels': (lambda tmp: np.zeros((0, 8, 3), np.uint8), 'without pixels'),
    'normalised': (lambda tmp: torch.randn(3, 8, 8), 'must be in .0, 1. and not normalised'),
    'grey levels as floats': (lambda tmp: np.full((8, 8, 3), 128.0), 'from 128 to 128; they must be'),
    'NaN': (lambda tmp: torch.full((3, 8, 8), torch.nan), 'from nan to nan'),
    'int64': (lambda tmp: np.zeros((8, 8, 3), np.int64), 'type int64; give uint8'),
    'bool': (lambda tmp: np.zeros((8, 8, 3), bool), 'type bool; give uint8'),
    '32 bits': (lambda tmp: Image.new('I', (8, 8)), "mode 'I' .32 bits.*convert it to 8 bits"),
}


@pytest.mark.parametrize(('make', 'message'), ERRORS.values(), ids=ERRORS.keys())
def test_what_is_no_image_is_refused_by_name(tmp_path, make, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read_image(make(tmp_path))


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match='empty list of images'):
        read_images([])


@pytest.mark.parametrize(
    'data', [b'', b'no image', b'\x89PNG\r\n\x1a\n'], ids=['empty', 'text', 'head alone']
)
def test_what_opencv_cannot_decode_is_none(data):
    assert decode(data) is None


DAMAGED = 'the given data is damaged: a part of it is cut off or has another sum than it states'


@pytest.mark.parametrize('kind', [b'IHDR', b'IDAT', b'tRNS'])
def test_a_png_with_a_wrong_sum_is_refused(kind):
    stream = io.BytesIO()
    Image.fromarray(PHOTO).save(stream, 'PNG', transparency=(1, 2, 3))
    data = bytearray(stream.getvalue())
    assert np.array_equal(read_image(bytes(data)), PHOTO)
    place = data.find(kind)
    data[place + 4 + int.from_bytes(data[place - 4 : place], 'big')] ^= 1  # the first byte of the sum
    with pytest.raises(ValueError, match=DAMAGED):
        read_image(bytes(data))


def png_with_orientation() -> bytearray:
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PHOTO).save(stream, 'PNG', exif=exif)
    assert np.array_equal(read_image(stream.getvalue()), np.rot90(PHOTO, -1))
    return bytearray(stream.getvalue())


def test_a_png_whose_orientation_lost_its_name_is_refused():
    data = png_with_orientation()
    data[data.find(b'eXIf') + 1] += 1
    with pytest.raises(ValueError, match=DAMAGED):
        read_image(bytes(data))


def test_a_png_with_a_part_that_goes_on_beyond_its_end_is_refused():
    data = png_with_orientation()
    place = data.find(b'IDAT')
    data[place - 4 : place] = len(data).to_bytes(4, 'big')
    with pytest.raises(ValueError, match=DAMAGED):
        read_image(bytes(data))


def test_what_follows_the_end_of_a_png_is_left_alone():
    data = bytes(png_with_orientation())
    assert np.array_equal(read_image(data + b'anything'), read_image(data))


@pytest.mark.parametrize(
    'change',
    [
        lambda image: image.to('meta'),
        lambda image: image.to_sparse(),
        lambda image: torch.quantize_per_tensor(image, 0.1, 0, torch.quint8),
    ],
    ids=['meta', 'sparse', 'quantized'],
)
def test_tensors_without_dense_values_are_refused(change):
    with pytest.raises(ValueError, match='sparse or quantized tensor'):
        read_image(change(torch.rand(3, 9, 8)))


@pytest.mark.parametrize('kind', ['GIF', 'TIFF', 'WEBP', 'PNG'])
def test_images_behind_the_first_are_told(kind, tmp_path, caplog):
    first, second = (Image.fromarray(np.full((8, 9, 3), value, np.uint8)) for value in (200, 10))
    first.save(tmp_path / 'photo', kind, save_all=True, append_images=[second])
    assert abs(int(read_image(tmp_path / 'photo').mean()) - 200) < 3
    assert 'photo holds 2 images; the first is read' in caplog.text


def test_colours_of_cielab_are_refused(tmp_path):
    Image.new('LAB', (8, 9), (50, 60, 70)).save(tmp_path / 'photo.tif')
    with pytest.raises(ValueError, match=r'photo.tif is in CIELab, which is not read; convert it to RGB'):
        read_image(tmp_path / 'photo.tif')


@pytest.mark.parametrize('error', [TypeError('Missing dimensions'), RuntimeError('Failed to decode frame 0')])
def test_whatever_a_decoder_raises_is_a_sentence(error, monkeypatch):
    def opened(file):
        raise error

    monkeypatch.setattr(image_files, 'open_image', opened)
    with pytest.raises(ValueError, match=f'the given data is no image that can be read .{error}'):
        decode_image(b'II*\0 damaged', 'the given data')
