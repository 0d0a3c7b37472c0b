"""Pixels for a tower: the formula, and exactness in low precision."""

from types import SimpleNamespace

from mmseg_clipsurgery.inference.normalization import Statistics, normalize_image, tower_statistics

import pytest
import torch

TOWER = SimpleNamespace(mean=(0.5, 0.25, 0.125), std=(0.25, 0.5, 0.125))


def test_each_channel_has_its_own_mean_and_std():
    image = torch.tensor([0, 255, 51], dtype=torch.uint8)[:, None, None].expand(3, 2, 4)
    found = normalize_image(image, Statistics.of(**tower_statistics(TOWER)))
    expected = torch.tensor([(0 - 0.5) / 0.25, (1 - 0.25) / 0.5, (0.2 - 0.125) / 0.125])
    torch.testing.assert_close(found, expected[:, None, None].expand(3, 2, 4))
    assert found.dtype == torch.float32


@pytest.mark.parametrize('dtype', [torch.float64, torch.float16])
def test_floating_point_pixels(dtype):
    grey = torch.arange(0, 240, 10).reshape(3, 2, 4)
    statistics = Statistics.of(**tower_statistics(TOWER))
    assert torch.equal(normalize_image(grey.to(dtype), statistics), normalize_image(grey.byte(), statistics))


def test_statistics_are_in_grey_levels():
    assert tower_statistics(TOWER)['mean'] == [127.5, 63.75, 31.875]
