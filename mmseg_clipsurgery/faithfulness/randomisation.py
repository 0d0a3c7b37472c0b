"""Weight randomisation: does the map change as the weights are drawn anew, from the output down?

    each tensor is drawn from a normal with its own mean and standard deviation
    randomisation    stage after stage, those before stay drawn (the cascade)
    one_stage        each stage alone, all others stay trained
    rho, SSIM        of the map with that of the trained weights
    floor            rho of two maps whose weights were drawn independently

A map that stays as it was does not read the weights. About 0 is to be expected, not 0: positions and image edges stay
until the last stage, which is what the floor shows. Text embeddings stay those of the trained model.

Source: Adebayo et al., Sanity checks for saliency maps (arXiv 1810.03292), cascading and independent randomisation;
ranks are those of the signed map.
"""

import copy
import zlib
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from ..explainers.explainer import Explainer
from .agreement import spearman, ssim
from .maps import class_maps
from .subjects import JudgedCLIP, Settings, Subject


def randomisation(
    clip: JudgedCLIP, explainers: Mapping[str, Explainer], subjects: Sequence[Subject], settings: Settings
) -> Iterator[tuple[str, dict[str, float]]]:
    """The cascade, for every subject and explainer.

    Args:
        clip: whose tower is copied; it stays as it is.
        explainers, subjects: as for `deletion`.
        settings: the seed; each subject has two draws of its own, so that means over subjects are means over draws.

    Yields:
        Of each subject, stage and explainer: the explainer's name, and 'STAGE rho', 'STAGE SSIM' and 'STAGE floor',
        stages from the output down.
    """
    for number, subject in enumerate(subjects):
        before = class_maps(clip, explainers, subject.image, [subject.label])
        towers = [copy.deepcopy(clip.tower), copy.deepcopy(clip.tower)]
        for stage in clip.tower.stages:
            drawn = []
            for draw, tower in enumerate(towers):
                redraw(tower.stages[stage], f'{settings.seed} {number} {stage} {draw}')
                drawn.append(class_maps(clip, explainers, subject.image, [subject.label], tower=tower))
            for name in explainers:
                yield name, stage_figures(stage, before[name][0], drawn[0][name][0], drawn[1][name][0])


def one_stage(
    clip: JudgedCLIP, explainers: Mapping[str, Explainer], subjects: Sequence[Subject], settings: Settings
) -> Iterator[tuple[str, dict[str, float]]]:
    """Each stage alone, for every subject and explainer.

    Args:
        clip, explainers, subjects, settings: as for `randomisation`; the draws are the cascade's first.

    Yields:
        Of each subject, stage and explainer: the explainer's name, and 'STAGE rho' and 'STAGE SSIM'.
    """
    for number, subject in enumerate(subjects):
        before = class_maps(clip, explainers, subject.image, [subject.label])
        for stage in clip.tower.stages:
            tower = copy.deepcopy(clip.tower)
            redraw(tower.stages[stage], f'{settings.seed} {number} {stage} 0')
            maps = class_maps(clip, explainers, subject.image, [subject.label], tower=tower)
            for name, (drawn,) in maps.items():
                (trained,) = before[name]
                yield name, {f'{stage} rho': spearman(trained, drawn), f'{stage} SSIM': ssim(trained, drawn)}


def stage_figures(stage: str, before: Tensor, first: Tensor, second: Tensor) -> dict[str, float]:
    """Figures of one stage: the map "h w" of the trained weights, and those of two draws."""
    return {
        f'{stage} rho': (spearman(before, first) + spearman(before, second)) / 2,
        f'{stage} SSIM': (ssim(before, first) + ssim(before, second)) / 2,
        f'{stage} floor': spearman(first, second),
    }


@torch.no_grad()
def redraw(weights: Sequence[nn.Parameter], seed: str) -> None:
    """Draw each tensor from a normal with its own mean and standard deviation; a single number stays."""
    generator = torch.Generator().manual_seed(zlib.crc32(seed.encode()))
    for weight in weights:
        values = weight.float()
        noise = torch.randn(weight.shape, generator=generator).to(weight.device)
        weight.copy_(values.mean() + values.std(correction=0) * noise)
