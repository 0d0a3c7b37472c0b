"""Data sets on disk: masks in other encodings, sizes and formats, splits in other forms, converters' sources.

Oracle: what the check accepts without a note is read by MMSeg's own pipeline, and the metric over random predictions is
the one that numpy counts in the files; what a converter makes is what a table written down here says.
"""

import io
from pathlib import Path
from typing import Any

import mini_voc
from campaign.inputs import Input, damaged, require
from mmseg_clipsurgery.datasets.converters.cityscapes import cityscapes_jobs
from mmseg_clipsurgery.datasets.converters.coco import coco_jobs
from mmseg_clipsurgery.datasets.converters.context import context_jobs, read_split
from mmseg_clipsurgery.datasets.converters.jobs import run
from mmseg_clipsurgery.evaluation.audit import audit

import numpy as np
import torch
from mmengine.config import Config
from mmseg.registry import DATASETS, METRICS
from PIL import Image
from scipy.io import loadmat, savemat

CLASSES = ('cat', 'dog', 'grass', 'sky')
CITYSCAPES = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
NO_STUFF = (11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90)


def prepare() -> None:
    from mmengine.logging import MMLogger

    MMLogger.get_instance('campaign', log_level='ERROR')


def trial(_: None, given: Input) -> None:
    given.kind(data_set, data_set, data_set, data_set, cityscapes, coco, context, split)(given)


def data_set(given: Input) -> None:
    """A small data set in which one thing may be odd."""
    names = [f'im{number}' for number in range(given.pick(1, 3, 4))]
    reduce = given.chance(0.3)
    mini_voc.make(given.folder, tuple(names))
    for name in names:
        height, width = image_shape(given.folder, name)
        labels = given.numpy().integers(0, len(CLASSES) + reduce, (height, width), np.uint8)
        labels[0, : width // 2] = 255
        mini_voc.write_mask(given.folder, name, labels)
    given.one_of(ODDITIES)(given, given.random.choice(names))
    cfg = config(given.folder, reduce)
    audit(cfg, subset=True)
    found = measured(cfg, given)
    for key, (value, expected) in found.items():
        require(
            np.isclose(value, expected, atol=0.01, equal_nan=True),
            f'{key} is {value}, numpy counts {expected}',
        )


def config(root: Path, reduce: bool) -> Config:
    steps = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
    cfg = mini_voc.config(root, test_dataloader__dataset__pipeline=steps)
    cfg.test_dataloader.dataset.update(
        type='BaseSegDataset', metainfo=dict(classes=CLASSES), reduce_zero_label=reduce
    )
    cfg.pop('model')
    return cfg


def measured(cfg: Config, given: Input) -> dict[str, tuple[float, float]]:
    """Name -> (what the metric says, what numpy counts) over random predictions."""
    dataset, random, k = DATASETS.build(cfg.test_dataloader.dataset), given.numpy(), len(CLASSES)
    metric, counts = METRICS.build(cfg.test_evaluator), np.zeros((k, k), np.int64)
    metric.dataset_meta = dataset.metainfo
    for index in range(len(dataset)):
        sample = dataset[index]['data_samples']
        truth = read(sample.seg_map_path).astype(int)
        if dataset.reduce_zero_label:
            truth = np.where((truth == 0) | (truth == 255), 255, truth - 1)
        labels = random.integers(0, k, truth.shape)
        predicted = {'pred_sem_seg': {'data': torch.from_numpy(labels)[None]}, 'img_path': sample.img_path}
        metric.process({}, [{**predicted, 'gt_sem_seg': {'data': sample.gt_sem_seg.data}}])
        pairs = (truth * k + labels)[truth != 255]
        counts += np.bincount(pairs, minlength=k * k)[: k * k].reshape(k, k)
    said = metric.evaluate(len(dataset))
    with np.errstate(invalid='ignore'):
        iou = np.diag(counts) / (counts.sum(0) + counts.sum(1) - np.diag(counts))
        accuracy = np.diag(counts).sum() / counts.sum()
    return {'mIoU': (said['mIoU'], 100 * np.nanmean(iou)), 'aAcc': (said['aAcc'], 100 * accuracy)}


def cityscapes(given: Input) -> None:
    path = given.folder / 'gtFine/val/a/a_gtFine_labelIds.png'
    source(given, path, [*range(34), 255])
    run(cityscapes_jobs(given.folder))
    expected = [CITYSCAPES.index(label) if label in CITYSCAPES else 255 for label in range(256)]
    made(path.with_name('a_gtFine_labelTrainIds.png'), read(path), expected)


def coco(given: Input) -> None:
    path = given.folder / 'annotations/val2017/000000000001.png'
    (given.folder / 'images/val2017').mkdir(parents=True)
    (given.folder / 'images/val2017/000000000001.jpg').write_bytes(b'')
    used = [label for label in range(182) if label not in NO_STUFF]
    source(given, path, [*used, 255])
    run(coco_jobs(given.folder))
    stuff = [used.index(label) if label in used else 255 for label in range(256)]
    made(path.with_name('000000000001_labelTrainIds.png'), read(path), stuff)
    made(
        path.with_name('000000000001_instanceTrainIds.png'),
        read(path),
        [label + 1 if label < 80 else 0 for label in stuff],
    )


def context(given: Input) -> None:
    labels = given.numpy().integers(0, 460 + 200 * given.chance(0.2), (9, 8), np.uint16)
    (given.folder / 'trainval').mkdir()
    path = given.folder / 'trainval/a.mat'
    content = {
        given.random.choice(['LabelMap'] * 5 + ['labels']): labels.astype(
            given.random.choice(['u2'] * 5 + ['f8', 'u1'])
        )
    }
    savemat(path, content, do_compression=given.chance(0.5))
    if given.chance(0.4):
        path.write_bytes(damaged(path.read_bytes(), given.random))
    run(context_jobs(given.folder, ['a'], [459]))
    made(given.folder / 'SegmentationClassContext459/a.png', loadmat(path)['LabelMap'], [65535, *range(459)])


def split(given: Input) -> None:
    names = [f'im {n}' if given.chance(0.1) else f'im{n}' for n in range(given.random.randrange(4))]
    path = given.folder / 'val.txt'
    path.write_bytes(
        given.pick('\n', '\r\n', '\r')
        .join(names)
        .encode(given.pick('utf-8', 'utf-8-sig', 'utf-16', 'utf-16-le'))
    )
    found = read_split(path)
    require(found == ' '.join(names).split(), f'{found} from {names}')


def source(given: Input, path: Path, legal: list[int]) -> None:
    """A mask of legal labels, of which one may be illegal, in a file that may be damaged or no mask."""
    labels = given.numpy().choice(legal, (9, 8)).astype(np.uint8)
    if given.chance(0.3):
        labels[3, 3] = given.random.randrange(256)
    path.parent.mkdir(parents=True)
    image = given.one_of(
        {
            'plain': Image.fromarray, 'more': Image.fromarray,
            'colour': lambda one: Image.fromarray(one).convert('RGB'),
            'deep': lambda one: Image.fromarray(one.astype(np.uint16)),
            'palette': lambda one: Image.fromarray(one).convert('P'),
        }
    )(labels)  # fmt: skip
    image.save(path)
    if given.chance(0.3):
        path.write_bytes(damaged(path.read_bytes(), given.random))


def read(path: Path | str) -> np.ndarray:
    with Image.open(path) as opened:
        return np.asarray(opened).copy()


def made(path: Path, labels: np.ndarray, table: list[int]) -> None:
    require(np.array_equal(read(path), np.array(table)[labels]), f'{path.name} holds other labels')


def image_shape(root: Path, name: str) -> tuple[int, int]:
    with Image.open(root / f'JPEGImages/{name}.jpg') as image:
        return image.height, image.width


def mask_of(root: Path, name: str) -> tuple[Path, np.ndarray]:
    path = root / f'SegmentationClass/{name}.png'
    return path, read(path)


def with_mask(change: Any) -> Any:
    """An oddity of one mask: labels -> what is saved in its place."""

    def odd(given: Input, name: str) -> None:
        path, labels = mask_of(given.folder, name)
        Image.fromarray(change(labels)).save(path)

    return odd


def as_format(kind: str, dtype: Any = np.uint8, **options: Any) -> Any:
    def odd(given: Input, name: str) -> None:
        path, labels = mask_of(given.folder, name)
        stream = io.BytesIO()
        Image.fromarray(labels.astype(dtype)).save(stream, kind, **options)
        path.write_bytes(stream.getvalue())

    return odd


def broken(folder: str, suffix: str) -> Any:
    def odd(given: Input, name: str) -> None:
        path = given.folder / folder / f'{name}{suffix}'
        path.write_bytes(damaged(path.read_bytes(), given.random))

    return odd


def of_split(change: Any) -> Any:
    def odd(given: Input, name: str) -> None:
        path = given.folder / 'ImageSets/Segmentation/val.txt'
        path.write_bytes(change(path.read_text(), name))

    return odd


def turned(given: Input, name: str) -> None:
    path = given.folder / f'JPEGImages/{name}.jpg'
    exif = Image.Exif()
    exif[0x0112] = given.pick(1, 3, 6, 8, 0, 42)
    Image.open(path).convert('RGB').save(path, exif=exif)


def gone(folder: str) -> Any:
    return lambda given, name: [path.unlink() for path in (given.folder / folder).glob(f'{name}.*')]


def palette(given: Input, name: str) -> None:
    path = mask_of(given.folder, name)[0]
    Image.open(path).convert('RGB').quantize(8).save(path)


# fmt: off
ODDITIES = {
    'nothing': lambda given, name: None,
    '0 and 255': with_mask(lambda labels: np.where(labels > 1, 255, 0).astype(np.uint8)),
    'moved': with_mask(lambda labels: labels + 1),
    'too high': with_mask(lambda labels: np.where(labels == 2, 77, labels).astype(np.uint8)),
    'all ignored': with_mask(lambda labels: np.full_like(labels, 255)),
    'one class': with_mask(lambda labels: np.ones_like(labels)),
    'colours': with_mask(lambda labels: np.stack([labels] * 3, -1)),
    'grey and alpha': with_mask(lambda labels: np.stack([labels] * 2, -1)),
    '16 bits': with_mask(lambda labels: labels.astype(np.uint16)),
    '16 bits, 65535': with_mask(lambda labels: np.where(labels == 255, 65535, labels.astype(np.uint16))),
    '16 bits, times 256': with_mask(lambda labels: labels.astype(np.uint16) * 256),
    '32 bits': as_format('TIFF', np.int32), 'floats': as_format('TIFF', np.float32),
    'bool': with_mask(lambda labels: labels > 0), 'smaller': with_mask(lambda labels: labels[1:]),
    'turned': with_mask(lambda labels: np.ascontiguousarray(labels.T)), 'JPEG': as_format('JPEG'),
    'JPEG of quality 100': as_format('JPEG', quality=100), 'GIF': as_format('GIF'), 'TIFF': as_format('TIFF'),
    'WebP': as_format('WEBP'), 'BMP': as_format('BMP'), 'broken mask': broken('SegmentationClass', '.png'),
    'broken masks': broken('SegmentationClass', '.png'), 'broken image': broken('JPEGImages', '.jpg'),
    'broken split': lambda given, name: broken('ImageSets/Segmentation', '.txt')(given, 'val'), 'EXIF': turned,
    'no mask': gone('SegmentationClass'), 'no image': gone('JPEGImages'),
    'blank lines': of_split(lambda text, name: text.replace('\n', '\n\n').encode()),
    'CRLF': of_split(lambda text, name: text.replace('\n', '\r\n').encode()),
    'byte order mark': of_split(lambda text, name: text.encode('utf-8-sig')),
    'UTF-16': of_split(lambda text, name: text.encode('utf-16')),
    'endings': of_split(lambda text, name: text.replace('\n', '.jpg\n').encode()),
    'flags': of_split(lambda text, name: text.replace('\n', ' 1\n').encode()),
    'twice': of_split(lambda text, name: (text + text).encode()), 'empty split': of_split(lambda text, name: b''),
    'other names': of_split(lambda text, name: b'nothing\n'),
    'outside': of_split(lambda text, name: f'../JPEGImages/{name}\n'.encode()),
    'null': of_split(lambda text, name: f'{name}\0\n'.encode()),
    'palette of colours': palette,
}
# fmt: on
