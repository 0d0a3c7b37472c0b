"""What is to be said beside a figure: that it is not of all images, that its settings were calibrated."""

from collections.abc import Mapping
from typing import Any

from ..datasets.mask_encodings import KNOWN
from ..scenes.spec import SCENES


def figure_note(result: Mapping[str, Any]) -> str | None:
    """What is to be said beside the figure of a run's result; None: nothing."""
    calibrated = result['protocol'].get('calibrated on')
    notes = [images_note(result), f'calibrated on {calibrated}' if calibrated else None]
    return '; '.join(note for note in notes if note) or None


def images_note(result: Mapping[str, Any]) -> str | None:
    """What is to be said of a result of more or fewer images than its data set has; None: it is of all.

    Args:
        result: of a run; a data set that is not known by its class may have any number.
    """
    stated = result['protocol']
    found, known = stated.get('images'), known_images(stated)
    if not known or found is None or found in known:
        return None
    return f'{found} of {known[0]} images' if found < known[0] else f'{found} images in place of {known[0]}'


def known_images(stated: Mapping[str, Any]) -> tuple[int, ...]:
    """The numbers of images that the evaluated split may have; () where nothing is known.

    Args:
        stated: the protocol of a result.
    """
    kind, split = stated.get('dataset'), str(stated.get('split'))
    if kind == 'ScenesDataset':
        return tuple(count for name, count in SCENES.items() if split.endswith(f'/{name}.txt'))
    return KNOWN[kind].images if kind in KNOWN else ()
