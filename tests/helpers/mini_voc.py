"""A PASCAL VOC of a handful of small random images of different sizes, and the config of a test run on it."""

from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from PIL import Image

CLASSES = 21
TINY_CLIP = dict(
    embed_dim=16,
    vision_cfg=dict(image_size=32, patch_size=8, width=32, head_width=16, layers=6),
    text_cfg=dict(context_length=77, vocab_size=49408, width=16, heads=2, layers=1),
)
NAMES = tuple(f'2007_{index:06}' for index in range(1, 6))


def make(root: Path, names: tuple[str, ...] = NAMES) -> Path:
    """Write images, masks (palette PNG, ignored border) and the split; the folder."""
    for folder in ('JPEGImages', 'SegmentationClass', 'ImageSets/Segmentation'):
        (root / folder).mkdir(parents=True)
    for index, name in enumerate(names):
        random = np.random.default_rng(index)
        height, width = 20 + 3 * index, 31 - 2 * index
        write_image(root, name, random.integers(0, 256, (height, width, 3), np.uint8))
        labels = random.integers(0, CLASSES, (height, width), np.uint8)
        labels[0] = 255
        write_mask(root, name, labels)
    write_split(root, names)
    return root


def write_image(root: Path, name: str, pixels: np.ndarray, **options: Any) -> None:
    Image.fromarray(pixels).save(root / 'JPEGImages' / f'{name}.jpg', **options)


def write_mask(root: Path, name: str, labels: np.ndarray) -> None:
    image = Image.fromarray(labels)
    if labels.dtype == np.uint8 and labels.ndim == 2:
        image.putpalette(list(range(256)) * 3)
    image.save(root / 'SegmentationClass' / f'{name}.png')


def write_split(root: Path, names: tuple[str, ...]) -> None:
    (root / 'ImageSets/Segmentation/val.txt').write_text('\n'.join(names) + '\n')


def tiny_config(root: Path | str, **changes: Any) -> Config:
    """`config` with a tiny CLIP of random weights, so that a run takes seconds."""
    tiny: dict[str, Any] = dict(
        model__backbone__arch=TINY_CLIP,
        model__backbone__pretrained=None,
        model__text_encoder__arch=TINY_CLIP,
        model__text_encoder__pretrained=None,
        model__test_cfg=dict(mode='slide', crop_size=(16, 24), stride=8, logit_scale=40),
    )
    return config(root, **tiny | changes)


def config(root: Path | str, **changes: Any) -> Config:
    """A test run on the folder; changes: keys, dots written as double underscores, and their values."""
    made = Config(
        dict(
            default_scope='mmseg',
            custom_imports=dict(imports=['mmseg_clipsurgery'], allow_failed_imports=False),
            model=dict(
                type='CLIPSurgerySegmentor',
                backbone=dict(
                    type='CLIPSurgeryViT', arch='ViT-B-16', pretrained='openai', surgery='clip_surgery'
                ),
                text_encoder=dict(type='OpenCLIPTextEncoder', vocabulary='voc21', templates='bare'),
                test_cfg=dict(
                    mode='slide', crop_size=(224, 224), stride=(112, 112), prob_thd=0.1, area_thd=None
                ),
            ),
            test_dataloader=dict(
                batch_size=2,
                num_workers=0,
                sampler=dict(type='DefaultSampler', shuffle=False),
                dataset=dict(
                    type='PascalVOCDataset',
                    data_root=str(root),
                    data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
                    ann_file='ImageSets/Segmentation/val.txt',
                    pipeline=[
                        dict(type='LoadImageFromFile'),
                        dict(type='LoadAnnotations'),
                        dict(type='PackSegInputs'),
                    ],
                ),
            ),
            test_evaluator=dict(type='SegmentationMetric'),
            test_cfg=dict(type='TestLoop'),
            tta_model=dict(type='CLIPSurgeryTTAModel'),
            tta_pipeline=[
                dict(type='LoadImageFromFile'),
                dict(
                    type='TestTimeAug',
                    transforms=[
                        [
                            dict(type='RandomFlip', prob=0.0),
                            dict(type='RandomFlip', prob=1.0, direction='horizontal'),
                        ],
                        [dict(type='LoadAnnotations')],
                        [dict(type='PackSegInputs')],
                    ],
                ),
            ],
        )
    )
    for key, value in changes.items():
        *parents, last = key.split('__')
        node = made
        for name in parents:
            node = node[name]
        node[last] = value
    return made
