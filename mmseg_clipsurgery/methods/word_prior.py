"""Words and the whole image: RF-CLIP's text side, after the class token of an image is known.

    sim      = g T^T                               g: class token of the whole image, T: queries; all of length 1
    clusters : complete linkage of the queries by cosine distance, cut at height h; made once
    T_i     <- norm( (1 - shift) T_i + shift norm(mean of the 2 patches nearest to T_i) )
               for the query of every cluster that has its largest sim; the others stay
    logits   = (1 - share) f T^T + share sim                   f: patches

So every patch gets the image-level score too.

Source: RF-CLIP (arXiv 2511.16170) as released, after CASS (2411.17150). The authors call share and shift
global_semantics_weight and mean_vector_weight; 2 is the number of patches in their code.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..structures import ImageTokens, TextQueries

NEAREST = 2  # patches


def prior_logits(
    tokens: ImageTokens,
    queries: TextQueries,
    share: float,
    clusters: Tensor | None = None,
    shift: float = 0.0,
) -> Tensor:
    """Similarity of every patch with every query, with what the whole image says; in fp32 also under autocast.

    Args:
        tokens: patch tokens "b c h w" and class tokens "b c" of the whole images, not normalised.
        queries: embeddings "q c", L2-normalised.
        share: weight of the whole image, in [0, 1].
        clusters: "q", from `complete_linkage`; None: no query moves.
        shift: how far the likeliest query of each cluster moves, in [0, 1].

    Returns:
        "b q h w", fp32.
    """
    assert tokens.cls_token is not None
    grid = tokens.patch_tokens.shape[2:]
    with torch.autocast(tokens.patch_tokens.device.type, enabled=False):
        text = queries.embeddings.float()
        patches = F.normalize(tokens.patch_tokens.float().flatten(2).mT, dim=-1)
        similarity = F.normalize(tokens.cls_token.float(), dim=-1) @ text.mT
        if clusters is not None:
            text = shifted_queries(text, patches, similarity, clusters, shift)
        logits = global_logits(patches, text, similarity, share)
    return logits.mT.unflatten(2, grid)


def complete_linkage(queries: Tensor, height: float) -> Tensor:
    """Clusters of queries no two of which are farther apart than a height.

    Args:
        queries: "q c", L2-normalised.
        height: cosine distance, in [0, 2].

    Returns:
        "q" int64: cluster of each query, numbered from 0 in the order of their first queries.
    """
    unit = queries.double().cpu()
    distances = 1 - unit @ unit.mT
    distances.fill_diagonal_(float('inf'))
    members = torch.arange(len(queries))
    while len(queries) > 1:
        first, second = divmod(int(distances.argmin()), len(queries))
        if distances[first, second] > height:
            break
        first, second = min(first, second), max(first, second)
        farther = torch.maximum(distances[first], distances[second])
        distances[first], distances[:, first] = farther, farther
        distances[second], distances[:, second] = float('inf'), float('inf')
        distances[first, first] = float('inf')
        members[members == second] = first
    return members.unique(return_inverse=True)[1].to(queries.device)


def shifted_queries(
    queries: Tensor, patches: Tensor, similarity: Tensor, clusters: Tensor, shift: float
) -> Tensor:
    """Queries of which the likeliest of each cluster moves towards the image's patches.

    Args:
        queries: "q c", L2-normalised.
        patches: "b n c", L2-normalised.
        similarity: "b q", of the whole image to each query.
        clusters: "q", from `complete_linkage`.
        shift: how far, in [0, 1].

    Returns:
        "b q c", L2-normalised.
    """
    nearest = (patches @ queries.mT).topk(min(NEAREST, patches.shape[1]), dim=1).indices
    chosen = patches.gather(1, nearest.flatten(1)[:, :, None].expand(-1, -1, patches.shape[2]))
    centre = F.normalize(chosen.unflatten(1, nearest.shape[1:]).mean(dim=1), dim=-1)
    moved = F.normalize((1 - shift) * queries + shift * centre, dim=-1)
    best = cluster_best(similarity, clusters)
    return torch.where(best[:, :, None], moved, queries)


def cluster_best(similarity: Tensor, clusters: Tensor) -> Tensor:
    """Which queries are the likeliest of their cluster, the first of equals: "b q" -> "b q", bool."""
    inside = clusters == torch.arange(int(clusters.max()) + 1, device=clusters.device)[:, None]
    scores = similarity[:, None].masked_fill(~inside, float('-inf'))
    best = scores.argmax(dim=-1)
    return torch.zeros_like(similarity, dtype=torch.bool).scatter(1, best, True)


def global_logits(patches: Tensor, queries: Tensor, similarity: Tensor, share: float) -> Tensor:
    """Cosines mixed with the whole image's.

    Args:
        patches: "b n c", L2-normalised.
        queries: "b q c" or "q c", L2-normalised.
        similarity: "b q", of the whole image to each query.
        share: weight of the whole image, in [0, 1].

    Returns:
        "b n q".
    """
    return (1 - share) * patches @ queries.mT + share * similarity[:, None]
