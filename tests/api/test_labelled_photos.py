"""Photos with masks are counted as `segment` labels them; masks that don't fit are refused by name."""

import photos
from mmseg_clipsurgery.api.labelled_photos import labelled_photos
from mmseg_clipsurgery.inference.calibration import CANDIDATES, THRESHOLDS
from mmseg_clipsurgery.inference.calibration_run import count
from mmseg_clipsurgery.vocabulary import Vocabulary

import numpy as np
import pytest
from PIL import Image

WORDS = Vocabulary.read({'background': ['sky', 'wall'], 'cat': 'cat', 'dog': ['dog', 'puppy']})


@pytest.fixture(scope='module')
def pairs(tmp_path_factory) -> list:
    """Two photos with masks, a part of them ignored."""
    folder, random = tmp_path_factory.mktemp('labelled'), np.random.default_rng(0)
    made = []
    for seed, size in enumerate(((20, 26), (24, 18))):
        photo = photos.save(folder / f'{seed}.jpg', photos.photo(*size, seed))
        labels = random.choice(np.array([0, 1, 2, 255], np.uint8), size)
        made.append((photo, photos.save(folder / 'masks' / f'{seed}.png', labels)))
    return made


def areas(labels: np.ndarray, mask: np.ndarray, label: int) -> list[int]:
    """Intersection, prediction, truth of a label."""
    kept = mask != 255
    found, truth = (labels == label) & kept, mask == label
    return [int((found & truth).sum()), int(found.sum()), int(truth.sum())]


@pytest.mark.slow
def test_counts_are_those_of_the_labels_of_segment(pairs):
    model = photos.model()
    predictor, embed = model.encoders.predictor(0.0), model.encoders.text.embed_words
    counts = count(predictor, embed, WORDS, labelled_photos(model, pairs, WORDS))
    masks = [np.asarray(Image.open(mask)) for _, mask in pairs]
    for place in (0, 245, 388, 501):
        settings = {name: value or None for name, value in CANDIDATES[place].items()}
        results = model.segment([photo for photo, _ in pairs], WORDS, **settings)
        for number, (result, mask) in enumerate(zip(results, masks, strict=True)):
            expected = [areas(result.labels, mask, label) for label in range(3)]
            assert counts.background[number, place].tolist() == expected
    for place in (80, 100, 130):
        word = model.segment(pairs[0][0], {'dog': ['dog', 'puppy']}, threshold=THRESHOLDS[place])
        truth = np.where(masks[0] == 255, 255, masks[0] == 2)
        assert (
            np.abs(counts.one_word[0, place, 1].numpy() - np.array(areas(word.labels, truth, 1))).max() <= 1
        )


@pytest.mark.parametrize(
    ('mask', 'message'),
    [
        (np.zeros((20, 25), np.uint8), r'bad\.png has 20 x 25 pixels and its photo 20 x 26; give a label'),
        (
            np.full((20, 26), 3, np.uint8),
            r'bad\.png holds the label 3, and there are 3 words; give all words',
        ),
        (np.zeros((20, 26, 3), np.uint8), r'bad\.png has 3 channels; give labels, one channel or a palette'),
    ],
    ids=['size', 'label', 'channels'],
)
def test_masks_that_do_not_fit_are_refused(pairs, tmp_path, mask, message):
    bad = photos.save(tmp_path / 'bad.png', mask)
    with pytest.raises(ValueError, match=message):
        next(labelled_photos(photos.model(), [(pairs[0][0], bad)], WORDS))
