"""What tests ask about: the CLIP that is judged, and subjects, each an image, one word it holds and the mask.

Images are those that CLIP sees: resized so that they cover the trained size, centre crop; masks are cropped alike. Each
image gives one subject, its word drawn by the seed among the classes of its mask; the background has no word.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..clip.tower import ImageTower
from ..environment.numbers import check_count
from ..inference.calibration_run import LabelledImage
from ..similarity import class_maximum, normalize
from ..structures import TextQueries
from ..vocabulary import Vocabulary

SCORES = ('cosine', 'probability')


class Settings(NamedTuple):
    """What decides a test's figures, beside model and data.

    Attributes:
        seed: of all that is drawn.
        steps: K of deletion and insertion.
    """

    seed: int = 0
    steps: int = 12


class Subject(NamedTuple):
    """An image and a class of its mask.

    Attributes:
        image: "3 H W", normalised, at the tower's trained size.
        inside: "H W" bool, the pixels of the class.
        counts: "H W" bool, the pixels that are not ignored.
        label: the class.
        present: all classes of the mask that have words.
    """

    image: Tensor
    inside: Tensor
    counts: Tensor
    label: int
    present: frozenset[int]


@dataclass(frozen=True, eq=False)
class JudgedCLIP:
    """The CLIP whose scores are to be explained, with the words of a data set.

    Args:
        tower: its image tower; scores are those of its own path, whatever surgery it has.
        vocabulary: the classes.
        queries: their words, embedded.
        embed: texts -> "t c", L2-normalised, through the same templates.
        logit_scale: what CLIP multiplies cosines by before its softmax.
    """

    tower: ImageTower
    vocabulary: Vocabulary
    queries: TextQueries
    embed: Callable[[Sequence[str]], Tensor]
    logit_scale: float

    @property
    def labels(self) -> range:
        """The classes that have maps: all but the background."""
        return range(int(self.vocabulary.has_background), self.vocabulary.num_classes)

    @property
    def size(self) -> tuple[int, int]:
        """The trained size (H, W) in pixels."""
        height, width = self.tower.trained_grid
        return height * self.tower.patch, width * self.tower.patch

    @torch.no_grad()
    def scores(self, images: Tensor) -> Tensor:
        """The scores `SCORES` of every class, "b 2 k": cosine of the class token, and its softmax over the classes.

        A class with several words has the cosine of the nearest.
        """
        token = self.tower(images, surgery='clip').cls_token
        assert token is not None
        cosines = normalize(token.float()) @ self.queries.embeddings.mT
        cosines = class_maximum(cosines, self.queries.class_of, self.vocabulary.num_classes)
        return torch.stack([cosines, (self.logit_scale * cosines).softmax(dim=-1)], dim=1)

    def scores_of(self, label: int) -> Callable[[Tensor], Tensor]:
        """Images "b 3 H W" -> the scores of one class, "b 2"."""
        return lambda images: self.scores(images)[:, :, label]


def draw_subjects(
    clip: JudgedCLIP, images: Iterable[LabelledImage], count: int, seed: int, ignored: int = 255
) -> list[Subject]:
    """The first subjects of some images.

    Args:
        clip: whose size and words count.
        images: in the order in which they are tried; one whose crop holds no class with a word beside other pixels
            gives none.
        count: how many are wanted; fewer where the images end.
        seed: of the words.
        ignored: label that doesn't count.

    Raises:
        ValueError: no image gives one.
    """
    check_count('images', count)
    found: list[Subject] = []
    draws = random.Random(f'words {seed}')
    for image, _, truth in images:
        subject = subject_of(clip, *cropped(image, truth, clip.size), ignored, draws)
        if subject is not None:
            found.append(subject)
        if len(found) == count:
            break
    if not found:
        raise ValueError(
            'no image holds a class with a word beside other pixels; check the words and the labels'
        )
    return found


def subject_of(
    clip: JudgedCLIP, image: Tensor, truth: Tensor, ignored: int, draws: random.Random
) -> Subject | None:
    """The subject of an image "3 H W" and its labels "H W"; None: no class has a word and leaves pixels over."""
    counts = truth != ignored
    areas = {label: int((truth == label).sum()) for label in clip.labels}
    present = frozenset(label for label, area in areas.items() if area)
    eligible = sorted(label for label in present if areas[label] < int(counts.sum()))
    if not eligible:
        return None
    label = draws.choice(eligible)
    return Subject(image, truth == label, counts, label, present)


def cropped(image: Tensor, truth: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """An image "3 h w" and its labels "H W" as CLIP sees them: covering a size, the centre of it."""
    parts = []
    for pixels, mode in ((image[None], 'bicubic'), (truth[None, None].float(), 'nearest-exact')):
        height, width = pixels.shape[2:]
        scale = max(size[0] / height, size[1] / width)
        fitted = max(round(height * scale), size[0]), max(round(width * scale), size[1])
        if fitted != (height, width):
            smooth = {'antialias': True} if mode == 'bicubic' else {}
            pixels = F.interpolate(pixels, fitted, mode=mode, **smooth)
        top, left = (fitted[0] - size[0]) // 2, (fitted[1] - size[1]) // 2
        parts.append(pixels[0, :, top : top + size[0], left : left + size[1]])
    return parts[0], parts[1][0].long()
