"""What is known of the public data sets' files: how many images, which labels, and how else their masks are written.

    data set           masks as evaluated                 masks that are mistaken for them
    COCO-Stuff 164k    train ids 0..170, 255              label ids: 0..181 with eleven gaps, 255
    COCO-Object        0 background, things 1..80         unlabelled as 255; COCO-Stuff's ids; things as 0..79
    Cityscapes         train ids 0..18, 255               label ids 0..33
    ADE20K             0 ignored, classes 1..150          moved down already: 0..149, 255 ignored
    PASCAL Context     0 background, classes 1..59        all 459 classes; moved down already
    ADE20K-847         0..846, 65535                      the object numbers of the full ADE20K; ADE20K's 150 classes
    Context-459        0..458, 65535                      counted from 1
    ImageNet-S         0 all else, classes from 1, 65535  its published colours, R + 256 G, ignored as 1000
    COCO's things      0 background, things 1..80         things counted from 0

A label outside a data set's own encoding tells that another one was used. Where all labels are legal, there is a sign
at most: the last class never occurs, and every label fits another encoding that does not have that class.
"""

from collections.abc import Iterable
from dataclasses import dataclass

IGNORED_8_BIT, IGNORED_16_BIT = 255, 65535  # the ignored label of masks: the highest of their depth
COCO_THINGS = 80  # the first classes of COCO-Stuff
STUFF_GAPS = frozenset(
    (11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90)
)  # numbers that COCO never gave to a class


@dataclass(frozen=True)
class Encoding:
    """A way to write labels into masks.

    Attributes:
        name: what it is, in a clause.
        labels: every label that it uses.
        remedy: what to do where it is found in place of the data set's own.
    """

    name: str
    labels: frozenset[int]
    remedy: str


@dataclass(frozen=True)
class KnownDataSet:
    """A public data set, as its class in MMSeg or here reads it.

    Attributes:
        title: its name in prose.
        images: the counts that the evaluated split may have.
        masks: how to get its masks; '': it has none.
        last: the highest label of a class in its masks; -1: it has no masks.
        mistaken: the encodings that its masks are found in by mistake.
        ignores: whether its masks may hold pixels that are not evaluated; False: each pixel is of a class.
    """

    title: str
    images: tuple[int, ...]
    masks: str
    last: int = -1
    mistaken: tuple[Encoding, ...] = ()
    ignores: bool = True


def labels(last: int, *more: int, without: Iterable[int] = ()) -> frozenset[int]:
    """Labels 0 to `last`, and more, without some."""
    return frozenset((*range(last + 1), *more)) - frozenset(without)


CONVERT_COCO = 'make them with python -m mmseg_clipsurgery convert coco'
CONVERT_CITYSCAPES = 'make train ids with python -m mmseg_clipsurgery convert cityscapes'
CONVERT_CONTEXT = 'make them with python -m mmseg_clipsurgery convert context'
CONVERT_COCO_THINGS = 'make them with python -m mmseg_clipsurgery convert coco-things'
CONVERT_IMAGENET_S = 'make them with python -m mmseg_clipsurgery convert imagenet-s'
CONVERT_ADE20K_847 = 'make them with python -m mmseg_clipsurgery convert ade20k-847'
NOT_REDUCED = 'take the masks as published, or set reduce_zero_label=False in the data set'

OBJECTS_IGNORING = Encoding(
    'masks whose unlabelled pixels are 255 instead of 0, background',
    labels(COCO_THINGS, IGNORED_8_BIT),
    f'convert again: delete *_instanceTrainIds.png and {CONVERT_COCO}',
)
STUFF_IDS = Encoding(
    "COCO-Stuff's label ids, not train ids", labels(181, IGNORED_8_BIT, without=STUFF_GAPS), CONVERT_COCO
)
STUFF_TRAIN_IDS = Encoding("COCO-Stuff's train ids", labels(170, IGNORED_8_BIT), CONVERT_COCO)
THINGS_FROM_0 = Encoding('things counted from 0, without background', labels(79, IGNORED_8_BIT), CONVERT_COCO)
THINGS_COUNTED_FROM_0 = Encoding(
    'things counted from 0, without background', labels(79, IGNORED_8_BIT), CONVERT_COCO_THINGS
)
CITYSCAPES_IDS = Encoding('label ids, not train ids', labels(33, IGNORED_8_BIT), CONVERT_CITYSCAPES)
CONTEXT_ALL = Encoding('all 459 classes of PASCAL Context', labels(459), CONVERT_CONTEXT)
CONTEXT_FROM_1 = Encoding('classes counted from 1', labels(459), CONVERT_CONTEXT)
ADE20K_OBJECTS = Encoding('the object numbers of the full ADE20K', labels(3200), CONVERT_ADE20K_847)


def moved_down(classes: int, remedy: str = NOT_REDUCED) -> Encoding:
    """Masks without their label 0, whose classes start there."""
    return Encoding('classes counted from 0 already, 255 ignored', labels(classes - 1, IGNORED_8_BIT), remedy)


def imagenet_s(classes: int, images: int) -> KnownDataSet:
    """ImageNet-S with this many classes, whose validation split has this many images."""
    published = Encoding('class numbers, ignored as 1000', labels(classes, 1000), CONVERT_IMAGENET_S)
    return KnownDataSet(
        f'ImageNet-S-{classes} validation', (images,), CONVERT_IMAGENET_S, classes, (published,)
    )


PALETTE_MASKS = 'take SegmentationClass of the devkit as it is'
KNOWN = {
    'PascalVOCDataset': KnownDataSet('PASCAL VOC 2012 val', (1449,), PALETTE_MASKS, 20),
    'PascalVOC20Dataset': KnownDataSet('PASCAL VOC 2012 val', (1449,), PALETTE_MASKS, 20, (moved_down(20),)),
    'PascalContextDataset': KnownDataSet(
        'PASCAL Context val',
        (5104, 5105),
        CONVERT_CONTEXT,
        59,
        (moved_down(59, CONVERT_CONTEXT), CONTEXT_ALL),
    ),
    'PascalContextDataset59': KnownDataSet(
        'PASCAL Context val', (5104, 5105), CONVERT_CONTEXT, 59, (moved_down(59), CONTEXT_ALL)
    ),
    'COCOObjectDataset': KnownDataSet(
        'COCO-Object val2017',
        (5000,),
        CONVERT_COCO,
        COCO_THINGS,
        (OBJECTS_IGNORING, THINGS_FROM_0, STUFF_TRAIN_IDS, STUFF_IDS),
        ignores=False,
    ),
    'COCOStuffDataset': KnownDataSet('COCO-Stuff 164k val2017', (5000,), CONVERT_COCO, 170, (STUFF_IDS,)),
    'ADE20KDataset': KnownDataSet(
        'ADE20K validation', (2000,), 'take annotations/validation as published', 150, (moved_down(150),)
    ),
    'CityscapesDataset': KnownDataSet('Cityscapes val', (500,), CONVERT_CITYSCAPES, 18, (CITYSCAPES_IDS,)),
    'ADE20K847Dataset': KnownDataSet(
        'ADE20K-847 validation', (2000,), CONVERT_ADE20K_847, 846, (ADE20K_OBJECTS,)
    ),
    'PascalContext459Dataset': KnownDataSet(
        'PASCAL Context val', (5104, 5105), CONVERT_CONTEXT, 458, (CONTEXT_FROM_1,)
    ),
    'COCOThingsDataset': KnownDataSet(
        'COCO val2017', (5000,), CONVERT_COCO_THINGS, COCO_THINGS, (THINGS_COUNTED_FROM_0,), ignores=False
    ),
    'ImageNetS50Dataset': imagenet_s(50, 752),
    'ImageNetS300Dataset': imagenet_s(300, 4097),
    'ImageNetS919Dataset': imagenet_s(919, 12419),
    'NUSWideDataset': KnownDataSet('NUS-WIDE test', (107859,), ''),
}


def mistaken_for(kind: str, found: frozenset[int]) -> Encoding | None:
    """The encoding of masks that hold labels outside the data set's own; None if none that is known fits.

    Args:
        kind: the data set's class, such as 'COCOStuffDataset'.
        found: every label that its masks hold.
    """
    others = KNOWN[kind].mistaken if kind in KNOWN else ()
    return next((other for other in others if found <= other.labels and other.labels - own(kind)), None)


def suspected(kind: str, found: frozenset[int], images: int) -> Encoding | None:
    """The encoding that masks may be in though their labels are all legal; None if nothing speaks for another one.

    Args:
        kind, found: as for `mistaken_for`.
        images: how many there are. Of a complete split every class is expected to occur.
    """
    if kind not in KNOWN:
        return None
    known = KNOWN[kind]
    complete = images in known.images
    for other in known.mistaken:
        last_missing = found <= other.labels and known.last not in other.labels | found
        ignored_by_255 = (
            kind == 'ADE20KDataset' and IGNORED_8_BIT in found
        )  # whose own masks ignore by 0 alone
        if last_missing and (complete or ignored_by_255):
            return other
    return None


def own(kind: str) -> frozenset[int]:
    """Labels that a known data set's masks may hold.

    Args:
        kind: the data set's class, such as 'COCOStuffDataset'.
    """
    ignored = (IGNORED_8_BIT, IGNORED_16_BIT) if KNOWN[kind].ignores else ()
    return labels(KNOWN[kind].last, *ignored)
