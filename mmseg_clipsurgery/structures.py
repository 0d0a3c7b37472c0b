"""What flows between the parts, and the package's one legend of shapes.

b batch   n tokens   h w patch grid   d width   c joint embedding   q text queries   k classes
a attention heads   e head width   t texts   l text length   H W pixels          height before width, always
"""

from typing import NamedTuple

from torch import Tensor


class ImageTokens(NamedTuple):
    """One tower's read of a batch of images, in CLIP's joint space, not normalised.

    Attributes:
        cls_token: "b c", the class token of CLIP's own path; None where the caller asked for patches only.
        patch_tokens: "b c h w", the patch tokens of the side stream.
    """

    cls_token: Tensor | None
    patch_tokens: Tensor


class TextQueries(NamedTuple):
    """Embedded words. Every word (synonym) is one query; a class scores the maximum over its queries.

    Attributes:
        embeddings: "q c", L2-normalised.
        class_of: "q", int64, the class index of each query.
        empty: "1 c", the empty string through the same templates, L2-normalised, where a one-word vocabulary
            needs it (single-text form); else None.
        asked: "a", int64, places of the queries whose logits and maps are wanted, in order; None: all. What weighs
            queries against each other weighs all of them.
    """

    embeddings: Tensor
    class_of: Tensor
    empty: Tensor | None = None
    asked: Tensor | None = None
