"""NUS-WIDE: a file a concept, one 0 or 1 a line -> one file, a line an image with the concepts it shows.

    ImageList/TestImagelist.txt                           actor\\0001_2124494179.jpg     107,859 lines
    Groundtruth/TrainTestLabels/Labels_clouds_Test.txt    0 or 1 for each of these lines; 81 such files
    -> labels_test.txt                                    actor/0001_2124494179.jpg <tab> clouds,sky

Images without any concept stay: they count for the precision of every concept. Images that are not there any more, of
which every copy of NUS-WIDE lacks some, are left out on request alone.

Source: Chua et al., NUS-WIDE: A Real-World Web Image Database from National University of Singapore (CIVR 2009).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...vocabulary import class_names, read_text

IMAGES = 'Flickr'
LABEL_FOLDERS = ('Groundtruth/TrainTestLabels', 'TrainTestLabels')  # the first that is there
CONCEPT_FILES = ('Concepts81.txt', 'ConceptsList/Concepts81.txt')
LAYOUT = 'give the folder of NUS-WIDE as docs/datasets.md shows it'


def nus_wide_lines(root: Path, split: str = 'Test', present: bool = False) -> tuple[list[str], int]:
    """The lines of the file of labels.

    Args:
        root: folder with `ImageList`, `Groundtruth` and `Flickr`.
        split: 'Test' or 'Train'.
        present: leave out the images that are not there.

    Returns:
        Lines, and how many images were left out.

    Raises:
        FileNotFoundError: a list, a concept's labels or an image is missing.
        ValueError: other concepts, or labels of another number of images.
    """
    check_concepts(root)
    images = read_images(root, split)
    concepts = np.array(class_names('nus_wide'))
    shown = np.stack([read_labels(root, concept, split, len(images)) for concept in concepts], axis=1)
    missing = np.array([not (root / IMAGES / image).is_file() for image in images])
    if missing.all() or (missing.any() and not present):
        first = images[int(missing.argmax())]
        raise FileNotFoundError(
            f'{missing.sum()} of {len(images)} images do not exist, such as {root / IMAGES / first}: get them, or '
            'leave them out with --present'
        )
    kept = np.flatnonzero(~missing)
    return [f'{images[place]}\t{",".join(concepts[shown[place]])}' for place in kept], int(missing.sum())


def check_concepts(root: Path) -> None:
    """Refuse a list of other concepts than the 81. Raises ValueError, or FileNotFoundError where there is no list."""
    path = first_there(root, CONCEPT_FILES)
    found = {line.strip() for line in read_text(path).splitlines() if line.strip()}
    if other := sorted(found ^ set(class_names('nus_wide'))):
        raise ValueError(f'{path} and the 81 concepts of NUS-WIDE differ in {other[0]!r}: {LAYOUT}')


def read_images(root: Path, split: str) -> list[str]:
    """Paths of the images of a split below `Flickr`. Raises FileNotFoundError, ValueError for an empty list."""
    path = first_there(root, [f'ImageList/{split}Imagelist.txt'])
    images = [line.strip().replace('\\', '/') for line in read_text(path).splitlines() if line.strip()]
    if not images:
        raise ValueError(f'{path} lists no image: {LAYOUT}')
    return images


def read_labels(root: Path, concept: str, split: str, count: int) -> np.ndarray:
    """Which images show a concept, "n" bool.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: another number of lines, or one that is neither 0 nor 1.
    """
    path = first_there(root, [f'{folder}/Labels_{concept}_{split}.txt' for folder in LABEL_FOLDERS])
    labels = np.array(read_text(path).split())
    if len(labels) != count:
        raise ValueError(f'{path} has {len(labels)} labels and {split}Imagelist.txt {count} images: {LAYOUT}')
    shows = labels == '1'
    if wrong := sorted(set(labels[~shows].tolist()) - {'0'}):
        raise ValueError(f'{path} holds the label {wrong[0]!r}, which is neither 0 nor 1: {LAYOUT}')
    return shows


def first_there(root: Path, names: Sequence[str]) -> Path:
    """The first of some files that exists. Raises FileNotFoundError where none does."""
    for name in names:
        if (root / name).is_file():
            return root / name
    raise FileNotFoundError(f'{root} has no {" or ".join(names)}: {LAYOUT}')
