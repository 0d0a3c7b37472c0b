"""A tiny CLIP that is judged, of five classes of which 'b' has two words, and subjects of noise with half masks."""

import hashlib
from collections.abc import Sequence

import tiny
from mmseg_clipsurgery.faithfulness.subjects import JudgedCLIP, Subject
from mmseg_clipsurgery.similarity import normalize
from mmseg_clipsurgery.structures import TextQueries
from mmseg_clipsurgery.vocabulary import Vocabulary

import torch
from torch import Tensor

ARCH = tiny.changed(tiny.SMALL, vision_cfg={'image_size': 16})  # a grid of 4 x 4
VOCABULARY = Vocabulary.of([('a', ['a']), ('b', ['b', 'bee']), ('c', ['c']), ('d', ['d']), ('e', ['e'])])


def embed(words: Sequence[str]) -> Tensor:
    """Texts -> "t c", unit length, by their letters alone."""
    seeds = [int(hashlib.sha256(word.encode()).hexdigest()[:6], 16) for word in words]
    return normalize(torch.cat([tiny.images(1, ARCH['embed_dim'], seed=seed) for seed in seeds]))


def clip(vocabulary: Vocabulary = VOCABULARY, tower=None) -> JudgedCLIP:
    queries = TextQueries(embed(vocabulary.queries), torch.tensor(vocabulary.class_of))
    return JudgedCLIP(tower or tiny.vit('clip', ARCH), vocabulary, queries, embed, 100.0)


def subject(number: int, label: int, *others: int) -> Subject:
    """Noise of 16 x 16 whose left half is of a class; all pixels count."""
    inside = torch.zeros(16, 16, dtype=torch.bool)
    inside[:, :8] = True
    image = tiny.images(1, 3, 16, 16, seed=number)[0]
    return Subject(image, inside, torch.ones_like(inside), label, frozenset({label, *others}))


def subjects() -> list[Subject]:
    """Four, of which each holds one class alone, and one that holds two."""
    return [*(subject(label, label) for label in range(4)), subject(4, 4, 0)]
