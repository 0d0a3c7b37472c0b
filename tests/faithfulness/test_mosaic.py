"""Mosaics: groups, closed forms of the shares, and 1/4 for whatever does not read the text."""

import judged
from mmseg_clipsurgery.explainers.table import EXPLAINERS
from mmseg_clipsurgery.faithfulness.floors import FLOORS
from mmseg_clipsurgery.faithfulness.mosaic import groups, joined, mosaic, own_shares
from mmseg_clipsurgery.faithfulness.subjects import Settings

import pytest
import torch

CELL = torch.ones(3, 3)
PERFECT = torch.stack([torch.kron(torch.eye(4)[k].view(2, 2), CELL) for k in range(4)])
SHARES = {
    'perfect': (PERFECT, (1, 1)),
    'inverted': (-PERFECT, (0, 0)),
    'flat': (torch.full((4, 6, 6), 0.3), (0.25, 0.25)),
    'the next cell': (PERFECT.roll(1, 0), (0, 0)),
    'half in its cell': (PERFECT + PERFECT.roll(1, 0), (0.5, 0.5)),
}


@pytest.mark.parametrize(('maps', 'shares'), SHARES.values(), ids=SHARES.keys())
def test_shares(maps, shares):
    assert tuple(own_shares(maps).tolist()) == pytest.approx(shares)


def test_cells_are_in_reading_order():
    cells = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 1, 1)
    assert joined(cells)[0].tolist() == [[0, 1], [2, 3]]


def test_each_word_of_a_group_is_in_one_image_alone():
    found = groups(judged.subjects(), seed=0)
    assert len(found) == 5  # from each subject one
    for group in found:
        assert len({id(one) for one in group}) == 4
        for one in group:
            assert [one.label in other.present for other in group].count(True) == 1
    assert [[one.label for one in group] for group in found] == [
        [one.label for one in group] for group in groups(judged.subjects(), seed=0)
    ]


def test_images_that_do_not_go_together_are_an_error():
    same = [judged.subject(number, 1) for number in range(6)]
    with pytest.raises(ValueError, match=r'no four of 6 images hold four words .* leave the mosaic out'):
        groups(same, seed=0)


@pytest.mark.slow
def test_explainers_that_read_no_text_have_a_quarter():
    rows = {'centre': FLOORS['centre'], 'attention': EXPLAINERS['attention'], 'clip': EXPLAINERS['clip']}
    found: dict[str, list] = {name: [] for name in rows}
    for name, figures in mosaic(judged.clip(), rows, judged.subjects(), Settings()):
        found[name].append(figures)
    for name in ('centre', 'attention'):
        assert len(found[name]) == 5
        for figures in found[name]:
            assert figures == pytest.approx({'energy': 0.25, 'pointing': 0.25})
    assert any(abs(figures['energy'] - 0.25) > 1e-3 for figures in found['clip'])


def test_a_random_map_has_a_quarter_in_the_mean():
    draws = torch.rand(100, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    shares = torch.stack([own_shares(maps) for maps in draws]).mean(dim=0)
    assert shares.tolist() == pytest.approx([0.25, 0.25], abs=0.06)
