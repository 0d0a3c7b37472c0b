"""The newer methods through `load`: second towers, feedback, batches, and what is refused."""

from typing import Any

import golden_newest
import photos
import rows
import tiny
from mmseg_clipsurgery.api.loading import load

import numpy as np
import pytest
import torch

# As `photos.ARCH`, with blocks enough for the newer methods' constants.
ARCH = tiny.changed(photos.ARCH, vision_cfg={'layers': 6, 'image_size': 32})
GUIDE = dict(width=24, layers=2, heads=3, patch=4, image_size=12)
WORDS = ['cat', 'dog', 'grass', 'a red car']
FEEDBACK = dict(scale=1.8, share=0.7, floor=0.1)
METHODS = ['scclip', 'sfp', 'resclip', 'rfclip', 'proxyclip']


@pytest.fixture(scope='module')
def guide(tmp_path_factory):
    """Config of a small DINO ViT with weights in a file."""
    from mmseg_clipsurgery.guides.dino import DINOViT

    shapes = {name: tuple(value.shape) for name, value in DINOViT(GUIDE).state_dict().items()}
    path = tmp_path_factory.mktemp('dino') / 'dino.pth'
    torch.save(golden_newest.dino_tensors(shapes, 3), path)
    return dict(type='DINOViT', arch=GUIDE, pretrained=str(path))


def model(surgery: Any, **settings: Any):
    """The tiny CLIP of six blocks."""
    defaults = dict(templates='bare', text_cache=False, short_side=32, explain_side=32, recognise_side=32)
    return load(ARCH, str(tiny.weights_file(ARCH, 1)), surgery, **{**defaults, **settings})


@pytest.mark.slow
@pytest.mark.parametrize('name', METHODS)
def test_a_list_of_photos_equals_single_photos(name, guide):
    loaded = model(rows.fitted(name), guide=guide, window=24, stride=16)
    every = [photos.photo(32, 44), photos.photo(40, 32, seed=1)]
    together = loaded.segment(every, WORDS, scores=True)
    for photo, found in zip(every, together, strict=True):
        alone = loaded.segment(photo, WORDS, scores=True)
        assert found.labels.shape == photo.shape[:2]
        np.testing.assert_allclose(found.scores, alone.scores, atol=2e-6)
    assert len(loaded.heatmaps(every[0], WORDS).similarity) == len(WORDS)


def test_the_guide_is_what_proxyclip_reads(guide):
    photo, scores = photos.photo(32, 44), []
    for settings in (guide, {**guide, 'arch': {**GUIDE, 'layers': 1}, 'pretrained': None}):
        torch.manual_seed(0)
        scores.append(model('proxyclip', guide=settings).segment(photo, WORDS, scores=True).scores)
    assert np.abs(scores[0] - scores[1]).max() > 1e-4


def test_feedback_is_a_setting_of_a_call():
    loaded, photo = model(rows.fitted('resclip')), photos.photo(32, 44)
    once, twice = (
        loaded.segment(photo, WORDS, feedback=feedback, scores=True).scores for feedback in (None, FEEDBACK)
    )
    assert np.abs(once - twice).max() > 1e-5


@pytest.mark.parametrize(
    ('act', 'message'),
    [
        (lambda: model('proxyclip'), "'proxyclip' reads the features of a second tower; give guide=dict"),
        (lambda: model('clip').with_surgery('proxyclip'), "'proxyclip' reads the features of a second tower"),
        (lambda: model('clip', guide=dict(type='DINO')), 'whose type is one of DINOViT'),
        (
            lambda: model(rows.fitted('resclip')).segment(photos.photo(), ['cat'], feedback=FEEDBACK),
            "test_cfg.feedback labels patches by the words, and there is 'cat' alone",
        ),
        (
            lambda: model(rows.fitted('resclip')).segment(photos.photo(), [], feedback=FEEDBACK),
            'got an empty vocabulary, give at least one class',
        ),
        (
            lambda: model('gem').segment(photos.photo(), WORDS, feedback=FEEDBACK),
            "'gem' takes no feedback; surgeries with last_blocks=1",
        ),
        (lambda: model('scclip'), 'block numbers of .scclip. belong to towers of 12 blocks'),
    ],
    ids=[
        'no guide',
        'no guide later',
        'unknown guide',
        'one word',
        'no words',
        'takes no feedback',
        'another depth',
    ],
)
def test_what_is_refused(act, message):
    with pytest.raises(ValueError, match=message):
        act()
