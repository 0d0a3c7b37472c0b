"""Captions of scenes, and the merges file that makes open_clip's `SimpleTokenizer` small.

A caption names every object and every ground of its scene, each object's tint with a given probability, in one of a few
forms ("a red fish and a car on grass", "grass, car, red fish").

The merges are byte-pair merges learnt from the words of those captions until each is one token: 512 byte tokens,
some hundred merges, start and end of text (the end has the highest id, which CLIP's text tower pools at). The file is
in the tokenizer's format: gzip, one header line, one merge a line, no line end after the last.
"""

import gzip
import itertools
from collections import Counter
from pathlib import Path

from . import spec
from .draw import Scene

CONTEXT_LENGTH = 24  # tokens, start and end included

_FORMS = (
    '{things} on {grounds}',
    'a photo of {things} on {grounds}',
    '{grounds} with {things}',
    '{list}',
    '{list}',
)
_JOINERS = ('a', 'photo', 'of', 'on', 'with', 'and', 'the', ',', '.')


def caption(scene: Scene, random, tint_probability: float = 0.5) -> str:
    """A caption of the scene, of at most 19 tokens.

    Args:
        scene: what it describes.
        random: a RandomState.
        tint_probability: that an object's tint is named, for each object.
    """
    things = [
        f'{tint} {name}' if random.random_sample() < tint_probability else name
        for name, tint in scene.objects
    ]
    things, grounds = _shuffled(random, things), _shuffled(random, scene.grounds)
    if not things:
        return ' and '.join(grounds)
    form = _FORMS[int(random.random_sample() * len(_FORMS))]
    return form.format(
        things=' and '.join('a ' + thing for thing in things),
        grounds=' and '.join(grounds),
        list=', '.join(_shuffled(random, things + grounds)),
    )


def vocabulary_size() -> int:
    """Number of token ids of a tokenizer made from `merges()`."""
    return 512 + len(merges()) + 2


def merges() -> list[tuple[str, str]]:
    """Merges in order of rank: always the most frequent neighbours of the word list, ties in alphabetical order."""
    words = sorted({*_JOINERS, *spec.CLASSES, *spec.TINTS})
    spelled = [[*word[:-1], word[-1] + '</w>'] for word in words]
    learnt: list[tuple[str, str]] = []
    while any(len(word) > 1 for word in spelled):
        pairs = Counter(pair for word in spelled for pair in itertools.pairwise(word))
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        learnt.append(best)
        spelled = [_merged(word, best) for word in spelled]
    return learnt


def write_merges(path: str | Path) -> None:
    """Write the merges file; the same bytes each time."""
    text = '\n'.join(['#scenes merges', *(' '.join(pair) for pair in merges())])
    Path(path).write_bytes(gzip.compress(text.encode(), mtime=0))


def _merged(word: list[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    for part in word:
        if merged and (merged[-1], part) == pair:
            merged[-1] += part
        else:
            merged.append(part)
    return merged


def _shuffled(random, items) -> list[str]:
    """A new order from `random_sample` alone, whose stream is frozen."""
    return [item for _, item in sorted(zip(random.random_sample(len(items)), items, strict=True))]
