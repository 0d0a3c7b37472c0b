"""Similarity maps under a surgery as explanations: the cosine of every patch, or feature surgery's similarity.

`clip_surgery` is the cosine under the surgery of that name, `clip_surgery:released` its feature surgery. Raw CLIP is
`clip`; `rclip` is raw CLIP reversed: CLIP's own maps are upside down (the background is nearer to a word than its
object is), and turning their sign is the plainest remedy (ECLIP, arXiv 2209.07046, names it RCLIP).
"""

from torch import Tensor

from ..similarity import Similarity, grid_logits
from ..structures import TextQueries
from ..surgery import Surgery
from .walk import Walk


def surgery_map(walk: Walk, text: Tensor, surgery: Surgery, similarity: Similarity = 'cosine') -> Tensor:
    """Similarity of every patch with every text under a surgery.

    Args:
        walk: of the images; its own path is not needed.
        text: "t c", L2-normalised.
        surgery: one that the tower accepts.
        similarity: 'cosine', or a form of feature surgery; a single text is then compared with the empty string.

    Returns:
        "b t h w", fp32.
    """
    empty = None if similarity == 'cosine' else walk.empty
    queries = TextQueries(text, text.new_zeros(len(text)).long(), empty)
    return grid_logits(walk.tokens(surgery), queries, similarity)


def reversed_map(walk: Walk, text: Tensor, surgery: Surgery) -> Tensor:
    """The cosines of a surgery with their sign turned, "b t h w"."""
    return -surgery_map(walk, text, surgery)
