"""The regions of a label map: a mask for each class that occurs, without the background."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

IGNORED = 255


def has_background(classes: Sequence[str]) -> bool:
    """Whether label 0 is the background, as its name says."""
    return classes[0].lower() == 'background'


def labels_of_photo(name: str, give: Callable[[], np.ndarray]) -> np.ndarray:
    """The labels "H W" of one of many photos.

    Args:
        name: of the photo, for messages.
        give: makes them when they are asked for.

    Raises:
        ValueError: it is no function without arguments, or gives no such array.
    """
    labels = give() if callable(give) else None
    if not isinstance(labels, np.ndarray) or labels.ndim != 2 or labels.dtype.kind not in 'iu':
        got = type(give if labels is None else labels).__name__
        raise ValueError(
            f'{name}: give a function without arguments that returns an array "H W" of integers, such as '
            f'lambda: result.labels, got {got}'
        )
    return labels


def regions(labels: np.ndarray, classes: Sequence[str]) -> Iterator[tuple[int, np.ndarray]]:
    """Masks of the classes that occur, in label order.

    Args:
        labels: "H W" integers; 255, which data sets ignore, belongs to no region.
        classes: names, by label; a first one named 'background' is no region.

    Yields:
        The label, and where it is: "H W" bool.

    Raises:
        ValueError: a label that numbers no class.
    """
    first = int(has_background(classes))
    for label in np.unique(labels).tolist():
        if label == IGNORED and label >= len(classes):
            continue
        if not 0 <= label < len(classes):
            raise ValueError(
                f'got the label {label} and {len(classes)} classes, from 0; give a name for each label'
            )
        if label >= first:
            yield label, labels == label
