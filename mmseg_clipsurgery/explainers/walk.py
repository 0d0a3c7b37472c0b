"""CLIP's own path over a batch of images, walked once and shared by all explainers of the batch.

Tokens that enter a block are kept; of q, k and v those of the latest block alone. Nothing here builds a graph, and no
weight is changed. What the class token reads in the last block is made for one token, not for all:

    A_j = softmax_j(s q_cls . k_j),   r = sum_j A_j v_j                                            of every head
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from ..attention import EVERY_TOKEN, Projections, softmax_weights
from ..dual_path import own_step
from ..new_path import Block
from ..structures import ImageTokens
from ..surgery import SURGERIES, Surgery

Grid = tuple[int, int]


class Tower(Protocol):
    """What explainers use of an image tower (`clip.tower.ImageTower`); the last four of those with a class token."""

    label: str
    title: str
    config: Mapping[str, Any]

    @property
    def has_class_token(self) -> bool: ...

    @property
    def blocks(self) -> Sequence[Block]: ...

    def grid_of(self, size: Grid) -> Grid: ...

    def check_images(self, images: Tensor) -> Tensor: ...

    def accepts(self, surgery: Surgery) -> Surgery: ...

    def read_many(
        self,
        images: Tensor,
        surgeries: Mapping[str, Surgery],
        class_token: bool = True,
        guide: Tensor | None = None,
    ) -> dict[str, ImageTokens]: ...

    def patch_embedding(self, images: Tensor, grid: Grid, position: str) -> Tensor: ...

    def to_joint(self, tokens: Tensor) -> Tensor: ...


class ClassRead(NamedTuple):
    """What the class token reads in a block.

    Attributes:
        p: the block's projections; its q is the class token's alone, "b a 1 e".
        weights: A, "b a 1 n", columns over all tokens.
        read: r, "b a 1 e".
    """

    p: Projections
    weights: Tensor
    read: Tensor


class Walk:
    """CLIP's own path over a batch of images, as far as it is asked for.

    Args:
        tower: the image tower.
        images: "b 3 H W", normalised.
        position: one of `surgery.POSITIONS`, for grids other than the trained one.
        guide: "b c h w", a second tower's features of the same images, for surgeries that read them.
        empty: "1 c", the empty string's embedding, for the single-text form of surgeries; None: several texts.

    Attributes:
        grid: (h, w) in patches.

    Raises:
        ValueError: see `ImageTower.check_images`.
    """

    def __init__(
        self,
        tower: Tower,
        images: Tensor,
        position: str = 'bicubic',
        guide: Tensor | None = None,
        empty: Tensor | None = None,
    ):
        self.tower, self.position, self.guide, self.empty = tower, position, guide, empty
        self.images = tower.check_images(images)
        self.grid = tower.grid_of((images.shape[2], images.shape[3]))
        self._entering: list[Tensor] = []
        self._latest: tuple[int, Projections] | None = None
        self._tokens: dict[Surgery, ImageTokens] = {}

    @cached_property
    def blocks(self) -> Sequence[Block]:
        """The tower's blocks. Raises ValueError for a tower without a class token."""
        check_class_token(self.tower)
        return self.tower.blocks

    @property
    def depth(self) -> int:
        """Number of blocks."""
        return len(self.blocks)

    def first_of(self, count: int | None) -> int:
        """Number, from 1, of the first of the last `count` blocks; None: of all.

        Raises:
            ValueError: the tower has not so many.
        """
        if count is not None and not 1 <= count <= self.depth:
            raise ValueError(
                f'this explainer reads the last {count} blocks, {self.tower.label} has {self.depth}; give fewer'
            )
        return 1 if count is None else self.depth - count + 1

    @torch.no_grad()
    def entering(self, number: int) -> Tensor:
        """The tokens "b n d" that enter the block of this number, counted from 1; class token first."""
        if not self._entering:
            check_class_token(self.tower)
            self._entering = [self.tower.patch_embedding(self.images, self.grid, self.position)]
        while len(self._entering) < number:
            at = len(self._entering)
            p, block = self.projections(at), self.blocks[at - 1]
            self._entering.append(own_step(block, self._entering[-1], p, SURGERIES['clip']))
        return self._entering[number - 1]

    @torch.no_grad()
    def projections(self, number: int) -> Projections:
        """q, k and v of the block of this number, of every token."""
        if self._latest is None or self._latest[0] != number:
            x = self.entering(number)
            self._latest = number, self.blocks[number - 1].project(x, self.grid)
        return self._latest[1]

    @cached_property
    def class_read(self) -> ClassRead:
        """What the class token reads in the last block."""
        with torch.no_grad():
            return class_read(self.blocks[-1], self.entering(self.depth), self.grid)

    def tokens(self, surgery: Surgery) -> ImageTokens:
        """The images' tokens under a surgery."""
        self.read([surgery])
        return self._tokens[surgery]

    @torch.no_grad()
    def read(self, surgeries: Iterable[Surgery]) -> None:
        """Read surgeries that were not read before, in one pass."""
        missing = [surgery for surgery in dict.fromkeys(surgeries) if surgery not in self._tokens]
        if missing:
            named = {str(place): surgery for place, surgery in enumerate(missing)}
            found = self.tower.read_many(self.images, named, guide=self.guide)
            self._tokens.update({surgery: found[name] for name, surgery in named.items()})


def class_read(block: Block, x: Tensor, grid: Grid, one_head: bool = False) -> ClassRead:
    """What the class token reads in a block that the tokens x "b n d" enter.

    Args:
        block, x, grid: the block, its tokens and their grid (h, w).
        one_head: q, k and v of all heads side by side make one head, as in Grad-ECLIP's released code.
    """
    p = block.project_parts(x, grid, 'kv')
    p = p._replace(q=block.class_query(p))
    p = merged(p) if one_head else p
    weights = softmax_weights(p.q, p.k, EVERY_TOKEN)
    return ClassRead(p, weights, weights @ p.v)


def merged(p: Projections) -> Projections:
    """Projections "b a n e" with all heads side by side as one, "b 1 n (a e)"."""
    q, k, v = (part.transpose(1, 2).flatten(2).unsqueeze(1) for part in (p.q, p.k, p.v))
    return p._replace(q=q, k=k, v=v)


def check_class_token(tower: Tower) -> None:
    """Refuse towers whose image embedding is no class token. Raises ValueError."""
    if not tower.has_class_token:
        raise ValueError(
            f'{tower.label} is {tower.title}, and this explainer reads the class token of a ViT; give such a ViT, or '
            "explain by a surgery, such as 'clip_surgery'"
        )
