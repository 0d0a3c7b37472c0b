"""Mosaic pointing: four images in one, four words, each in one image alone: which cell does each map point at?

    energy    share of m' (the map stretched to [0, 1]) that lies in the word's cell          a flat map: 1/4
    pointing  share of the map's highest pixels that lie in it                                a flat map: 1/4

Every image stands in every cell once, so that a place that is always bright wins nothing: a map that ignores the text
has exactly 1/4 in both. No mask is needed. Images are resized to half their height and width.

Source: Focus (Arias-Duart et al., arXiv 2109.15035) and the grid pointing game (Boehle et al., arXiv 2104.00032).
"""

import random
from collections.abc import Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..explain import unit_range
from ..explainers.explainer import Explainer
from .maps import at_size, class_maps
from .subjects import JudgedCLIP, Settings, Subject

CELLS = 4  # in reading order


def mosaic(
    clip: JudgedCLIP, explainers: Mapping[str, Explainer], subjects: Sequence[Subject], settings: Settings
) -> Iterator[tuple[str, dict[str, float]]]:
    """Mosaics that begin with each subject that finds three others.

    Args:
        clip, explainers, subjects: as for `deletion`.
        settings: the seed of the groups.

    Yields:
        Of each mosaic and explainer: the explainer's name, and 'energy' and 'pointing', means over the four words and
        the four places of each image.

    Raises:
        ValueError: no four subjects go together, or the trained size can't be halved.
    """
    height, width = clip.size
    if height % 2 or width % 2:
        raise ValueError(f'a mosaic halves the trained size, got {height} x {width}; leave this test out')
    for group in groups(subjects, settings.seed):
        halves = F.interpolate(
            torch.stack([one.image for one in group]),
            (height // 2, width // 2),
            mode='bilinear',
            antialias=True,
        )
        labels = [one.label for one in group]
        totals = {name: torch.zeros(2, dtype=torch.float64) for name in explainers}
        for turn in range(CELLS):
            order = [(turn + place) % CELLS for place in range(CELLS)]  # of each cell, whose image it holds
            maps = class_maps(clip, explainers, joined(halves[order]), [labels[one] for one in order])
            for name, found in maps.items():
                totals[name] += own_shares(at_size(found, (height, width))).cpu() / CELLS
        for name, (energy, pointing) in totals.items():
            yield name, {'energy': float(energy), 'pointing': float(pointing)}


def groups(subjects: Sequence[Subject], seed: int) -> list[list[Subject]]:
    """For each subject three others, each word in one of the four images alone; subjects without are left out.

    Raises:
        ValueError: there is no such group.
    """
    draws, found = random.Random(f'mosaic {seed}'), []
    for first in subjects:
        group = [first]
        for other in draws.sample(list(subjects), len(subjects)):
            if len(group) < CELLS and all(apart(other, one) for one in group):
                group.append(other)
        if len(group) == CELLS:
            found.append(group)
    if not found:
        raise ValueError(
            f'no four of {len(subjects)} images hold four words of which each is in one image alone; give more images, '
            'or leave the mosaic out'
        )
    return found


def apart(first: Subject, second: Subject) -> bool:
    """Whether neither image holds the other's word."""
    return first.label not in second.present and second.label not in first.present


def joined(cells: Tensor) -> Tensor:
    """Four images "4 3 h w" in reading order -> "3 2h 2w"."""
    return torch.cat([torch.cat(list(row), dim=-1) for row in cells.split(2)], dim=-2)


def own_shares(maps: Tensor) -> Tensor:
    """Energy and pointing, "2": means over maps "4 H W", the k-th of the word whose image is in the k-th cell."""
    stretched = unit_range(maps.double())
    total = stretched.sum(dim=(1, 2))
    highest = (maps == maps.amax(dim=(1, 2), keepdim=True)).double()
    energy = torch.where(total > 0, own_cells(stretched) / total.clamp_min(1e-12), 1 / CELLS)
    pointing = own_cells(highest) / highest.sum(dim=(1, 2))
    return torch.stack([energy.mean(), pointing.mean()])


def own_cells(maps: Tensor) -> Tensor:
    """The sum of the k-th map "4 H W" over the k-th cell: "4"."""
    rows = [half.chunk(2, dim=2) for half in maps.chunk(2, dim=1)]
    cells = [cell for row in rows for cell in row]
    return torch.stack([cells[k][k].sum() for k in range(CELLS)])
