"""Position tables and their resampling to another grid."""

import torch
import torch.nn.functional as F
from torch import Tensor


def resize_position_table(
    table: Tensor, trained: tuple[int, int], grid: tuple[int, int], position: str, before: int = 1
) -> Tensor:
    """Fit a position table to another grid; the class token's row and the table itself stay as they are.

    Args:
        table: "1+n d", class token first, n = trained h * w, row by row.
        trained: its grid (h, w).
        grid: the new grid (h, w); equal to `trained`: the table is returned as it is.
        position: 'bilinear', 'bicubic' (as Hugging Face's and Grad-ECLIP's codes do) or 'bicubic_antialias' by size;
            'bicubic_scale' by the factor (grid + 0.1) / trained, as DINO's and SCLIP's codes do.
        before: rows before those of the patches: 1, the class token's, or 0.

    Returns:
        "1+h*w d".
    """
    if grid == trained:
        return table
    image = table[before:].float().T.unflatten(1, trained)[None]
    if position == 'bicubic_scale':
        factor = tuple((want + 0.1) / have for want, have in zip(grid, trained, strict=True))
        image = F.interpolate(image, scale_factor=factor, mode='bicubic', recompute_scale_factor=False)
    elif position == 'bicubic_antialias':
        # A CPU's torch (2.13) resizes to a single column wrongly, to a single row rightly.
        turned = grid[1] == 1
        image = image.mT if turned else image
        image = F.interpolate(image, size=grid[::-1] if turned else grid, mode='bicubic', antialias=True)
        image = image.mT if turned else image
    else:
        image = F.interpolate(image, size=grid, mode=position)
    return torch.cat([table[:before], image[0].flatten(1).T.to(table.dtype)])
