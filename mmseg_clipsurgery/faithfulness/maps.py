"""Maps of a few classes of one image by many explainers, as every test asks for them.

Feature surgery compares all words of the vocabulary; every other explainer is given the wanted classes' words alone,
whose maps do not depend on others. A class with several words has the maximum of their maps.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..clip.tower import ImageTower
from ..explainers.explainer import Explainer, explain_together
from ..similarity import class_maximum
from .subjects import JudgedCLIP


def class_maps(
    clip: JudgedCLIP,
    explainers: Mapping[str, Explainer],
    image: Tensor,
    labels: Sequence[int],
    texts: Tensor | None = None,
    tower: ImageTower | None = None,
) -> dict[str, Tensor]:
    """Maps of classes, then of further texts.

    Args:
        clip: whose words and tower.
        explainers: by names of the caller's.
        image: "3 H W".
        labels: the classes.
        texts: "t c", L2-normalised, beside the vocabulary's.
        tower: in place of the CLIP's own.

    Returns:
        Name -> "(labels + t) h w" on the patch grid.

    Raises:
        ValueError: an explainer that the tower does not fit, or whose maps hold NaN.
    """
    queries = clip.queries
    text = queries.embeddings if texts is None else torch.cat([queries.embeddings, texts])
    total = len(labels) + len(text) - len(queries.embeddings)
    place = places(clip, labels, total)
    found: dict[str, Tensor] = {}
    for comparing in (True, False):
        rows = {name: row for name, row in explainers.items() if compares_words(row) == comparing}
        kept = place >= 0 if comparing else place < total
        maps = (
            explain_together(rows, tower or clip.tower, image[None], text[kept], queries.empty)
            if rows
            else {}
        )
        for name, by_text in maps.items():
            by_class = class_maximum(by_text[0].movedim(0, -1), place[kept], total + 1)
            found[name] = finite(name, by_class[..., :total].movedim(-1, 0))
    return {name: found[name] for name in explainers}


def places(clip: JudgedCLIP, labels: Sequence[int], total: int) -> Tensor:
    """Which map each text belongs to, "q+t": the words of the wanted classes, then the further texts.

    Args:
        clip: whose words.
        labels: the wanted classes.
        total: number of maps; also the place of words that are not wanted.
    """
    device = clip.queries.class_of.device
    of_class = torch.full((clip.vocabulary.num_classes,), total, device=device)
    of_class[list(labels)] = torch.arange(len(labels), device=device)
    return torch.cat([of_class[clip.queries.class_of], torch.arange(len(labels), total, device=device)])


def finite(name: str, maps: Tensor) -> Tensor:
    """The maps of an explainer. Raises ValueError where one holds NaN or infinity."""
    if not maps.isfinite().all():
        raise ValueError(f'the explainer {name} gives maps with NaN or infinity; check it')
    return maps


def compares_words(explainer: Explainer) -> bool:
    """Whether a word's map depends on the other words: feature surgery's."""
    return explainer.similarity not in (None, 'cosine')


def at_size(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps "k h w" -> "k H W", bilinear."""
    return F.interpolate(maps[None].float(), size, mode='bilinear')[0]
