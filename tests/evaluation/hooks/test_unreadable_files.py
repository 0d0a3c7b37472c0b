"""Errors of the data pipeline name the file, in worker processes too."""

import pickle
from types import SimpleNamespace

from mmseg_clipsurgery.evaluation.hooks.unreadable_files import (
    NameUnreadableFilesHook,
    NamingPipeline,
    UnreadableFile,
)

import pytest
from PIL import Image

pytestmark = pytest.mark.mmseg


def broken(info):
    raise OSError('first line\nsecond line')


@pytest.mark.parametrize(
    ('info', 'message'),
    [
        pytest.param(
            dict(img_path='a.jpg'), r'a\.jpg could not be loaded: OSError: first line second line', id='image'
        ),
        pytest.param(
            dict(img_path='a.jpg', seg_map_path='a.png'),
            r'a\.jpg \(with mask a\.png\) could not be loaded: OSError: first line second line',
            id='mask',
        ),
    ],
)
def test_an_error_names_the_file_after_a_trip_to_a_worker(info, message):
    pipeline = pickle.loads(pickle.dumps(NamingPipeline(broken)))
    with pytest.raises(UnreadableFile, match=f'^{message}$'):
        pipeline(info)


@pytest.mark.parametrize('name', ['img_path', 'seg_map_path'])
def test_a_picture_of_gigabytes_is_not_decoded(name, tmp_path, monkeypatch):
    """OpenCV would: its own limit is six times Pillow's."""
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', Image.MAX_IMAGE_PIXELS)
    (tmp_path / 'a.bmp').write_bytes(b'P5\n30000 30000\n255\n')
    info = {'img_path': 'a.jpg', name: str(tmp_path / 'a.bmp')}
    with pytest.raises(
        UnreadableFile, match=r'900000000 pixels.*raise the limit by MMSEG_CLIPSURGERY_MAX_PIXELS'
    ):
        NamingPipeline(lambda info: pytest.fail('loaded'))(info)
    monkeypatch.setenv('MMSEG_CLIPSURGERY_MAX_PIXELS', '900000000')
    assert NamingPipeline(lambda info: 'loaded')(info) == 'loaded'
    monkeypatch.setenv('MMSEG_CLIPSURGERY_MAX_PIXELS', '1e9')
    with pytest.raises(UnreadableFile, match='must be a whole number of pixels'):
        NamingPipeline(lambda info: 'loaded')(info)


def test_every_base_data_set_is_wrapped_once():
    parts = [SimpleNamespace(pipeline=broken, datasets=None, dataset=None) for _ in range(2)]
    concatenation = SimpleNamespace(datasets=parts)
    runner = SimpleNamespace(test_dataloader=SimpleNamespace(dataset=SimpleNamespace(dataset=concatenation)))
    for _ in range(2):
        NameUnreadableFilesHook().before_test(runner)
    assert [part.pipeline.pipeline for part in parts] == [broken, broken]
