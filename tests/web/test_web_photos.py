"""Photos of the page: scenes, uploads and their bounds, and which pixel a click meets."""

import photos
from mmseg_clipsurgery.api.reading import Reading
from mmseg_clipsurgery.scenes import draw_scene
from mmseg_clipsurgery.web.limits import Limits
from mmseg_clipsurgery.web.photos import SCENES, pixel_at, read, scene, thumbnails, uploaded

import numpy as np
import pytest
from PIL import Image


def test_scenes_are_those_of_the_benchmark():
    assert np.array_equal(read(scene(3), Reading()), draw_scene('val', 3).image)
    assert len(thumbnails()) == SCENES
    assert len({scene(index).digest for index in range(SCENES)}) == SCENES


@pytest.mark.parametrize('index', [-1, SCENES])
def test_other_scenes_are_refused(index):
    with pytest.raises(ValueError, match=f'there are {SCENES} scenes'):
        scene(index)


def test_an_upload_is_read_and_named_by_its_content(tmp_path):
    pixels = photos.photo()
    one, same, other = (
        uploaded(photos.save(tmp_path / name, pixels), Limits())
        for name, pixels in [('a.png', pixels), ('b.png', pixels), ('c.png', photos.photo(seed=1))]
    )
    assert np.array_equal(read(one, Reading()), pixels)
    assert one.digest == same.digest != other.digest


def test_bad_uploads_get_a_sentence(tmp_path):
    text, wide = tmp_path / 'notes.jpg', tmp_path / 'wide.png'
    text.write_text('no photo')
    Image.new('1', (20_000, 2_000)).save(wide)
    with pytest.raises(ValueError, match=r'notes\.jpg is no image'):
        read(uploaded(text, Limits()), Reading())
    with pytest.raises(ValueError, match=r'wide\.png has 40,000,000 pixels, more than the limit'):
        read(uploaded(wide, Limits()), Reading(max_pixels=25_000_000))
    with pytest.raises(ValueError, match=r'the photo has 0\.0 MiB and the page takes'):
        uploaded(wide, Limits(upload_bytes=100))
    kept = uploaded(wide, Limits())
    wide.unlink()
    with pytest.raises(FileNotFoundError, match='upload it again'):
        read(kept, Reading())


@pytest.mark.parametrize(
    ('click', 'pixel'),
    [((0, 0), (0, 0)), ((199, 99), (19, 9)), ((100, 50), (10, 5)), ((900, -5), (19, 0))],
    ids=['first', 'last', 'middle', 'outside'],
)
def test_a_click_meets_the_pixel_under_it(click, pixel):
    assert pixel_at(click, (200, 100), np.zeros((10, 20, 3))) == pixel
