"""Subjects: crops, words, what gives none; maps of classes; the floors."""

import random

import judged
import tiny
from mmseg_clipsurgery.explainers.explainer import Explainer
from mmseg_clipsurgery.explainers.table import EXPLAINERS
from mmseg_clipsurgery.faithfulness.floors import FLOORS
from mmseg_clipsurgery.faithfulness.maps import class_maps
from mmseg_clipsurgery.faithfulness.subjects import cropped, draw_subjects, subject_of
from mmseg_clipsurgery.inference.calibration_run import LabelledImage
from mmseg_clipsurgery.vocabulary import Vocabulary

import pytest
import torch


def labelled(truth: torch.Tensor, seed: int = 0) -> LabelledImage:
    return LabelledImage(tiny.images(1, 3, 16, 16, seed=seed)[0], (16, 16), truth)


def halves(left: int, right: int) -> torch.Tensor:
    truth = torch.full((16, 16), right)
    truth[:, :8] = left
    return truth


def test_images_of_the_trained_size_stay_as_they_are():
    image, truth = tiny.images(1, 3, 16, 16)[0], halves(0, 3)
    found = cropped(image, truth, (16, 16))
    assert torch.equal(found[0], image)
    assert torch.equal(found[1], truth)


@pytest.mark.parametrize('size', [(16, 40), (40, 16), (37, 64), (8, 10)], ids=str)
def test_the_centre_is_cropped_and_the_mask_with_it(size):
    """An image that is its own mask: a bright square about the centre."""
    truth = torch.zeros(size, dtype=torch.long)
    middle = [slice(side // 2 - min(size) // 4, side // 2 + min(size) // 4) for side in size]
    truth[middle[0], middle[1]] = 1
    image, mask = cropped(truth.float().expand(3, -1, -1), truth, (16, 16))
    assert image.shape == (3, 16, 16)
    assert mask.shape == (16, 16)
    assert ((image[0] > 0.5) == (mask == 1)).float().mean() > 0.9
    assert mask.float().mean() == pytest.approx(0.25, abs=0.07)


def test_a_word_is_drawn_of_those_that_are_there():
    draws, clip = random.Random(0), judged.clip()
    found = [subject_of(clip, tiny.images(1, 3, 16, 16)[0], halves(1, 3), 255, draws) for _ in range(20)]
    assert {one.label for one in found} == {1, 3}
    assert {one.present for one in found} == {frozenset({1, 3})}
    assert all(torch.equal(one.inside, halves(1, 3) == one.label) for one in found)


NONE = {
    'a class that fills its image': halves(2, 2),
    'a class that fills what counts': halves(2, 255),
    'no class at all': halves(255, 255),
    'labels without a word': halves(77, 78),
}


@pytest.mark.parametrize('truth', NONE.values(), ids=NONE.keys())
def test_images_that_give_no_subject_are_passed_over(truth):
    clip = judged.clip()
    (found,) = draw_subjects(clip, [labelled(truth), labelled(halves(0, 1), 5)], 3, seed=0)
    assert torch.equal(found.image, tiny.images(1, 3, 16, 16, seed=5)[0])
    with pytest.raises(ValueError, match='no image holds a class with a word beside other pixels'):
        draw_subjects(clip, [labelled(truth)], 3, seed=0)


def test_the_background_has_no_word():
    clip = judged.clip(Vocabulary.of([('background', ['sky']), ('a', ['a']), ('b', ['b'])]))
    assert [*clip.labels] == [1, 2]
    (found,) = draw_subjects(clip, [labelled(halves(0, 1))], 1, seed=0)
    assert (found.label, found.present) == (1, frozenset({1}))


def test_no_more_than_asked_for_are_loaded():
    def images():
        yield labelled(halves(0, 1))
        raise AssertionError('one too many')

    assert len(draw_subjects(judged.clip(), images(), 1, seed=0)) == 1


@pytest.mark.parametrize('name', ['clip', 'clip:released', 'legrad', 'attention'])
def test_maps_are_those_of_the_whole_vocabulary(name):
    """Also where an explainer is given the wanted words alone; a class has the maximum of its words."""
    clip, image = judged.clip(), tiny.images(1, 3, 16, 16)
    text = torch.cat([clip.queries.embeddings, judged.embed(['zz'])])
    every = EXPLAINERS[name](clip.tower, image, text)[0]
    wanted = torch.stack([every[3], every[1:3].amax(dim=0), every[6]])  # of 'c', 'b', 'zz'
    found = class_maps(clip, {name: EXPLAINERS[name]}, image[0], [2, 1], judged.embed(['zz']))[name]
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-4)


def test_noise_belongs_to_image_and_text():
    clip, images = judged.clip(), tiny.images(2, 3, 16, 16)
    text = clip.queries.embeddings
    maps = FLOORS['random'](clip.tower, images, text)
    assert torch.equal(maps, FLOORS['random'](clip.tower, images + 1e-6, text * (1 + 1e-7)))
    assert torch.equal(maps[1:, 2:3], FLOORS['random'](clip.tower, images[1:], text[2:3]))
    assert len(maps.flatten(2).unique(dim=1)[0]) == len(text)
    assert not torch.equal(maps[0], maps[1])


def test_the_centre_is_highest_in_the_middle_and_alike_in_its_corners():
    found = FLOORS['centre'](judged.clip().tower, tiny.images(1, 3, 12, 20), judged.embed(['a']))[0, 0]
    assert found.shape == (3, 5)
    assert found.argmax() == 7
    assert len({round(float(found[i, j]), 6) for i in (0, -1) for j in (0, -1)}) == 1


def test_floors_work_on_resnets():
    tower = tiny.resnet('clip')
    text = judged.normalize(tiny.images(2, tower.config['embed_dim'], seed=3))
    for row in FLOORS.values():
        assert isinstance(row, Explainer)
        assert row(tower, tiny.images(1, 3, 64, 64), text).shape == (1, 2, 2, 2)
