"""Test pipelines whose predictions could not be put back onto the photo: refused by the name of the step.

A segmentor undoes a resize, a flip and mmcv's `Pad` behind them by what they note of the image (see `models.padding`).
Two resizes before `Pad` leave the notes of the last alone, and what cuts or turns an image leaves none.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

MOVES = re.compile(r'Pad|Crop|Letter|Rotate|Mosaic|Affine|Shear|Translate|Perspective')


def check_pipeline(pipeline: Sequence[Any]) -> None:
    """Refuse a pipeline whose geometry can't be undone.

    Args:
        pipeline: configs of its steps; test-time augmentation's alternatives are each looked at.

    Raises:
        ValueError: names the step, and what to do.
    """
    for way in ways(pipeline):
        names = [name_of(step) for step in way]
        for place, name in enumerate(names):
            before, after = names[:place], names[place + 1 :]
            if name == 'Pad':
                check_pad(before, after)
            elif MOVES.search(name):
                raise ValueError(
                    f'the step {name} of the test pipeline cuts, pads or turns images, and predictions could not '
                    'be put back onto the photo: leave it out, images of any size are taken'
                )


def check_pad(before: Sequence[str], after: Sequence[str]) -> None:
    """Refuse a `Pad` by the names of the steps around it."""
    resizes = [name for name in before if 'Resize' in name]
    moved = [name for name in after if 'Resize' in name]
    flips = [name for name in (*before, *after) if 'Flip' in name]
    wrong = (
        f'follows {" and ".join(resizes)}'
        if len(resizes) > 1 or 'ResizeToMultiple' in resizes
        else f'stands before {moved[0]}'
        if moved
        else f'is joined by {flips[0]}, and it is not noted which came first'
        if flips
        else 'stands behind LoadAnnotations, so masks are padded too'
        if any('Annotations' in name for name in before)
        else None
    )
    if wrong:
        raise ValueError(
            f'the step Pad of the test pipeline {wrong}: leave it out, images of any size are taken, or let it follow '
            'one Resize and stand before LoadAnnotations'
        )


def ways(pipeline: Sequence[Any]) -> Iterator[list[Mapping[str, Any]]]:
    """The steps that an image may go through, one list for each choice among the alternatives of `TestTimeAug`."""
    choices: list[list[list[Mapping[str, Any]]]] = []
    for step in pipeline:
        inner = step.get('transforms') if isinstance(step, Mapping) else None
        if inner and all(isinstance(group, list | tuple) for group in inner):
            choices += [[list(way) for one in group for way in ways([one])] or [[]] for group in inner]
        elif inner:
            choices.append([[step, *way] for way in ways(inner)])
        elif isinstance(step, Mapping):
            choices.append([[step]])
    for chosen in product(*choices):
        yield [step for part in chosen for step in part]


def name_of(step: Mapping[str, Any]) -> str:
    """Name of a step's class, which a config gives as a class, or as a name with or without a scope."""
    kind = step.get('type', '')
    return kind.__name__ if isinstance(kind, type) else str(kind).rpartition('.')[2]
