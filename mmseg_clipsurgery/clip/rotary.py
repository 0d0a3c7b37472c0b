"""Two-dimensional rotary positions of timm's towers: q and k of a patch are turned by where it lies.

Of a head's e channels, pairs (2i, 2i+1) are turned by an angle each, for i < e/4 by one coordinate of the patch and
beyond by the other:

    angle = place * temperature^(-i / (e/4)),   (a, b) -> (a cos - b sin, b cos + a sin)
    place = row or column / size of the grid * reference size + offset

so a grid of another size covers the same places as the reference. The class token is not turned.

Source: EVA-02 (arXiv 2303.11331) and Perception Encoder (arXiv 2504.13181), in the form of timm's `RotaryEmbeddingCat`.
"""

import torch
from torch import Tensor, nn

from .position_table import is_exporting

Grid = tuple[int, int]


def is_known(rope: nn.Module) -> bool:
    """Whether a timm tower's rotary positions are those above, not pixels, halves or learned frequencies."""
    plain = not rope.in_pixels and not getattr(rope, 'rotate_half', False)
    return type(rope).__name__ == 'RotaryEmbeddingCat' and plain


class Rotary:
    """Rotary positions by the settings of a timm tower's `rope`; keeps the last grid's angles.

    Args:
        rope: timm's module.
    """

    def __init__(self, rope: nn.Module):
        self.bands, self.temperature = rope.dim // 4, float(rope.temperature)
        self.reference, self.offset = rope.ref_feat_shape, float(rope.grid_offset)
        self.columns_first = rope.grid_indexing == 'xy'
        self.kept: dict[tuple, tuple[Tensor, Tensor]] = {}

    def turned(self, x: Tensor, grid: Grid, before: int) -> Tensor:
        """q or k "b a n e" of tokens on a grid, all but those before the patches turned."""
        sin, cos = self.tables(grid, x.device)
        first, patches = x[:, :, :before], x[:, :, before:]
        crossed = torch.stack([-patches[..., 1::2], patches[..., ::2]], dim=-1).flatten(-2)
        return torch.cat([first, (patches * cos + crossed * sin).to(x.dtype)], dim=2)

    def tables(self, grid: Grid, device: torch.device) -> tuple[Tensor, Tensor]:
        """Sines and cosines "h*w e" of a grid's angles, fp32."""
        if is_exporting():  # a grid of any size is no key
            angles = self.angles(grid, device)
            return angles.sin(), angles.cos()
        key = (*grid, device)
        if key not in self.kept:
            angles = self.angles(grid, device)
            self.kept = {key: (angles.sin(), angles.cos())}
        return self.kept[key]

    def angles(self, grid: Grid, device: torch.device) -> Tensor:
        """The angle of every channel at every patch of a grid, "h*w e"."""
        steps = torch.arange(self.bands, dtype=torch.float32, device=device) / self.bands
        frequencies = 1.0 / self.temperature**steps
        rows, columns = (
            self.places(size, None if self.reference is None else self.reference[axis], device)
            for axis, size in enumerate(grid)
        )
        both = torch.meshgrid(rows, columns, indexing='ij')
        places = torch.stack(both[::-1] if self.columns_first else both, dim=-1)
        angles = (places[..., None] * frequencies).flatten(-2).flatten(0, 1)
        return angles.repeat_interleave(2, dim=-1)

    def places(self, size: int, reference: int | None, device: torch.device) -> Tensor:
        """Coordinates along one side of a grid."""
        places = torch.arange(size, dtype=torch.float32, device=device) + self.offset
        return places if reference is None else places / size * reference
