"""Candidates are counted as the predictor would label; what is chosen is measured on images that had no say."""

import dataclasses

from mmseg_clipsurgery.environment.files import write_json
from mmseg_clipsurgery.inference import calibration
from mmseg_clipsurgery.inference.calibration_files import Calibration, calibrated
from mmseg_clipsurgery.inference.calibration_run import Counts, calibrate, check_on, default_candidate
from mmseg_clipsurgery.inference.postprocess import PostProcess
from mmseg_clipsurgery.vocabulary import Vocabulary

import pytest
import torch

CLASS_OF = torch.tensor([0, 0, 1, 2])
IGNORED = 255


def image(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits "7 9 4" about as far apart as cosines, and a truth with ignored pixels."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, 4, (7, 9), generator=generator)
    return torch.rand(7, 9, 4, generator=generator) * 0.1, truth.where(truth < 3, IGNORED)


def areas(labels: torch.Tensor, truth: torch.Tensor, classes: int) -> torch.Tensor:
    """Intersection, prediction, truth of each class, "k 3", counted one by one."""
    labels, truth = labels[truth != IGNORED], truth[truth != IGNORED]
    rows = [((labels == k) & (truth == k), labels == k, truth == k) for k in range(classes)]
    return torch.tensor([[int(mask.sum()) for mask in row] for row in rows])


@pytest.mark.parametrize('place', [0, 7, 33, 140, 259, 331, 450, 599])
def test_candidates_are_counted_as_the_predictor_labels(place):
    logits, truth = image()
    counts = calibration.background_counts(logits, truth, CLASS_OF, IGNORED)
    assert counts.shape == (len(calibration.CANDIDATES), 3, 3)
    setting = calibration.CANDIDATES[place]
    rule = PostProcess(CLASS_OF, setting['logit_scale'], setting['prob_thd'], setting['area_thd'])
    labels = rule.label_scores(rule.class_scores(logits).permute(2, 0, 1))
    assert torch.equal(counts[place], areas(labels, truth, 3))


@pytest.mark.parametrize('place', [0, 50, 100, 117, 300])
def test_one_word_is_counted_as_its_threshold_cuts(place):
    logits, truth = image()
    similarity, threshold = logits[..., 2:], calibration.THRESHOLDS[place]
    counts = calibration.one_word_counts(similarity, truth, torch.tensor([0, 1]), 1, IGNORED)
    for word in range(2):
        expected = areas(
            (similarity[..., word] > threshold).long(), (truth == word + 1).long().where(truth != 255, 255), 2
        )
        assert torch.equal(counts[place, word], expected[1])


def test_a_score_on_a_threshold_stays_and_a_similarity_on_one_does_not():
    best, labels = torch.tensor([[calibration.PROB_THDS[10]]]), torch.tensor([[1]])
    counts = calibration.areas_over_thresholds(best, labels, labels, 2, IGNORED)
    assert counts[:, 1, 0].tolist() == [1] * 11 + [0] * 9
    similarity = torch.full((1, 1, 1), calibration.THRESHOLDS[10])
    counts = calibration.one_word_counts(similarity, labels, torch.tensor([0]), 1, IGNORED)
    assert counts[:, 0, 0].sum() == 10


def counts_of(ious: list[list[int]]) -> torch.Tensor:
    """Areas "i s 1 3" of images (rows) whose settings reach so many of 10 pixels."""
    inter = torch.tensor(ious)
    return torch.stack([inter, inter, torch.full_like(inter, 10)], dim=-1)[:, :, None]


def test_gain_is_measured_on_images_held_out():
    gain = calibration.cross_validate(counts_of([[2, 8, 5], [2, 8, 5], [4, 8, 5]]), default=0)
    assert gain.best == 1
    assert gain.folds == 3
    assert gain.default == pytest.approx((20 + 20 + 40) / 3)
    assert gain.calibrated == pytest.approx(80)
    assert gain.spread == pytest.approx(torch.tensor([60.0, 60, 40]).std().item())


def test_what_helps_only_where_it_was_chosen_is_not_kept():
    """Each image has a setting of its own: the best of the others is worthless on the one held out."""
    ious = [[5, 10, 0, 0], [5, 0, 10, 0], [5, 0, 0, 10]]
    assert (
        calibration.mean_ious(counts_of(ious).sum(0)).argmax() == 0
    )  # of all together the default is no worse
    pairs = [[1, 10, 0], [1, 0, 4]]
    gain = calibration.cross_validate(counts_of(pairs), default=0)
    assert gain.gain < 0
    assert gain.best == 0


def test_equal_figures_leave_the_default():
    gain = calibration.cross_validate(counts_of([[5, 5, 5]] * 7), default=2)
    assert (gain.best, gain.gain, gain.spread, gain.folds) == (2, 0.0, 0.0, 5)


def counted(seeds: int = 6) -> Counts:
    images = [image(seed) for seed in range(seeds)]
    return Counts(
        torch.stack([calibration.background_counts(*one, CLASS_OF, IGNORED) for one in images]),
        torch.stack(
            [
                calibration.one_word_counts(one[..., 2:], truth, torch.tensor([0, 1]), 1, IGNORED)
                for one, truth in images
            ]
        ),
    )


WORDS = Vocabulary.of([('background', ['sky', 'wall']), ('cat', ['cat']), ('dog', ['dog'])])


def test_a_calibration_is_what_the_file_gives_back(tmp_path):
    found = calibrate(counted(), WORDS, 'dev.txt', 'clip_surgery')
    found.write(tmp_path / 'new' / 'calibration.json')
    assert Calibration.read(tmp_path / 'new' / 'calibration.json') == found
    assert (found.images, found.source, found.classes) == (6, 'dev.txt', WORDS.classes)
    said = check_on(found, counted(3))
    assert said['images'] == 3
    assert set(said['background']) == {'default', 'calibrated'}


FILE = Calibration(
    10,
    'dev.txt',
    'clip_surgery',
    WORDS.classes,
    {'logit_scale': 20.0, 'area_thd': 0.0, 'prob_thd': 0.3},
    {'threshold': 0.1},
    {},
)


def test_settings_fit_the_words():
    assert FILE.settings_for(WORDS, 'clip_surgery') == {
        'logit_scale': 20.0,
        'area_thd': None,
        'prob_thd': 0.3,
    }
    assert FILE.settings_for(Vocabulary.read(['zebra']), 'clip_surgery') == {'threshold': 0.1}


REFUSED = {
    'other words': (
        FILE,
        ['background', 'cat'],
        'clip_surgery',
        'is of the words background, cat, dog, got background, cat;',
    ),
    'no background': (
        dataclasses.replace(FILE, background=None),
        WORDS,
        'clip_surgery',
        "with a first class 'background'",
    ),
    'another surgery': (FILE, WORDS, 'sclip', 'is of surgery clip_surgery, got sclip; calibrate it, too'),
}


@pytest.mark.parametrize(('file', 'words', 'surgery', 'message'), REFUSED.values(), ids=REFUSED.keys())
def test_other_words_and_surgeries_are_refused(file, words, surgery, message):
    with pytest.raises(ValueError, match=message):
        file.settings_for(Vocabulary.read(words), surgery)


def test_a_config_takes_the_file(tmp_path):
    path = str(tmp_path / 'calibration.json')
    FILE.write(path)
    given = dict(logit_scale=40, mode='whole', calibration=path)
    test_cfg, head = calibrated(given, None, WORDS, 'clip_surgery')
    note = {'images': 10, 'source': 'dev.txt'}
    assert test_cfg == dict(mode='whole', logit_scale=20.0, area_thd=None, prob_thd=0.3, calibration=note)
    assert head is None
    assert calibrated(test_cfg, head, WORDS, 'clip_surgery') == (test_cfg, head)  # done already
    test_cfg, head = calibrated(given, None, Vocabulary.read(['zebra']), dict(name='clip_surgery'))
    assert test_cfg == {**given, 'calibration': note}
    assert head == dict(type='SurgeryHead', threshold=0.1)
    with pytest.raises(ValueError, match=r'needs text_encoder\.vocabulary'):
        calibrated(given, None, None, 'clip_surgery')


def test_what_is_no_calibration_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='calibrate writes one'):
        Calibration.read(tmp_path / 'missing.json')
    (tmp_path / 'other.json').write_text('{"images": 3}')
    with pytest.raises(ValueError, match=r"other\.json is no calibration \(KeyError 'source'\)"):
        Calibration.read(tmp_path / 'other.json')


NO_CALIBRATION = {
    'a setting of another name': {'one_word': {'thresh': 0.1}},
    'a list of settings': {'one_word': [1]},
    'no settings': {'one_word': None},
    'a setting too few': {'background': {'logit_scale': 40}},
    'a number for settings': {'background': 5},
    'a string for a number': {'one_word': {'threshold': '0.1'}},
    'NaN': {'one_word': {'threshold': float('nan')}},
    'a number for names': {'classes': 5},
    'numbers for names': {'classes': [1, 2]},
    'a number for a name': {'surgery': 5},
}


@pytest.mark.parametrize('changes', NO_CALIBRATION.values(), ids=NO_CALIBRATION.keys())
def test_a_file_that_was_changed_is_refused(changes, tmp_path):
    write_json(tmp_path / 'a.json', {**dataclasses.asdict(FILE), **changes})
    with pytest.raises(ValueError, match=r'a\.json is no calibration'):
        Calibration.read(tmp_path / 'a.json')


def test_a_class_without_a_labelled_pixel_is_named():
    counts = counted(2)
    counts.one_word[:, :, 1, 2] = 0
    with pytest.raises(
        ValueError, match=r"class 'dog' has no labelled pixel in the 2 images; label images that show it"
    ):
        calibrate(counts, WORDS, 'dev.txt', 'clip_surgery')


def test_one_image_is_too_few():
    with pytest.raises(ValueError, match='got 1 labelled images; give two or more'):
        calibrate(counted(1), WORDS, 'dev.txt', 'clip_surgery')


def test_the_defaults_are_among_the_candidates():
    assert calibration.CANDIDATES[default_candidate()] == {
        'logit_scale': 40.0,
        'area_thd': 0.0,
        'prob_thd': 0.0,
    }
