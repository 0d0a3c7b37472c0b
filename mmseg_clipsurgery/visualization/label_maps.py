"""Label maps as pictures: colours over the photo, rows of maps beside their photos, a key of the classes that occur.

Colours are RGB in [0, 255], one for each class; labels without a colour (the ignored one) leave the photo as it is.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from .figures import stack, table, title_size
from .legends import Colour, colour_key
from .panels import OPACITY, check_opacity, panel

MANY = 24  # classes: from so many on, the letters of a key are small
SMALL = 14  # pixels


def label_overlay(
    pixels: np.ndarray, labels: np.ndarray, colours: Sequence[Colour], opacity: float = OPACITY
) -> Image.Image:
    """A photo's panel, coloured by labels.

    Args:
        pixels: the photo, "H W 3" uint8.
        labels: "H W" integers, indices into `colours`; others leave their pixels as they are.
        colours: one for each class.
        opacity: of the colours, in [0, 1].

    Returns:
        An image of the size of `panel(pixels)`; borders between labels stay sharp.
    """
    shown = panel(pixels)
    resized = Image.fromarray(labels.astype(np.int32)).resize(shown.size, Image.Resampling.NEAREST)
    return coloured(shown, np.asarray(resized), colours, opacity)


def coloured(
    picture: Image.Image, labels: np.ndarray, colours: Sequence[Colour], opacity: float = OPACITY
) -> Image.Image:
    """As `label_overlay`, of a picture whose pixels have these labels "H W"."""
    lookup = np.asarray(colours, dtype=np.float32)
    has_colour = (labels >= 0) & (labels < len(lookup))
    own = np.asarray(picture, dtype=np.float32)
    opacity = check_opacity(opacity)
    mixed = (1 - opacity) * own + (opacity * lookup)[np.where(has_colour, labels, 0)]
    mixed[~has_colour] = own[~has_colour]
    return Image.fromarray(mixed.round().astype(np.uint8))


def label_figure(
    rows: Sequence[tuple[np.ndarray, Sequence[np.ndarray]]],
    titles: Sequence[str],
    classes: Sequence[str],
    colours: Sequence[Colour],
    opacity: float = OPACITY,
) -> Image.Image:
    """Photos at the left, their label maps beside them, and below a key of every class that occurs.

    Args:
        rows: of each photo its pixels "H W 3" uint8 and its label maps "H W".
        titles: of the columns, the photo's first.
        classes: names, by label.
        colours: one for each class.
        opacity: of the colours, in [0, 1].
    """
    panels = [
        ('', [panel(pixels), *(label_overlay(pixels, labels, colours, opacity) for labels in maps)])
        for pixels, maps in rows
    ]
    picture = table(panels, titles)
    drawn_maps = [labels for _, maps in rows for labels in maps]
    size = title_size(panels[0][1][0].width)
    return stack([picture, class_key(drawn_maps, classes, colours, picture.width, size)])


def class_key(
    maps: Sequence[np.ndarray],
    classes: Sequence[str],
    colours: Sequence[Colour],
    width: int,
    size: int,
) -> Image.Image:
    """Colours and names of the classes that occur in any of the maps, the largest area first.

    Args:
        maps: label maps "H W".
        classes: names, by label.
        colours: one for each class.
        width: of the key, in pixels.
        size: height of letters, in pixels; `SMALL` where there are `MANY` classes.
    """
    shown = classes_by_area(maps, len(classes))
    size = size if len(shown) < MANY else SMALL
    return colour_key([(classes[label], colours[label]) for label in shown], width, size)


def classes_by_area(maps: Sequence[np.ndarray], classes: int) -> list[int]:
    """Labels below `classes` that occur in any of the maps "H W", the largest area over all maps first."""
    area = np.zeros(classes, dtype=np.int64)
    for labels in maps:
        area += np.bincount(labels[(labels >= 0) & (labels < classes)].ravel(), minlength=classes)
    return [int(label) for label in np.argsort(-area, kind='stable') if area[label] > 0]
