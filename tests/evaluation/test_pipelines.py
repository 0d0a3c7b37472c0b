"""Pipelines that can't be undone are refused by the name of the step."""

from mmseg_clipsurgery.evaluation.pipelines import check_pipeline, ways

import pytest
from mmcv.transforms import Pad

pytestmark = pytest.mark.mmseg

LOAD, MASKS, PACK = (dict(type=name) for name in ('LoadImageFromFile', 'LoadAnnotations', 'PackSegInputs'))
RESIZE, FLIP, PAD = (dict(type=name) for name in ('Resize', 'RandomFlip', 'Pad'))


def test_good_pipelines_pass():
    check_pipeline([LOAD, RESIZE, MASKS, PACK])
    check_pipeline([LOAD, RESIZE, PAD, MASKS, PACK])
    check_pipeline([LOAD, dict(type=Pad), MASKS, PACK])
    check_pipeline([LOAD, dict(type='TestTimeAug', transforms=[[RESIZE, RESIZE], [FLIP], [MASKS], [PACK]])])


@pytest.mark.parametrize(
    ('pipeline', 'message'),
    [
        ([LOAD, PAD, RESIZE, MASKS], 'Pad of the test pipeline stands before Resize'),
        ([LOAD, RESIZE, RESIZE, PAD], 'Pad of the test pipeline follows Resize and Resize'),
        ([LOAD, dict(type='ResizeToMultiple'), PAD], 'follows ResizeToMultiple'),
        ([LOAD, PAD, FLIP], 'is joined by RandomFlip'),
        ([LOAD, MASKS, PAD], 'behind LoadAnnotations, so masks are padded too'),
        ([LOAD, dict(type='mmcv.Pad'), dict(type='mmcv.Resize')], 'stands before Resize'),
        ([LOAD, dict(type='RandomCrop')], 'step RandomCrop of the test pipeline cuts, pads or turns'),
        ([LOAD, dict(type='mmyolo.LetterResize')], 'step LetterResize of'),
        ([LOAD, dict(type='RandomApply', transforms=[PAD, RESIZE])], 'stands before Resize'),
        ([LOAD, dict(type='TestTimeAug', transforms=[[PAD], [FLIP], [PACK]])], 'is joined by RandomFlip'),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else 'pipeline',
)
def test_what_cannot_be_undone_is_refused(pipeline, message):
    with pytest.raises(ValueError, match=message):
        check_pipeline(pipeline)


def test_ways_are_the_choices_of_test_time_augmentation():
    augmented = dict(type='TestTimeAug', transforms=[[RESIZE, PAD], [FLIP], [MASKS]])
    assert list(ways([LOAD, augmented])) == [[LOAD, RESIZE, FLIP, MASKS], [LOAD, PAD, FLIP, MASKS]]
