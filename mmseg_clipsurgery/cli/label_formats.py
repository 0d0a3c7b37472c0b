"""`--format`: the labels of `segment` in the formats of other tools, beside the label maps.

    palette          OUT/<name>_palette.png      a file a photo
    labelme          OUT/<name>_labelme.json     a file a photo
    coco             OUT/coco.json               a file a run, made of the label maps at its end
    label_studio     OUT/label_studio.json       a file a run, likewise

So a run that was stopped goes on with every format, and what it gives at last are the bytes of a run that was not.
With several surgeries, each name gets that of the surgery, as those of the label maps.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from ..api.results import Segmentation
    from .files import Photo, ResultFiles

LABEL_MAP = 'labels.png'
FORMATS_OF_PHOTO = ('palette', 'labelme')
FORMATS_OF_RUN = ('coco', 'label_studio')
FORMATS = (*FORMATS_OF_PHOTO, *FORMATS_OF_RUN)

FilesOfPhoto = dict[str, 'Callable[[Segmentation, Path, Path], None]']


def files_of_photo(formats: Sequence[str]) -> FilesOfPhoto:
    """The label map, and the formats of a file a photo: ending -> what writes (result, path, the photo's path).

    Args:
        formats: of `FORMATS`.
    """
    files: FilesOfPhoto = {LABEL_MAP: lambda result, path, photo: result.save_labels(path)}
    if 'palette' in formats:
        files['palette.png'] = lambda result, path, photo: result.save_palette(path)
    if 'labelme' in formats:
        files['labelme.json'] = lambda result, path, photo: result.save_labelme(path, photo)
    return files


def check_formats(formats: Sequence[str], classes: int) -> None:
    """Find out before the first photo what a format can't do.

    Raises:
        ValueError: more classes than it holds.
        ImportError: its library is not installed; with the remedy.
    """
    from ..api.formats.coco import import_mask_tools
    from ..api.formats.palette import check_palette

    if 'palette' in formats:
        check_palette(classes)
    if 'coco' in formats:
        import_mask_tools()


def write_run(
    formats: Sequence[str], classes: Sequence[str], photos: 'Sequence[Photo]', places: 'ResultFiles'
) -> None:
    """Write the files of a run, one for each surgery, from the label maps of the photos.

    Args:
        formats: of `FORMATS_OF_RUN`.
        classes: names, by label.
        photos: all of the run.
        places: where their label maps lie.
    """
    from ..api.formats.coco import write_coco
    from ..api.formats.label_studio import write_label_studio

    writers = {'coco': write_coco, 'label_studio': write_label_studio}
    for surgery in places.surgeries:
        kind = places.of_surgery(LABEL_MAP, surgery)
        maps = {photo.relative: partial(read_labels, places.path(photo, kind)) for photo in photos}
        for name in formats:
            writers[name](places.out / places.of_surgery(f'{name}.json', surgery), maps, classes)


def read_labels(path: Path) -> 'np.ndarray':
    """A label map, "H W"."""
    import numpy as np

    from ..inference.image_formats import open_image

    with open_image(path) as image:
        return np.asarray(image)
