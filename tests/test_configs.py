"""Shipped configs: they parse, fit their data sets, state the protocol, and their pipelines keep the truth's size."""

import ast
import json
import re
from pathlib import Path

import mmseg_clipsurgery
from mmseg_clipsurgery.vocabulary import Vocabulary, read_templates

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmseg.registry import DATASETS

pytestmark = pytest.mark.mmseg

FOLDER = Path(__file__).resolve().parents[1] / 'configs'
CONFIGS = sorted(FOLDER.glob('*.py'))
OF_TASKS = sorted(FOLDER.glob('*/clipsurgery_*.py'))
LEADERBOARD = (
    'voc',
    'voc20',
    'context59',
    'context60',
    'coco_object',
    'coco_stuff164k',
    'ade20k',
    'cityscapes',
)

# Config -> data set, vocabulary, short side, logit scale, prob_thd, area_thd.
PROTOCOL = {
    'voc': ('PascalVOCDataset', 'voc21', 336, 65, 0.1, 0.1),
    'voc20': ('PascalVOC20Dataset', 'voc20', 336, 40, None, None),
    'context59': ('PascalContextDataset59', 'context59', 336, 40, None, None),
    'context60': ('PascalContextDataset', 'context60', 336, 50, 0.1, None),
    'coco_object': ('COCOObjectDataset', 'coco_object', 336, 50, 0.1, None),
    'coco_stuff164k': ('COCOStuffDataset', 'coco_stuff164k', 448, 40, None, None),
    'ade20k': ('ADE20KDataset', 'ade20k', 336, 40, None, None),
    'cityscapes': ('CityscapesDataset', 'cityscapes', 560, 40, None, None),
}


def load(name: str) -> Config:
    return Config.fromfile(FOLDER / f'clipsurgery_{name}.py')


@pytest.fixture(params=CONFIGS, ids=lambda path: path.stem)
def path(request) -> Path:
    return request.param


@pytest.fixture
def config(path) -> Config:
    return Config.fromfile(path)


def test_the_promised_configs_are_there():
    expected = {f'clipsurgery_{name}' for name in (*LEADERBOARD, 'voc_paper', 'scenes')}
    assert expected <= {path.stem for path in CONFIGS}


def test_what_mmseg_asks_of_a_config(config):
    assert config.default_scope == 'mmseg'
    assert config.custom_imports == dict(imports=['mmseg_clipsurgery'], allow_failed_imports=False)
    assert config.test_pipeline[0].type == config.tta_pipeline[0].type == 'LoadImageFromFile'
    assert config.test_dataloader.dataset.pipeline == config.test_pipeline
    assert config.tta_model.type == 'CLIPSurgeryTTAModel'
    assert config.test_evaluator.type == 'SegmentationMetric'
    assert config.test_evaluator.iou_metrics == ['mIoU']
    assert config.test_cfg == dict(type='TestLoop')
    assert config.visualizer.name == 'visualizer'
    assert config.launcher == 'none'
    assert 'visualization' in config.default_hooks  # MMSeg's own tools/test.py turns it on for --show-dir


def test_vocabulary_fits_the_data_set(config):
    vocabulary = Vocabulary.read(config.model.text_encoder.vocabulary)
    names = DATASETS.get(config.test_dataloader.dataset.type).METAINFO['classes']
    assert vocabulary.classes == tuple(name.strip() for name in names)
    assert read_templates(config.model.text_encoder.templates)


def test_thresholds_only_with_background(config):
    test_cfg = config.model.test_cfg
    if not Vocabulary.read(config.model.text_encoder.vocabulary).has_background:
        assert test_cfg.prob_thd is None
        assert test_cfg.area_thd is None


def test_both_towers_are_of_one_clip(config):
    backbone, text_encoder = config.model.backbone, config.model.text_encoder
    assert (backbone.arch, backbone.pretrained) == (text_encoder.arch, text_encoder.pretrained)


def test_evaluator_groups_are_classes(config):
    groups = config.test_evaluator.get('groups', {})
    grouped = [name for names in groups.values() for name in names]
    classes = DATASETS.get(config.test_dataloader.dataset.type).METAINFO['classes']
    assert not grouped or sorted(grouped) == sorted(classes)


def test_header_and_size(path):
    text = path.read_text()
    header = ast.get_docstring(ast.parse(text))
    assert 'arXiv 2304.05653' in header
    assert f'python tools/test.py configs/{path.name}' in header
    assert 'Expected mIoU' in header
    own = text.split('default_runtime.py')[1].splitlines()[2:]
    assert 0 < len(own) <= 10


@pytest.mark.parametrize('path', OF_TASKS, ids=lambda path: f'{path.parent.name} {path.stem}')
def test_configs_of_tasks(path):
    """Those of explanation and recognition: header, words of the data set, an evaluator of the task."""
    header = ast.get_docstring(ast.parse(path.read_text()))
    task = path.parent.name
    assert 'arXiv 2304.05653' in header
    assert f'python tools/test.py configs/{task}/{path.name}' in header
    found = Config.fromfile(path)
    assert found.test_dataloader.dataset.pipeline == found.test_pipeline
    assert (found.model.type == 'CLIPSurgeryRecogniser') is (task == 'recognise')
    assert bool(found.model.test_cfg.get('maps')) is (task == 'explain')
    assert ('Explainability' in found.test_evaluator.type) is (task == 'explain')
    if 'classes' in (meta := DATASETS.get(found.test_dataloader.dataset.type).METAINFO):
        assert Vocabulary.read(found.model.text_encoder.vocabulary).classes == tuple(meta['classes'])


def test_no_config_names_a_machine_or_somebody_elses_base():
    for path in FOLDER.rglob('*.py'):
        text = path.read_text()
        assert not re.search(r"'(/|~)|mmseg::|mmseg_clipsurgery::|cuda", text), path


@pytest.mark.parametrize('name', LEADERBOARD)
def test_leaderboard_protocol(name):
    config = load(name)
    data_set, vocabulary, short_side, logit_scale, prob_thd, area_thd = PROTOCOL[name]
    test_cfg = config.model.test_cfg
    assert config.test_dataloader.dataset.type == data_set
    assert config.model.text_encoder.vocabulary == vocabulary
    assert config.model.text_encoder.templates == 'imagenet80'
    assert config.test_pipeline[1] == dict(type='Resize', scale=(2048, short_side), keep_ratio=True)
    assert (test_cfg.mode, test_cfg.crop_size, test_cfg.stride) == ('slide', (224, 224), (112, 112))
    assert (test_cfg.logit_scale, test_cfg.prob_thd, test_cfg.area_thd) == (logit_scale, prob_thd, area_thd)
    arch, surgery = dict(name='ViT-B-16'), dict(name='clip_surgery')
    backbone = dict(type='CLIPSurgeryViT', arch=arch, pretrained='openai', surgery=surgery)
    assert config.model.backbone == backbone


def test_openai_preprocessing():
    preprocessor = load('voc').model.data_preprocessor
    assert preprocessor.mean == [0.48145466 * 255, 0.4578275 * 255, 0.40821073 * 255]
    assert preprocessor.std == [0.26862954 * 255, 0.26130258 * 255, 0.27577711 * 255]
    assert preprocessor.bgr_to_rgb is True


def test_scenes_preprocessing_is_that_of_the_embedded_model():
    shipped = Path(mmseg_clipsurgery.__file__).parent / 'resources' / 'scenes' / 'open_clip_config.json'
    if not shipped.is_file():
        pytest.skip('the embedded model is not there yet')
    preprocess = json.loads(shipped.read_text())['preprocess_cfg']
    preprocessor = load('scenes').model.data_preprocessor
    assert preprocessor.mean == [255 * value for value in preprocess['mean']]
    assert preprocessor.std == [255 * value for value in preprocess['std']]


def test_paper_protocol():
    config = load('voc_paper')
    test_cfg = config.model.test_cfg
    assert config.model.text_encoder.templates == 'clip_surgery85'
    assert (test_cfg.mode, test_cfg.prob_thd, test_cfg.area_thd) == ('whole', None, None)


@pytest.mark.parametrize(
    ('name', 'size', 'expected'),
    [
        pytest.param('voc', (375, 500), (336, 448), id='landscape'),
        pytest.param('voc', (500, 333), (505, 336), id='portrait'),
        pytest.param('voc', (40, 500), (164, 2048), id='long side first'),
        pytest.param('coco_stuff164k', (480, 640), (448, 597), id='448'),
        pytest.param('cityscapes', (1024, 2048), (560, 1120), id='560'),
        pytest.param('voc_paper', (375, 500), (512, 512), id='paper'),
        pytest.param('scenes', (96, 96), (96, 96), id='scenes'),
    ],
)
@pytest.mark.parametrize('pipeline', ['test_pipeline', 'tta_pipeline'])
def test_images_are_resized_and_truth_is_not(tmp_path, name, size, expected, pipeline):
    from mmengine.dataset import Compose
    from mmseg.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    image, mask = str(tmp_path / 'image.png'), str(tmp_path / 'mask.png')
    assert cv2.imwrite(image, np.zeros((*size, 3), np.uint8))
    assert cv2.imwrite(mask, np.ones(size, np.uint8))
    packed = Compose(load(name)[pipeline])(
        dict(img_path=image, seg_map_path=mask, seg_fields=[], reduce_zero_label=False)
    )
    images, samples = packed['inputs'], packed['data_samples']
    if pipeline == 'test_pipeline':
        images, samples = [images], [samples]
    assert {tuple(image.shape) for image in images} == {(3, *expected)}
    assert {tuple(sample.gt_sem_seg.shape) for sample in samples} == {size}
    flips = [bool(sample.get('flip')) for sample in samples]
    assert flips == ([False] if pipeline == 'test_pipeline' else [False, True])
