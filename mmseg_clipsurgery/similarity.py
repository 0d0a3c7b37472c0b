"""Similarity of image tokens and texts, plain and after feature surgery.

With F the L2-normalised image tokens (F_0 the class token, F_i a patch) and T the L2-normalised texts of
k classes:

    cosine        cos_ik = <F_i, T_k>
    weights       w_k = softmax_k(2 <F_0, T_k>) / its mean over k          one set per image
    paper         S_ik = cos_ik - mean_j(w_j cos_ij)
    released      S_ik = w_k cos_ik - mean_j(w_j cos_ij)
    single text   S_ik = <F_i, T_k - T_empty>

Which labels a surgery leaves alone:

    paper         all of them: the same number leaves every class of a patch, argmax over k is cosine's
    released      not these: w_k scales the classes against each other, argmax over k may change
    single text   not these: <F_i, T_empty> is common to all k, so argmax over k is cosine's, but the label of
                  a single word is a comparison of S_i with a threshold, and S_i is no cosine

So label maps come from plain cosine; feature surgery is for heat maps, multi-label scores and points. `grid_logits`
is where a similarity is chosen by its name.

Source: Li et al., CLIP Surgery (arXiv 2304.05653; Pattern Recognition 162, 2025), the section on feature
surgery, and the authors' public code for the released form. Deliberate differences: the published code builds
the products of all channels, a (b, n, k, c) tensor, and mixes up the weights of a batch; summing over c first
gives the lines above, needs (b, n, k) and treats every image by itself.
"""

from typing import Literal, get_args

import torch
from torch import Tensor

from .structures import ImageTokens, TextQueries

SurgeryForm = Literal['paper', 'released']
Similarity = Literal['cosine', 'paper', 'released']
SIMILARITIES = get_args(Similarity)

CLASS_SHARPNESS = 2.0  # the factor before the softmax that gives the class weights


def grid_logits(tokens: ImageTokens, queries: TextQueries, similarity: Similarity = 'cosine') -> Tensor:
    """Similarity of every patch with every query, in fp32 also under autocast: logits are multiplied by 40 and more.

    Args:
        tokens: patch tokens "b c h w", not normalised; class tokens "b c" where feature surgery is asked for.
        queries: embeddings "q c", L2-normalised; with `empty`, the single-text form is used.
        similarity: 'cosine', or a form of feature surgery, 'paper' or 'released'.

    Returns:
        "b q h w", fp32.

    Raises:
        ValueError: unknown similarity, or feature surgery without class tokens.
    """
    check_similarity(similarity)
    grid = tokens.patch_tokens.shape[2:]
    with torch.autocast(tokens.patch_tokens.device.type, enabled=False):
        logits = _patch_logits(tokens, queries, similarity)
    return logits.transpose(1, 2).unflatten(2, grid)


def check_similarity(similarity: str) -> None:
    """Refuse a name that `grid_logits` does not know, with a ValueError."""
    if similarity not in SIMILARITIES:
        raise ValueError(f'similarity must be one of {", ".join(SIMILARITIES)}, got {similarity!r}')


def _patch_logits(tokens: ImageTokens, queries: TextQueries, similarity: Similarity) -> Tensor:
    """As `grid_logits`, patches in a row: "b n q"."""
    patches = tokens.patch_tokens.float().flatten(2).transpose(1, 2)
    text = queries.embeddings.float()
    if queries.empty is not None:
        return single_text_surgery(normalize(patches), text, queries.empty.float())
    if similarity == 'cosine':
        return cosine(patches, text)
    if tokens.cls_token is None:
        raise ValueError(f'similarity={similarity!r} needs class tokens, got tokens without them')
    return feature_surgery(normalize(tokens.cls_token.float()), normalize(patches), text, similarity)


def normalize(tokens: Tensor) -> Tensor:
    """Tokens "... c" at unit length along c; a zero token stays zero."""
    length = tokens.norm(dim=-1, keepdim=True)
    return tokens / length.clamp_min(torch.finfo(tokens.dtype).tiny)


def cosine(tokens: Tensor, text: Tensor) -> Tensor:
    """Cosine of every token with every text.

    Args:
        tokens: "... n c", of any length (normalised here).
        text: "k c", of any length (normalised here).

    Returns:
        "... n k" in [-1, 1].
    """
    _check_text(text, width=tokens.shape[-1])
    return normalize(tokens) @ normalize(text).mT


def class_weights(cls: Tensor, text: Tensor) -> Tensor:
    """How obvious each class is in each image: w of the formulas above.

    Args:
        cls: class tokens "b c", L2-normalised.
        text: "k c", L2-normalised.

    Returns:
        "b k", positive, mean 1 over k.
    """
    _check_text(text, width=cls.shape[-1])
    probability = (CLASS_SHARPNESS * (cls @ text.mT)).softmax(dim=-1)
    return probability * len(text)  # a softmax over k has the mean 1 / k


def feature_surgery(cls: Tensor, patches: Tensor, text: Tensor, form: SurgeryForm = 'paper') -> Tensor:
    """Similarity without what all classes share; the module's docstring says which labels stay.

    With one class nothing is left to compare: the result is zero. `single_text_surgery` is made for that.

    Args:
        cls: class tokens "b c", L2-normalised; they only set the weights.
        patches: "b n c", L2-normalised. Any token may be among them, the class token too.
        text: "k c", L2-normalised.
        form: 'paper' subtracts the redundant part from the cosine, 'released' from the weighted cosine.

    Returns:
        "b n k".

    Raises:
        ValueError: unknown form, or shapes that don't fit each other.
    """
    if form not in get_args(SurgeryForm):
        raise ValueError(f'feature surgery has the forms {get_args(SurgeryForm)}, got {form!r}')
    _check_patches(patches, text)
    if cls.shape != (patches.shape[0], patches.shape[2]):
        raise ValueError(
            f'cls must be "b c" = {(patches.shape[0], patches.shape[2])} to fit the patches, '
            f'got {tuple(cls.shape)}'
        )
    similarity = patches @ text.mT
    weighted = similarity * class_weights(cls, text).unsqueeze(1)
    redundant = weighted.mean(dim=-1, keepdim=True)
    return (similarity if form == 'paper' else weighted) - redundant


def single_text_surgery(patches: Tensor, text: Tensor, empty: Tensor) -> Tensor:
    """Similarity of each text by itself, without what the empty string has in common with it.

    Args:
        patches: "b n c", L2-normalised. Any token may be among them, the class token too.
        text: "k c", L2-normalised; each text is treated alone.
        empty: "1 c", the empty string through the same templates, L2-normalised. The difference to it is
            not normalised again.

    Returns:
        "b n k".

    Raises:
        ValueError: shapes that don't fit each other.
    """
    _check_patches(patches, text)
    if empty.shape != (1, text.shape[1]):
        raise ValueError(
            f'empty must be "1 c" = {(1, text.shape[1])}, one embedding of the empty string, '
            f'got {tuple(empty.shape)}'
        )
    return patches @ (text - empty).mT


def class_maximum(values: Tensor, class_of: Tensor, num_classes: int) -> Tensor:
    """The maximum over each class's queries: "... q" -> "... k"."""
    index = class_of.expand_as(values)
    out = values.new_full((*values.shape[:-1], num_classes), float('-inf'))
    return out.scatter_reduce_(-1, index, values, 'amax')


def _check_patches(patches: Tensor, text: Tensor) -> None:
    if patches.dim() != 3:
        raise ValueError(f'patches must be "b n c", got the shape {tuple(patches.shape)}')
    _check_text(text, width=patches.shape[-1])


def _check_text(text: Tensor, width: int) -> None:
    if text.dim() != 2 or len(text) == 0 or text.shape[1] != width:
        raise ValueError(
            f'text must be "k c" with at least one text and c = {width} as the image tokens have, '
            f'got {tuple(text.shape)}'
        )
