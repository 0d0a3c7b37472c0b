"""Maps of single texts: against the empty string, or told from other words."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..similarity import grid_logits
from ..structures import ImageTokens, TextQueries
from ..vocabulary import Vocabulary


def text_maps(
    tokens: ImageTokens, texts: Sequence[str], among: Vocabulary | None, embedded: Mapping[str, Tensor]
) -> Tensor:
    """Similarity of each text: against the empty string, or by feature surgery among other words.

    Args:
        tokens: patch tokens "1 c h w".
        texts: what is looked for.
        among: the other words, or None.
        embedded: of every text and word, or of every text and the empty string, "c".

    Returns:
        "t h w".
    """
    if among is None:
        return against_empty(tokens, torch.stack([embedded[text] for text in texts]), embedded[''][None])
    words = [*texts, *(word for word in among.queries if word not in texts)]
    rows = torch.stack([embedded[word] for word in words])
    queries = TextQueries(rows, torch.arange(len(words), device=rows.device))
    return grid_logits(tokens, queries, 'released')[0, : len(texts)]


def against_empty(tokens: ImageTokens, texts: Tensor, empty: Tensor) -> Tensor:
    """The single-text form of one photo.

    Args:
        tokens: patch tokens "1 c h w".
        texts: "t c", L2-normalised.
        empty: "1 c", the empty string, L2-normalised.

    Returns:
        "t h w".
    """
    queries = TextQueries(texts, torch.arange(len(texts), device=texts.device), empty)
    return grid_logits(tokens, queries)[0]
