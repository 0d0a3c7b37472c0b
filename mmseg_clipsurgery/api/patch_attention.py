"""Where a chosen patch looks: one row of the affinity A of a surgery, averaged over heads.

`affinities.Affinity.weights` gives A; the class token's column is left out, and a row that sums to 2 (`qq+kk`) is
halved, so that what remains of 1 goes to the class token. For `last_blocks=0` it is CLIP's own attention; of a
surgery that reads the last block several times, the first reading's.
Source: the query maps of CLIP Surgery (arXiv 2304.05653, figure 2).
"""

from torch import Tensor

from ..affinities import AFFINITIES
from ..clip.tower import ImageTower
from ..surgery import Surgery


def patch_attention(
    tower: ImageTower, image: Tensor, patch: tuple[int, int], block: int = -1, surgery: Surgery | None = None
) -> Tensor:
    """How much one patch takes from each patch, under a surgery.

    Args:
        tower: the image tower.
        image: "1 3 H W", normalised.
        patch: (row, column) on the grid of patches.
        block: which block, from the end: -1 is the last. A ResNet has its pool alone.
        surgery: in place of the tower's own.

    Returns:
        "h w" on the patch grid, not negative, sums to at most 1 (the rest goes to the class token).

    Raises:
        ValueError: a patch outside the grid, a block that the tower does not have or the surgery does not read, or
            an affinity without weights.
    """
    row = tower.surgery if surgery is None else tower.accepts(surgery)
    name = row.affinities()[0]
    weights = AFFINITIES[name].weights
    if weights is None:
        raise ValueError(f'the affinity {name!r} has no weights, so there is no map of them; give it some')
    p = tower.projections(tower.check_images(image), row, block)
    (height, width), (y, x) = p.grid, patch
    if not (0 <= y < height and 0 <= x < width):
        raise ValueError(f'patch {tuple(patch)} lies outside the grid of {height} rows and {width} columns')
    token = p.before + y * width + x
    attended = weights(p, slice(token, token + 1)).mean(dim=1)[0, 0]
    total = attended.sum()
    return (attended / total if total > 1.5 else attended)[p.patches].unflatten(0, p.grid).float()
