"""Numbers of registered classes and public functions: NaN, infinity, truth values and strings are refused."""

import math

import photos
from mmseg_clipsurgery import explain
from mmseg_clipsurgery.evaluation.hooks.heat_maps import HeatMapsHook
from mmseg_clipsurgery.evaluation.hooks.pictures import SavePicturesHook
from mmseg_clipsurgery.evaluation.hooks.progress import ProgressHook
from mmseg_clipsurgery.evaluation.metrics.explainability import ExplainabilityMetric
from mmseg_clipsurgery.evaluation.metrics.recognition_map import RecognitionMAP
from mmseg_clipsurgery.evaluation.metrics.segmentation import SegmentationMetric
from mmseg_clipsurgery.evaluation.preparation import check_loader
from mmseg_clipsurgery.guides.dino import read_sizes
from mmseg_clipsurgery.inference.settings import InferenceSettings
from mmseg_clipsurgery.models.head import SurgeryHead
from mmseg_clipsurgery.models.preprocessor import CLIPSurgeryDataPreProcessor
from mmseg_clipsurgery.surgery import RELEASED, SURGERIES, Surgery

import pytest
import torch

pytestmark = pytest.mark.mmseg

NONE_OF_THEM = (math.nan, math.inf, -math.inf, True, '3', [1])
MAP = torch.arange(16.0).view(4, 4)
PHOTO = photos.photo()
SIZES = dict(width=8, layers=1, heads=2, patch=4, image_size=16)


def of(kind, name, **others):
    return lambda value: kind(**others, **{name: value})


def setting(name):
    return lambda value: InferenceSettings.read({name: value}, 16)


def field(name):
    return lambda value: Surgery.read({'name': 'clip_surgery', name: value})


def ask(task, *arguments, **settings):
    """A call of a model that is made when it is asked: collecting tests builds no tower."""
    name = next(iter(settings))
    return lambda value: getattr(photos.model(), task)(PHOTO, *arguments, **{name: value})


SETTINGS = {
    'loader batch_size': lambda value: check_loader({'batch_size': value}),
    'loader num_workers': lambda value: check_loader({'num_workers': value}),
    'metric ignore_index': of(SegmentationMetric, 'ignore_index'),
    'metric beta': of(SegmentationMetric, 'beta'),
    'metric nan_to_num': of(SegmentationMetric, 'nan_to_num'),
    'metric iou_metrics': of(SegmentationMetric, 'iou_metrics'),
    'explainability ignore_index': of(ExplainabilityMetric, 'ignore_index'),
    'mAP ignore_index': of(RecognitionMAP, 'ignore_index'),
    'progress interval': of(ProgressHook, 'interval'),
    'heat maps interval': of(HeatMapsHook, 'interval'),
    'heat maps most': of(HeatMapsHook, 'most'),
    'heat maps opacity': of(HeatMapsHook, 'opacity'),
    'pictures opacity': of(SavePicturesHook, 'opacity', folder='pictures'),
    'head threshold': of(SurgeryHead, 'threshold'),
    'head num_classes': of(SurgeryHead, 'num_classes'),
    'head global_share': of(SurgeryHead, 'global_share'),
    'head share': lambda value: SurgeryHead(prompt_shift=dict(share=value, height=0.1)),
    'head height': lambda value: SurgeryHead(prompt_shift=dict(share=0.1, height=value)),
    'mean': lambda value: CLIPSurgeryDataPreProcessor(mean=[1.0, value, 1.0], std=[1.0] * 3),
    'std': lambda value: CLIPSurgeryDataPreProcessor(mean=[1.0] * 3, std=[1.0, 1.0, value]),
    'test_cfg logit_scale': setting('logit_scale'),
    'test_cfg window_batch': setting('window_batch'),
    'test_cfg prob_thd': setting('prob_thd'),
    'test_cfg area_thd': setting('area_thd'),
    'test_cfg chunk_memory': setting('chunk_memory'),
    'test_cfg pamr': setting('pamr'),
    'test_cfg feedback': setting('feedback'),
    'test_cfg precision': setting('precision'),
    'surgery last_blocks': field('last_blocks'),
    'surgery reads': field('reads'),
    'surgery each_block': field('each_block'),
    'a weight of a read': lambda value: Surgery.read(
        {'name': 'resclip', 'reads': [{'affinity': 'qk', 'weight': value}]}
    ),
    'points threshold': lambda value: explain.points(MAP, (8, 8), value),
    'points downsample': lambda value: explain.points(MAP, (8, 8), 0.8, value),
    'model threshold': ask('points', 'cat', threshold=None),
    'model downsample': ask('points', 'cat', downsample=None),
    'model block': ask('attention', (3, 3), block=None),
    'model x': lambda value: photos.model().attention(PHOTO, (value, 3)),
    'model xy': lambda value: photos.model().attention(PHOTO, value),
    'a count of words': lambda value: photos.model().recognise(PHOTO, ['cat', 'dog']).best(value),
    'opacity': lambda value: photos.model().segment(PHOTO, ['cat', 'dog']).draw(value),
    "a guide's layers": lambda value: read_sizes(SIZES | dict(layers=value)),
}


@pytest.mark.parametrize('call', SETTINGS.values(), ids=SETTINGS.keys())
def test_what_is_no_number_is_refused(call):
    for value in NONE_OF_THEM:
        with pytest.raises(ValueError, match=r'.'):
            call(value)


FLOATS = [name for name, value in RELEASED.items() if isinstance(value, float)]


@pytest.mark.parametrize('name', FLOATS)
@pytest.mark.parametrize('value', NONE_OF_THEM, ids=repr)
def test_constants_of_surgeries_are_finite(name, value):
    row = next(key for key, surgery in SURGERIES.items() if name in surgery.constants)
    with pytest.raises(ValueError, match=f"the constant '{name}'"):
        Surgery.read({'name': row, 'constants': {name: value}})


def test_a_preprocessor_without_statistics_is_no_mistake_here():
    CLIPSurgeryDataPreProcessor()
