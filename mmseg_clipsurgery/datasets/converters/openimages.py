"""Open Images V7, points: one row a point -> one line an image, with the points of each class that it shows.

    oidv7-val-annotations-point-labels.csv  ImageId,X,Y,Label,EstimatedYesNo and more: votes, source, TextLabel
    oidv7-class-descriptions.csv            LabelName,DisplayName
    -> points_validation.jsonl              {"image": "0001eeaf4aed83f9.jpg", "points": {"12": [[[x, y]], []]}}
    -> points_validation_classes.json       {"Tree": "Tree"}: the classes, in order, and the word of each

X and Y are shares of width and height. A point answers yes, no or unsure for one class; unsure ones are left out. As
the benchmark is used (GEM, LeGrad), a class counts in an image only where one of its points says yes; then its points
that say no count, too. Images and classes without a yes have nothing to measure, and are left out.

Source: Benenson and Ferrari, From colouring-in to pointillism (arXiv 2210.14142); the data set's download page.
"""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...vocabulary import read_text

POINTS, DESCRIPTIONS = 'oidv7-{}-annotations-point-labels.csv', 'oidv7-class-descriptions.csv'
SHORT = {'validation': 'val'}  # of splits, in the names of files
COLUMNS = ('ImageId', 'X', 'Y', 'Label', 'EstimatedYesNo')
ANSWERS = ('yes', 'no', 'unsure')
ADDRESS = 'https://storage.googleapis.com/openimages/v7/'
Points = dict[str, list[list[list[float]]]]  # class -> [those that say yes, those that say no], [x, y] each


def openimages_points(root: Path, split: str = 'validation') -> tuple[dict[str, str], list[str]]:
    """The classes and the points of a split.

    Args:
        root: folder with both CSV files.
        split: 'validation' or 'test'.

    Returns:
        Name -> word of each class in the order of their ids, and a line of JSON for each image.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: other columns, a row that is no point, a class without a name, or no point that says yes.
    """
    path = root / POINTS.format(SHORT.get(split, split))
    images: dict[str, Points] = defaultdict(lambda: defaultdict(lambda: [[], []]))
    texts: dict[str, str] = {}
    for image, label, answer, place, text in rows(path):
        images[image][label][answer].append(place)
        texts.setdefault(label, text)
    depicted = {
        image: {label: answers for label, answers in points.items() if answers[0]}
        for image, points in sorted(images.items())
    }
    labels = sorted({label for points in depicted.values() for label in points})
    if not labels:
        raise ValueError(f'no point of {path} says yes: is it the published file?')
    names = named(labels, descriptions(root / DESCRIPTIONS), texts)
    index = {label: str(place) for place, label in enumerate(labels)}
    lines = [
        json.dumps({'image': f'{image}.jpg', 'points': {index[label]: points[label] for label in points}})
        for image, points in depicted.items()
        if points
    ]
    return names, lines


def rows(path: Path) -> Iterator[tuple[str, str, int, list[float], str]]:
    """(image, class id, 0 yes or 1 no, [x, y], text of the class or '') of each point that is sure."""
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist: get it from {ADDRESS}{path.name}')
    with path.open(encoding='utf-8', newline='') as opened:
        reader = csv.DictReader(opened)
        if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
            raise ValueError(f'{path} has no column {missing[0]}: is it the published file?')
        for row in reader:
            answer = row['EstimatedYesNo']
            place = [share(row[name], path, reader.line_num) for name in ('X', 'Y')]
            if answer not in ANSWERS or not row['Label']:
                raise ValueError(
                    f'line {reader.line_num} of {path} says {answer!r} of the class {row["Label"]!r}, and not yes, no '
                    'or unsure of a class: is it the published file?'
                )
            if answer != 'unsure':
                yield row['ImageId'], row['Label'], int(answer == 'no'), place, row.get('TextLabel') or ''


def share(text: str, path: Path, line: int) -> float:
    """A coordinate in [0, 1]. Raises ValueError for anything else."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ValueError(
            f'line {line} of {path} has the coordinate {text!r} and shares of a side lie in 0..1: is it the published '
            'file?'
        )
    return value


def descriptions(path: Path) -> dict[str, str]:
    """Class id -> name. Raises FileNotFoundError."""
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist: get it from {ADDRESS}{path.name}')
    return {row[0]: row[1].strip() for row in csv.reader(read_text(path).splitlines()) if len(row) > 1}


def named(labels: list[str], described: Mapping[str, str], texts: Mapping[str, str]) -> dict[str, str]:
    """Name -> word of each class; classes of one word are named apart by their ids.

    Args:
        labels: ids of the classes, in order.
        described: class id -> name.
        texts: class id -> what the points themselves say, where there is no name.

    Raises:
        ValueError: a class has neither.
    """
    words = {label: described.get(label) or texts[label] for label in labels}
    if nameless := [label for label in labels if not words[label]]:
        raise ValueError(f'the class {nameless[0]} has no name in {DESCRIPTIONS}: get it from {ADDRESS}')
    first: dict[str, str] = {}
    for word in words.values():
        first.setdefault(word.lower(), word)  # words that CLIP's tokenizer reads alike are one word
    times = Counter(word.lower() for word in words.values())
    return {
        f'{word} ({label})' if times[word.lower()] > 1 else word: first[word.lower()]
        for label, word in words.items()
    }
