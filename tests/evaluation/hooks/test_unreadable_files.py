"""Errors of the data pipeline name the file, in worker processes too."""

import pickle
from types import SimpleNamespace

from mmseg_clipsurgery.evaluation.hooks.unreadable_files import (
    NameUnreadableFilesHook,
    NamingPipeline,
    UnreadableFile,
)

import pytest

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


def test_every_base_data_set_is_wrapped_once():
    parts = [SimpleNamespace(pipeline=broken, datasets=None, dataset=None) for _ in range(2)]
    concatenation = SimpleNamespace(datasets=parts)
    runner = SimpleNamespace(test_dataloader=SimpleNamespace(dataset=SimpleNamespace(dataset=concatenation)))
    for _ in range(2):
        NameUnreadableFilesHook().before_test(runner)
    assert [part.pipeline.pipeline for part in parts] == [broken, broken]
