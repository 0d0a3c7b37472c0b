"""Position tables and their resampling to another grid."""

import torch
import torch.nn.functional as F
from torch import Tensor

# Whether torch.export walks the code, with sizes that stand for any; torch before 2.7 does not tell.
is_exporting = getattr(torch.compiler, 'is_exporting', lambda: False)


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
    if position == 'bicubic_scale' and is_exporting():
        rows, columns = scaled_weights(trained, grid)
        image = torch.einsum('ncij,hi,wj->nchw', image, rows, columns)
    elif position == 'bicubic_scale':
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


def scaled_weights(trained: tuple[int, int], grid: tuple[int, int]) -> list[Tensor]:
    """Weights "h H" and "w W" of 'bicubic_scale' from a trained grid (H, W) to a grid (h, w), for exporters.

    They know no factor that depends on the size. At the trained size the table stays as it is.
    """
    sides = [torch.arange(side) for side in grid]
    sizes = [(side.amax(dim=0) + 1).float() for side in sides]
    resized = ((sizes[0] != trained[0]) | (sizes[1] != trained[1])).float()
    return [
        bicubic_weights((side + 0.5) * have / (size + 0.1 * resized) - 0.5, have)
        for side, size, have in zip(sides, sizes, trained, strict=True)
    ]


def bicubic_weights(places: Tensor, count: int) -> Tensor:
    """Weights "n count" of values at 0 to count - 1 for places "n" between them, by the cubic with a = -0.75.

    As `F.interpolate` has them: four neighbours, the outermost values going on beyond the ends.
    """
    taps = places.floor()[:, None] + torch.arange(-1, 3)
    d = (places[:, None] - taps).abs()
    near, far = (1.25 * d - 2.25) * d * d + 1, ((3.75 - 0.75 * d) * d - 6) * d + 3
    meets = taps.clamp(0, count - 1)[..., None] == torch.arange(count)
    return (torch.where(d <= 1, near, far)[..., None] * meets).sum(dim=1)
