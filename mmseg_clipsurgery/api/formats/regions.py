"""The regions of a label map: a mask for each class that occurs, without the background."""

from collections.abc import Iterator, Sequence

import numpy as np


def has_background(classes: Sequence[str]) -> bool:
    """Whether label 0 is the background, as its name says."""
    return classes[0].lower() == 'background'


def regions(labels: np.ndarray, classes: Sequence[str]) -> Iterator[tuple[int, np.ndarray]]:
    """Masks of the classes that occur, in label order.

    Args:
        labels: "H W" integers; those that number no class belong to no region.
        classes: names, by label; a first one named 'background' is no region.

    Yields:
        The label, and where it is: "H W" bool.
    """
    first = int(has_background(classes))
    for label in np.unique(labels).tolist():
        if first <= label < len(classes):
            yield label, labels == label
