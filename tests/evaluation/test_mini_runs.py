"""Every shipped config runs on a miniature of its data set, from files to figures, with a tiny CLIP for CLIP."""

from pathlib import Path

import mini_datasets
import tiny
from mmseg_clipsurgery.cli import convert
from mmseg_clipsurgery.evaluation import evaluate
from mmseg_clipsurgery.evaluation.configs import set_data_root
from mmseg_clipsurgery.protocols.settings import entry, table
from mmseg_clipsurgery.resources import config, config_folder

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

pytestmark = pytest.mark.mmseg

# Patch 16, as many blocks as CLIP Surgery reads, open_clip's whole vocabulary of tokens.
ARCH = tiny.changed(
    tiny.SMALL,
    vision_cfg={'image_size': 32, 'patch_size': 16, 'layers': 6},
    text_cfg={'vocab_size': 49408},
)


def mini_config(path: str, root: Path) -> Config:
    """A shipped config with the tiny CLIP and one template, on a miniature."""
    cfg = Config.fromfile(path)
    tower = dict(arch=ARCH, pretrained=str(tiny.weights_file(ARCH)))
    cfg.model.backbone.update(tower)
    cfg.model.text_encoder.update(tower, templates='bare', text_cache=False)
    cfg.model.data_preprocessor = None
    cfg.test_dataloader.update(num_workers=0, batch_size=2)
    set_data_root(cfg, root)
    return cfg


CONFIGS = {facts['config']: name for name, facts in table()['data_sets'].items() if name != 'scenes_heldout'}
CONFIGS['voc_paper'] = 'voc21'


@pytest.mark.slow
@pytest.mark.parametrize('name', CONFIGS)
def test_config_runs(name, tmp_path):
    root = mini_datasets.make(CONFIGS[name], tmp_path / 'data')
    results = evaluate(mini_config(config(f'clipsurgery_{name}'), root), work_dir=tmp_path, quiet=True)
    assert results['images'] == 2
    assert 0 <= results['metrics']['mIoU'] <= 100
    # Classes that the miniature shows have an accuracy: its encoding was read as it should be.
    shown = {row['class'] for row in results['per_class'] if row['Acc'] is not None}
    assert shown == expected_classes(CONFIGS[name])


@pytest.mark.slow
@pytest.mark.parametrize(
    ('kind', 'name', 'figure', 'expected'),
    [
        ('explain', 'context59', 'pairs', {4}),  # images and classes in their masks
        ('explain', 'coco_things', 'pairs', {2}),
        ('explain', 'imagenet_s919', 'pairs', {2}),
        ('explain', 'openimages_points', 'points', {5}),
        ('recognise', 'nus_wide', 'mAP', {50, 75, 100}),  # of two concepts, each in one of two images
    ],
)
def test_configs_of_explanation_and_recognition_run(kind, name, figure, expected, tmp_path):
    root = mini_datasets.make(name, tmp_path / 'data')
    if name in mini_datasets.CONVERT:
        assert convert.main([*mini_datasets.CONVERT[name], str(root)]) == 0
    cfg = mini_config(str(config_folder() / kind / f'clipsurgery_{name}.py'), root)
    results = evaluate(cfg, work_dir=tmp_path, quiet=True)
    assert results['images'] == 2
    assert results['metrics'][figure] in expected
    form = 'released' if kind == 'recognise' else None
    assert results['protocol'].get('form of feature surgery') == form


def expected_classes(data_set: str) -> set[str]:
    """Classes in the masks of a miniature."""
    from mmseg.registry import DATASETS

    kind = Config.fromfile(
        config(f'clipsurgery_{entry("data_sets", data_set)["config"]}')
    ).test_dataloader.dataset.type
    classes = DATASETS.get(kind).METAINFO['classes']
    indices = {
        **dict(voc21=(0, 1, 20), voc20=(0, 19), context60=(0, 1, 59), context59=(0, 58)),
        **dict(coco_object=(0, 1, 80), coco_stuff164k=(0, 79, 80, 170), ade20k=(0, 149), cityscapes=(0, 18)),
        **dict(ade20k_847=(0, 255, 256, 846), context459=(0, 255, 300, 458), scenes=(0, 7, 13)),
    }
    return {classes[index] for index in indices[data_set]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'folder', 'depth', 'labels'),
    [
        ('ade20k_847', 'annotations_847/validation', np.uint16, range(847)),
        ('ade20k', 'annotations/validation', np.uint8, range(1, 151)),
    ],
)
def test_saved_masks_are_masks_of_the_data_set(name, folder, depth, labels, tmp_path):
    """Taken as truth, they give 100 %: no label is lost or moved on the way, in 16 bits and with an offset."""
    root = mini_datasets.make(name, tmp_path / 'data')
    cfg = mini_config(config(f'clipsurgery_{name}'), root)
    evaluate(cfg, work_dir=tmp_path, out=tmp_path / 'masks', quiet=True)
    saved = sorted((tmp_path / 'masks').rglob('*.png'))
    assert len(saved) == 2
    for path, size in zip(saved, mini_datasets.SIZES, strict=True):
        with Image.open(path) as image:
            values = np.asarray(image)
        assert (values.shape, values.dtype) == (size, depth)
        assert set(np.unique(values)) <= set(labels)
        path.replace(root / folder / path.name)
    assert evaluate(cfg, work_dir=tmp_path, quiet=True)['metrics']['aAcc'] == 100


@pytest.mark.slow
def test_saved_scores_give_the_labels(tmp_path):
    root = mini_datasets.make('cityscapes', tmp_path / 'data')
    cfg = mini_config(config('clipsurgery_cityscapes'), root)
    cfg.model.test_cfg.scores = True
    cfg.test_evaluator.update(scores_dir=str(tmp_path / 'scores'), per_image=True)
    results = evaluate(cfg, work_dir=tmp_path, out=tmp_path / 'masks', quiet=True)
    masks = sorted((tmp_path / 'masks').rglob('*.png'))
    assert len(masks) == len(results['per_image']) == 2
    for path in masks:
        scores = np.load((tmp_path / 'scores' / path.relative_to(tmp_path / 'masks')).with_suffix('.npz'))[
            'scores'
        ]
        with Image.open(path) as image:
            labels = np.asarray(image)
        assert (scores.dtype, scores.shape) == (np.float16, (19, *labels.shape))
        best = np.take_along_axis(scores, labels[None].astype(np.int64), axis=0)[0]
        assert (best == scores.max(axis=0)).all()  # equal where half floats tie
