"""What all towers of transformer blocks share: CLIP's path and the new paths beside it.

images -> tokens with positions -> blocks (`dual_path`) -> joint space
"""

from collections.abc import Sequence

from torch import Tensor

from ..attention import Projections
from ..dual_path import arrive, own_step, paths_of, projections_at
from ..methods.same_label import FeedbackRule
from ..new_path import Block
from ..structures import ImageTokens
from ..surgery import Surgery
from .tower import ImageTower
from .tower_inputs import check_guide


class TransformerTower(ImageTower):
    """A tower of transformer blocks; arguments as `ImageTower`.

    With `layer`, surgeries see a tower that ends with that block: the patches are read there, by the same final
    LayerNorm and projection. The image embedding is still that of the whole tower.

    Attributes:
        pools: whether the image embedding is pooled of all tokens, in place of a class token that is projected.
    """

    pools = False

    @property
    def blocks(self) -> Sequence[Block]:
        """All its blocks."""
        raise NotImplementedError

    @property
    def depth(self) -> int:
        return self.layer or len(self.blocks)

    def patch_embedding(self, images: Tensor, grid: tuple[int, int], position: str) -> Tensor:
        """Images "b 3 H W" -> tokens "b n d" before the first block, class token first."""
        raise NotImplementedError

    def to_joint(self, tokens: Tensor) -> Tensor:
        """Final LayerNorm and projection of tokens "... d" into the joint space, "... c"."""
        raise NotImplementedError

    def embedding(self, x: Tensor) -> Tensor:
        """The image embedding "b c" of the tokens "b n d" after the last block."""
        return self.to_joint(x[:, 0])

    def grid_of(self, size: tuple[int, int]) -> tuple[int, int]:
        return size[0] // self.patch, size[1] // self.patch

    def read_group(
        self,
        images: Tensor,
        surgeries: list[Surgery],
        grid: tuple[int, int],
        class_token: bool,
        guide: Tensor | None = None,
        feedbacks: Sequence[FeedbackRule | None] = (),
    ) -> list[ImageTokens]:
        blocks, depth = self.blocks, self.depth
        later = class_token and (self.pools or depth < len(blocks))
        carried = class_token and not later
        x = self.patch_embedding(images, grid, surgeries[0].position)
        arrival = arrive(blocks[:depth], x, grid, surgeries, carried, given(guide), own=later)
        found = [
            self.project_tokens(path.class_token, path.patches, path.grid)
            for path in paths_of(arrival, carried)
        ]
        if later:
            embedding = self.embedding(self.walked(arrival.after, blocks[depth:], grid, surgeries[0]))
            found = [tokens._replace(cls_token=embedding) for tokens in found]
        for index, feedback in enumerate(feedbacks):
            if feedback is not None:
                bias = feedback(images, found[index].patch_tokens, self.patch)
                again = self.project_tokens(None, arrival.read(index, bias), grid)
                found[index] = found[index]._replace(patch_tokens=again.patch_tokens)
        return found

    def walked(
        self, x: Tensor | None, blocks: Sequence[Block], grid: tuple[int, int], surgery: Surgery
    ) -> Tensor:
        """CLIP's own tokens "b n d" through the blocks after `layer`."""
        assert x is not None
        for block in blocks:
            x = own_step(block, x, block.project(x, grid), surgery)
        return x

    def projections(
        self, images: Tensor, surgery: Surgery, block: int = -1, guide: Tensor | None = None
    ) -> Projections:
        blocks = surgery.last_blocks or self.depth
        if not isinstance(block, int) or not -blocks <= block <= -1:
            raise ValueError(f'block counts from the end, -1 to -{blocks} under this surgery, got {block!r}')
        check_guide(guide, images, [surgery])
        grid = self.grid_of((images.shape[2], images.shape[3]))
        x = self.patch_embedding(images, grid, surgery.position)
        number = self.depth + block + 1
        return projections_at(self.blocks[: self.depth], x, grid, surgery, number, given(guide))

    def project_tokens(self, first: Tensor | None, patches: Tensor, grid: tuple[int, int]) -> ImageTokens:
        """Final LayerNorm and projection of the class token "b 1 d" and the patches "b n d"."""
        patch_tokens = self.to_joint(patches).transpose(1, 2).unflatten(2, grid)
        return ImageTokens(None if first is None else self.to_joint(first[:, 0]), patch_tokens)


def given(guide: Tensor | None) -> dict[str, Tensor]:
    """The traces that the caller gives."""
    return {} if guide is None else {'guide': guide}
