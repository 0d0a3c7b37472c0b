"""A miniature of each data set: a few small images in its real folders, with its real label encoding.

`make(name, root)` writes the files that the data set's evaluation reads and returns the folder for `--data-root`.
Labels cover the first and the last class, what is ignored, and what `reduce_zero_label` takes away. Those of
`PUBLISHED` are as their authors publish them, and are converted with `CONVERT`.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mmseg_clipsurgery.datasets.converters.imagenet_s import wordnet_ids
from mmseg_clipsurgery.vocabulary import class_names

import numpy as np
from PIL import Image

SIZES = ((36, 48), (40, 33))  # height, width of the two images


def make(name: str, root: Path) -> Path:
    """Write the miniature of a data set of the table; `name` as in protocols.json."""
    (MAKERS | PUBLISHED)[name](root)
    return root


def voc(root: Path) -> None:
    """Palette PNG: 0 background, 1..20, 255 at borders."""
    names = ['2007_000033', '2007_000042']
    for name, size in zip(names, SIZES, strict=True):
        photo(root / f'JPEGImages/{name}.jpg', size)
        palette(root / f'SegmentationClass/{name}.png', labels(size, 0, 1, 20, 255))
    split(root / 'ImageSets/Segmentation/val.txt', names)


def context(root: Path) -> None:
    """0 background, 1..59."""
    names = ['2008_000002', '2008_000003']
    for name, size in zip(names, SIZES, strict=True):
        photo(root / f'JPEGImages/{name}.jpg', size)
        mask(root / f'SegmentationClassContext/{name}.png', labels(size, 0, 1, 59))
        mask(root / f'SegmentationClassContext459/{name}.png', labels(size, 0, 255, 300, 458, 65535))
    split(root / 'ImageSets/SegmentationContext/val.txt', names)


def coco(root: Path) -> None:
    """Label ids 0..181, train ids 0..170 and COCO-Object's 0..80 beside each other; 255 is unlabelled in both ids."""
    for number, size in zip((139, 285), SIZES, strict=True):
        photo(root / f'images/val2017/{number:012}.jpg', size)
        stem = root / f'annotations/val2017/{number:012}'
        mask(Path(f'{stem}.png'), labels(size, 0, 89, 91, 181, 255))
        mask(Path(f'{stem}_labelTrainIds.png'), labels(size, 0, 79, 80, 170, 255))
        mask(Path(f'{stem}_instanceTrainIds.png'), labels(size, 1, 80, 0, 0, 0))


def ade20k(root: Path) -> None:
    """0 nothing, 1..150."""
    for number, size in enumerate(SIZES, start=1):
        photo(root / f'images/validation/ADE_val_{number:08}.jpg', size)
        mask(root / f'annotations/validation/ADE_val_{number:08}.png', labels(size, 0, 1, 150))


def ade20k_847(root: Path) -> None:
    """16 bits: 0..846, 65535."""
    for number, size in enumerate(SIZES, start=1):
        photo(root / f'images_847/validation/ADE_val_{number:08}.jpg', size)
        path = root / f'annotations_847/validation/ADE_val_{number:08}.png'
        mask(path, labels(size, 0, 255, 256, 846, 65535))


def cityscapes(root: Path) -> None:
    """A folder for each town; train ids 0..18, 255, beside label ids 0..33."""
    for town, size in zip(('frankfurt', 'munster'), SIZES, strict=True):
        stem = f'{town}/{town}_000000_000019'
        photo(root / f'leftImg8bit/val/{stem}_leftImg8bit.png', size)
        mask(root / f'gtFine/val/{stem}_gtFine_labelIds.png', labels(size, 7, 33, 0, 4))
        mask(root / f'gtFine/val/{stem}_gtFine_labelTrainIds.png', labels(size, 0, 18, 255))


def scenes(root: Path) -> None:
    """0..13, both splits."""
    for part in ('val', 'heldout'):
        names = [f'{part}_{number:04}' for number in range(2)]
        for name in names:
            photo(root / f'JPEGImages/{name}.png', SIZES[0])
            mask(root / f'SegmentationClass/{name}.png', labels(SIZES[0], 0, 7, 13))
        split(root / f'ImageSets/Segmentation/{part}.txt', names)


MAKERS: dict[str, Callable[[Path], None]] = {
    'voc21': voc,
    'voc20': voc,
    'context59': context,
    'context60': context,
    'context459': context,
    'coco_object': coco,
    'coco_stuff164k': coco,
    'ade20k': ade20k,
    'ade20k_847': ade20k_847,
    'cityscapes': cityscapes,
    'scenes': scenes,
    'scenes_heldout': scenes,
}


def imagenet_s(root: Path, classes: int) -> None:
    """Class numbers in colours: 0 all else, 1, the last, 1000 ignored; a folder for each class."""
    ids = wordnet_ids(classes)
    for number, (name, size) in enumerate(zip((ids[0], ids[-1]), SIZES, strict=True), start=1):
        stem = f'{name}/ILSVRC2012_val_{number:08}'
        photo(root / f'validation/{stem}.JPEG', size)
        colours(root / f'validation-segmentation/{stem}.png', labels(size, 0, (1, classes)[number - 1], 1000))


def colours(path: Path, numbers: np.ndarray) -> None:
    """A mask whose class numbers are R + 256 G."""
    numbers = numbers.astype(np.int64)
    save(path, np.stack([numbers % 256, numbers // 256, 0 * numbers], axis=-1).astype(np.uint8))


def coco_things(root: Path) -> None:
    """A person's polygon that holds a smaller toothbrush's, and a crowd of people; one image has no instance."""
    (height, width), names = SIZES[0], ('000000000139', '000000000285')
    for name, size in zip(names, SIZES, strict=True):
        photo(root / f'val2017/{name}.jpg', size)
    square, inner = [4, 4, 20, 4, 20, 20, 4, 20], [8, 8, 12, 8, 12, 12, 8, 12]
    crowd = dict(counts=[0, height, (width - 1) * height], size=[height, width])  # the first column
    things = [number for number in range(1, 91) if number not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)]
    content = dict(
        images=[
            dict(id=number, file_name=f'{name}.jpg', height=size[0], width=size[1])
            for number, name, size in zip((139, 285), names, SIZES, strict=True)
        ],
        annotations=[
            dict(id=1, image_id=139, category_id=90, segmentation=[inner], iscrowd=0),
            dict(id=2, image_id=139, category_id=1, segmentation=[square], iscrowd=0),
            dict(id=3, image_id=139, category_id=1, segmentation=crowd, iscrowd=1),
        ],
        categories=[
            dict(id=number, name=name)
            for number, name in zip(things, class_names('coco_object_names')[1:], strict=True)
        ],
    )
    text(root / 'annotations/instances_val2017.json', json.dumps(content))


def openimages_points(root: Path) -> None:
    """Two classes of one name, one that is unsure everywhere, one that no image shows; an image without a yes."""
    for name, size in zip(('0001eeaf4aed83f9', '000595fe6fee6369'), SIZES, strict=True):
        photo(root / f'validation/{name}.jpg', size)
    rows = [
        ('0001eeaf4aed83f9', 0.5, 0.25, '/m/07j7r', 'yes'),
        ('0001eeaf4aed83f9', 0, 1, '/m/07j7r', 'no'),
        ('0001eeaf4aed83f9', 1, 1, '/m/07j7r', 'unsure'),
        ('0001eeaf4aed83f9', 0.1, 0.1, '/m/0bt9lr', 'no'),
        ('0001eeaf4aed83f9', 0.1, 0.1, '/m/zz', 'unsure'),
        ('000595fe6fee6369', 0.99, 0.01, '/m/0crane', 'yes'),
        ('000595fe6fee6369', 0.3, 0.3, '/m/1crane', 'yes'),
        ('000595fe6fee6369', 0.3, 0.4, '/m/1crane', 'yes'),
        ('00075905539074f2', 0.3, 0.4, '/m/1crane', 'no'),
    ]
    head = 'ImageId,X,Y,Label,EstimatedYesNo,Source,YesVotes,NoVotes,UnsureVotes,TextLabel'
    lines = [','.join(map(str, (*row, 'cs', 3, 0, 0, ''))) for row in rows]
    text(root / 'oidv7-val-annotations-point-labels.csv', '\n'.join((head, *lines)))
    names = 'LabelName,DisplayName\n/m/07j7r,Tree\n/m/0bt9lr,Dog\n/m/0crane,Crane\n/m/1crane,crane\n/m/zz,"Bee, wild"\n'
    text(root / 'oidv7-class-descriptions.csv', names)


def nus_wide(root: Path) -> None:
    """Two images of two folders, one of which shows clouds and sky and one nothing."""
    names = ['actor/0001_2124494179.jpg', 'zoo/0002_174174086.jpg']
    for name, size in zip(names, SIZES, strict=True):
        photo(root / f'Flickr/{name}', size)
    text(root / 'ImageList/TestImagelist.txt', '\n'.join(name.replace('/', '\\') for name in names) + '\n')
    concepts = class_names('nus_wide')
    text(root / 'Concepts81.txt', '\n'.join(concepts) + '\n')
    for concept in concepts:
        shown = int(concept in ('clouds', 'sky'))
        text(root / f'Groundtruth/TrainTestLabels/Labels_{concept}_Test.txt', f'{shown}\n0\n')


PUBLISHED: dict[str, Callable[[Path], None]] = {
    'coco_things': coco_things,
    'imagenet_s50': partial(imagenet_s, classes=50),
    'imagenet_s300': partial(imagenet_s, classes=300),
    'imagenet_s919': partial(imagenet_s, classes=919),
    'openimages_points': openimages_points,
    'nus_wide': nus_wide,
}
CONVERT = {
    'coco_things': ['coco-things'],
    'imagenet_s50': ['imagenet-s', '--classes', '50'],
    'imagenet_s300': ['imagenet-s', '--classes', '300'],
    'imagenet_s919': ['imagenet-s', '--classes', '919'],
    'openimages_points': ['openimages'],
    'nus_wide': ['nus-wide'],
}  # command lines of `convert`, without the folder


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def photo(path: Path, size: tuple[int, int]) -> None:
    """A random photo of a size (height, width)."""
    pixels = np.random.default_rng(len(path.name)).integers(0, 256, (*size, 3), np.uint8)
    save(path, pixels)


def labels(size: tuple[int, int], *values: int) -> np.ndarray:
    """Bands of these labels from left to right, in 16 bits where one of them needs it."""
    bands = np.array(values)[np.arange(size[1]) * len(values) // size[1]]
    return np.broadcast_to(bands, size).astype(np.uint16 if max(values) > 255 else np.uint8)


def mask(path: Path, values: np.ndarray) -> None:
    """A one-channel mask of 8 or 16 bits."""
    save(path, values)


def palette(path: Path, values: np.ndarray) -> None:
    """A mask with colours for viewers, as VOC's."""
    image = Image.fromarray(values)
    image.putpalette(list(range(256)) * 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def split(path: Path, names: list[str]) -> None:
    """One name a line."""
    text(path, '\n'.join(names) + '\n')
