"""What an explainer is, and many of them over one batch of images.

    from mmseg_clipsurgery import EXPLAINERS
    maps = EXPLAINERS['legrad'](tower, images, text)          images "b 3 H W", text "t c" at unit length -> "b t h w"

Maps are raw: on the patch grid, without stretch or up-sampling, and comparable within one explainer alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..similarity import Similarity
from ..surgery import POSITIONS, Surgery
from .gradients import check_differentiable
from .walk import Tower, Walk, check_class_token

Maps = Callable[[Walk, Tensor], Tensor]


@dataclass(frozen=True)
class Explainer:
    """One explainer.

    Args:
        title: for tables.
        maps: (walk over images, texts "t c" at unit length) -> "b t h w", or "b 1 h w" where `reads_text` is False.
        reads_text: whether its map depends on the text.
        differentiates: whether it takes gradients: then fp32 alone, and nothing compiled.
        position: one of `surgery.POSITIONS`: how the position table meets grids other than the trained one; for a
            surgery's map the surgery says it.
        surgery: whose tokens it compares; None: it reads CLIP's own path, class token and blocks.
        similarity: what it compares them by; for a surgery alone.
        compares: whether a text's map depends on the other texts, as in feature surgery.

    Raises:
        ValueError: an unknown position.
    """

    title: str
    maps: Maps
    reads_text: bool = True
    differentiates: bool = False
    position: str = 'bicubic'
    surgery: Surgery | None = None
    similarity: Similarity | None = None
    compares: bool = False

    def __post_init__(self) -> None:
        if self.position not in POSITIONS:
            raise ValueError(f'position must be one of {", ".join(POSITIONS)}, got {self.position!r}')

    def __call__(
        self,
        tower: Tower,
        images: Tensor,
        text: Tensor,
        empty: Tensor | None = None,
        guide: Tensor | None = None,
    ) -> Tensor:
        """Maps of a batch of images.

        Args:
            tower: an image tower; for most explainers a ViT with a class token.
            images: "b 3 H W", normalised.
            text: "t c", L2-normalised.
            empty: "1 c", the empty string's embedding, for feature surgery of a single text.
            guide: "b c h w", a second tower's features, for surgeries that read them.

        Returns:
            "b t h w" on the patch grid.

        Raises:
            ValueError: a tower or settings that it can't explain, or texts or images of another form.
        """
        return explain_together({'it': self}, tower, images, text, empty, guide)['it']


def explain_together(
    explainers: Mapping[str, Explainer],
    tower: Tower,
    images: Tensor,
    text: Tensor,
    empty: Tensor | None = None,
    guide: Tensor | None = None,
    asked: Tensor | None = None,
) -> dict[str, Tensor]:
    """Maps of many explainers, which share CLIP's path over the images.

    Args:
        explainers: by names of the caller's.
        tower, images, text, empty, guide: as `Explainer.__call__`.
        asked: "a", int64, places of the texts whose maps are wanted; None: all. Feature surgery compares all of them.

    Returns:
        Name -> "b t h w", or "b a h w".
    """
    for explainer in explainers.values():
        check_explainer(explainer, tower)
    check_text(text, tower)
    walks: dict[str, Walk] = {}
    for explainer in explainers.values():
        if explainer.position not in walks:
            walks[explainer.position] = Walk(tower, images, explainer.position, guide, empty)
    for position, walk in walks.items():
        rows = [row for row in explainers.values() if row.position == position]
        walk.read([row.surgery for row in rows if row.surgery is not None])
    return {name: maps_asked(row, walks[row.position], text, asked) for name, row in explainers.items()}


def maps_asked(explainer: Explainer, walk: Walk, text: Tensor, asked: Tensor | None) -> Tensor:
    """As `maps_of`, of the texts at these places "a" alone, whose maps alone are made unless texts are compared."""
    if asked is None:
        return maps_of(explainer, walk, text)
    if explainer.similarity in (None, 'cosine'):
        return maps_of(explainer, walk, text[asked])
    return maps_of(explainer, walk, text)[:, asked]


@torch.no_grad()
def maps_of(explainer: Explainer, walk: Walk, text: Tensor) -> Tensor:
    """One explainer's maps "b t h w", the same for every text where it reads none.

    Raises:
        ValueError: it gives maps of another shape.
    """
    maps = explainer.maps(walk, text).detach()
    wanted = (len(walk.images), len(text) if explainer.reads_text else 1)
    if maps.dim() != 4 or tuple(maps.shape[:2]) != wanted:
        raise ValueError(
            f'the explainer {explainer.title!r} must give maps "b t h w" that begin with {wanted}, got the shape '
            f'{tuple(maps.shape)}'
        )
    return maps.expand(-1, len(text), -1, -1)


def check_explainer(explainer: Explainer, tower: Tower) -> None:
    """Refuse a tower that an explainer can't read, and settings under which it takes no gradients.

    Raises:
        ValueError: says what to give instead.
    """
    if explainer.surgery is None:
        check_class_token(tower)
    else:
        tower.accepts(explainer.surgery)
    if explainer.differentiates:
        check_differentiable(tower)


def check_text(text: Tensor, tower: Tower) -> None:
    """Refuse texts that are not "t c", at least one, in the tower's joint space. Raises ValueError."""
    width = tower.config['embed_dim']
    if text.dim() != 2 or not len(text) or text.shape[1] != width or not text.is_floating_point():
        raise ValueError(
            f'text must be "t c", at least one L2-normalised embedding with c = {width}, got {text.dtype} of shape '
            f'{tuple(text.shape)}'
        )
