"""Words that a text tower can't tell apart: other strings, and the same tokens or the same embedding."""

from collections.abc import Hashable, Iterable, Iterator, Sequence

from torch import Tensor


def alike(
    words: Sequence[str], groups: Sequence[int] | None, marks: Iterable[Hashable]
) -> Iterator[list[str]]:
    """Pairs of other words, of different groups, that have the same mark; each word with the first of its mark.

    Args:
        words, groups: as `OpenCLIPTextEncoder.embed_words`.
        marks: one of each word.
    """
    seen: dict[Hashable, int] = {}
    for index, mark in enumerate(marks):
        other = seen.setdefault(mark, index)
        if words[other] != words[index] and (groups is None or groups[other] != groups[index]):
            yield [words[other], words[index]]


def refuse_twins(words: Sequence[str], groups: Sequence[int] | None, embeddings: Tensor) -> None:
    """Refuse different words with exactly the same embedding "q c". Raises ValueError."""
    rows = (row.tobytes() for row in embeddings.cpu().numpy())
    for pair in alike(words, groups, rows):
        raise ValueError(cannot_tell(pair, 'embeddings are the same'))


def cannot_tell(pair: Sequence[str], why: str) -> str:
    """The sentence about two words that would tie."""
    return (
        f'the text tower cannot tell {shortened(pair[0])!r} from {shortened(pair[1])!r}: their {why}; make them one '
        'class, or write one in other words'
    )


def shortened(text: str, most: int = 60) -> str:
    """A text for a message."""
    return text if len(text) <= most else f'{text[:most]}...'
