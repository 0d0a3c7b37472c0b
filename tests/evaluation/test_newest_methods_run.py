"""The newer methods and an older one in whole runs: augmented windows, batches, one and two processes."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import forked
import golden_newest
import mini_voc
import tiny
from mmseg_clipsurgery.evaluation import evaluate
from mmseg_clipsurgery.evaluation.variants import combined
from mmseg_clipsurgery.leaderboard import processes

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

pytestmark = [pytest.mark.mmseg, pytest.mark.slow]

ARCH = tiny.changed(mini_voc.TINY_CLIP, vision_cfg={'layers': 12}, quick_gelu=False)
RESIZE = dict(type='Resize', scale=(72, 48), keep_ratio=False)  # two windows of 6 x 6 patches
FEEDBACK = dict(scale=1.8, share=0.7, floor=0.3)
METHODS: dict[str, dict[str, Any]] = {
    'scclip': dict(surgery=dict(name='scclip')),
    'sfp': dict(surgery=dict(name='sfp')),
    'resclip': dict(surgery=dict(name='resclip')),
    'resclip with feedback': dict(surgery=dict(name='resclip'), test_cfg=dict(feedback=FEEDBACK)),
    'rfclip': dict(surgery=dict(name='rfclip', constants=dict(sinks=(1, 5, 9, 14, 20, 23, 27, 30)))),
    'proxyclip': dict(surgery=dict(name='proxyclip')),
    'gem': dict(surgery=dict(name='gem')),
}


@pytest.fixture(scope='module')
def cfgs(tmp_path_factory) -> dict[str, Config]:
    """A run of each method, with RF-CLIP's text side and a tiny DINO beside the tower."""
    cfg = mini_voc.tiny_config(mini_voc.make(tmp_path_factory.mktemp('data') / 'voc', mini_voc.NAMES[:3]))
    for tower in (cfg.model.backbone, cfg.model.text_encoder):
        tower.update(arch=ARCH, pretrained=str(tiny.weights_file(ARCH)))
    cfg.model.text_encoder.text_cache = str(tmp_path_factory.mktemp('words'))
    cfg.model.guide = golden_newest.dino_config(golden_newest.load('pipeline_proxyclip_vit12_dev')[1])
    prior = dict(global_share=0.2, prompt_shift=dict(share=0.05, height=0.3))
    cfg.model.decode_head = dict(type='SurgeryHead', **prior)
    cfg.model.test_cfg.update(crop_size=(48, 48), stride=24, window_batch=3)
    cfg.test_dataloader.dataset.pipeline.insert(1, RESIZE)
    cfg.tta_pipeline[1].transforms.insert(0, [RESIZE])
    cfg.test_dataloader.batch_size = 1
    cfg.test_evaluator.per_image = True
    made = {name: deepcopy(cfg) for name in METHODS}
    for name, one in made.items():
        one.model.backbone.surgery = METHODS[name]['surgery']
        one.model.test_cfg.update(METHODS[name].get('test_cfg', {}))
    return made


@pytest.fixture(scope='module')
def one_pass(cfgs, tmp_path_factory) -> tuple[dict[str, dict], Path]:
    """Results of all methods, image by image in one process, and the folder of their label maps."""
    folder = tmp_path_factory.mktemp('one pass')
    return evaluate(
        combined(cfgs), work_dir=folder / 'work', out=folder / 'masks', quiet=True
    ), folder / 'masks'


def label_maps(folder: Path) -> dict[str, np.ndarray]:
    return {path.name: np.asarray(Image.open(path)) for path in sorted(folder.glob('*.png'))}


def test_augmented_windows_in_one_pass_are_those_of_runs_alone(cfgs, tmp_path):
    found = evaluate(combined(cfgs), work_dir=tmp_path / 'all', tta=True, quiet=True)
    for name, cfg in cfgs.items():
        alone = evaluate(cfg, work_dir=tmp_path / name, tta=True, quiet=True)
        for part in ('metrics', 'per_class', 'images', 'protocol'):
            assert found[name][part] == alone[part], (name, part)
    assert len({json.dumps(one['per_class']) for one in found.values()}) == len(METHODS)  # they do differ


def test_a_batch_gives_the_labels_of_its_images(cfgs, one_pass, tmp_path):
    cfg = combined(cfgs)
    cfg.test_dataloader.batch_size = 3
    evaluate(cfg, work_dir=tmp_path / 'work', out=tmp_path / 'masks', quiet=True)
    for name in METHODS:
        single, batch = (label_maps(folder / name) for folder in (one_pass[1], tmp_path / 'masks'))
        assert len(single) == len(batch) == 3
        for image, labels in single.items():
            assert (labels == batch[image]).mean() > 0.998, (name, image)  # equal scores may fall either way


def test_two_processes_give_what_one_gives(cfgs, one_pass, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, 'run_to_end', forked.launched)
    there = processes.evaluate_in_processes(combined(cfgs), tmp_path / 'two', 2, preflight=False)
    assert list(there) == list(METHODS)
    for name, here in one_pass[0].items():
        assert there[name]['protocol']['processes'] == 2
        for part in ('metrics', 'per_class', 'images'):
            assert there[name][part] == here[part], (name, part)
        rows = [sorted(one['per_image'], key=lambda row: row['image']) for one in (there[name], here)]
        assert rows[0] == rows[1]
