"""Label Studio's tasks: the polygons, drawn, are the regions again, and the photos are found under their names."""

import json
import os
from urllib.parse import unquote_to_bytes

import label_maps
from label_maps import border, union
from mmseg_clipsurgery.api.formats.label_studio import LOCAL_FILES, write_label_studio

import numpy as np
import pytest

NAMES = ('a b.jpg', 'folder/\u00e4%20.png', os.fsdecode(b'not utf-8 \xff.jpg'))


def tasks(path, maps, **options) -> list:
    write_label_studio(
        path, {name: lambda one=one: one for name, one in maps.items()}, label_maps.CLASSES, **options
    )
    return json.loads(path.read_text(encoding='utf-8'))


def regions_of(task: dict, size: tuple[int, int]) -> dict[str, list]:
    """Class -> polygons in pixels, from the percentages of a task of a photo of size (height, width)."""
    (prediction,) = task['predictions']
    found: dict[str, list] = {}
    for one in prediction['result']:
        assert (one['original_height'], one['original_width']) == size
        assert (one['type'], one['from_name'], one['to_name']) == ('polygonlabels', 'label', 'image')
        (name,) = one['value']['polygonlabels']
        corners = np.array(one['value']['points'])
        assert ((corners > 0) & (corners < 100)).all()
        assert len(corners) >= 3
        found.setdefault(name, []).append((corners / 100 * size[::-1] - 0.5).round().tolist())
    return found


@pytest.mark.parametrize('labels', label_maps.MAPS.values(), ids=label_maps.MAPS.keys())
def test_polygons_read_back_within_one_pixel(tmp_path, labels):
    (task,) = tasks(tmp_path / 'new' / 'tasks.json', {'a.png': labels})
    found = regions_of(task, labels.shape)
    assert set(found) == {label_maps.CLASSES[label] for label in np.unique(labels) if label}
    for name, polygons in found.items():
        mask = labels == label_maps.CLASSES.index(name)
        differs = union([[tuple(point) for point in one] for one in polygons], labels.shape) != mask
        assert not (differs & ~border(mask)).any(), name


def test_addresses_lead_back_to_the_photos(tmp_path):
    maps = dict.fromkeys(NAMES, np.ones((3, 4), np.int64))
    found = [task['data']['image'] for task in tasks(tmp_path / 'tasks.json', maps)]
    assert all(one.startswith(LOCAL_FILES) and one.isascii() for one in found)
    assert [os.fsdecode(unquote_to_bytes(one.removeprefix(LOCAL_FILES))) for one in found] == list(NAMES)
    (first, *_) = tasks(tmp_path / 'tasks.json', maps, root='https://example.org/photos/')
    assert first['data']['image'] == 'https://example.org/photos/a%20b.jpg'


def test_no_photo_is_an_empty_list(tmp_path):
    assert tasks(tmp_path / 'tasks.json', {}) == []


def test_a_file_that_fails_half_way_is_not_there(tmp_path):
    def fail():
        raise OSError(5, 'read error')

    with pytest.raises(OSError, match='read error'):
        write_label_studio(
            tmp_path / 'tasks.json', {'a.png': lambda: np.ones((3, 4), int), 'b.png': fail}, ('a', 'b')
        )
    assert not list(tmp_path.iterdir())
