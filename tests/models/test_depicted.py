"""Maps of the classes alone that an image's truth holds: they are those of all classes, whatever they are made by."""

import golden
import segmentors
from mmseg_clipsurgery.evaluation.hooks.heat_maps import HeatMapsHook
from mmseg_clipsurgery.evaluation.metrics.segmentation import SegmentationMetric
from mmseg_clipsurgery.inference.settings import InferenceSettings
from mmseg_clipsurgery.models.depicted import depicted_classes

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

pytestmark = pytest.mark.mmseg

SIZE = (12, 16)
NO_POINTS = torch.zeros(0, 2, dtype=torch.long)


def pointed(*classes: int) -> SegDataSample:
    """An image of these classes by its points."""
    meta = dict(ori_shape=SIZE, gt_points={k: (torch.tensor([[0, 0]]), NO_POINTS) for k in classes})
    return SegDataSample(metainfo=meta)


def masked(*labels: int) -> SegDataSample:
    """An image of these labels by its mask."""
    sample = SegDataSample(metainfo=dict(ori_shape=SIZE))
    sample.gt_sem_seg = PixelData(data=torch.tensor(labels)[None, None])
    return sample


def model(similarity: str, maps, **test_cfg):
    config = segmentors.word_config(maps=maps, **test_cfg)
    return MODELS.build(dict(config, decode_head=dict(type='SurgeryHead', similarity=similarity)))


@pytest.mark.parametrize(
    ('similarity', 'test_cfg'),
    [
        pytest.param('cosine', {}, id='cosine'),
        pytest.param('released', {}, id='feature surgery'),
        pytest.param('released', dict(mode='slide', crop_size=8, stride=4), id='windows'),
        pytest.param('cosine', dict(explainer='legrad'), id='gradients'),
        pytest.param('cosine', dict(explainer='attention'), id='no text'),
        pytest.param('cosine', dict(explainer='clip:released'), id='feature surgery explains'),
    ],
)
def test_maps_are_those_of_all_classes(similarity, test_cfg):
    images = segmentors.images((16, 16), (16, 24))
    asked = [pointed(1, 3), masked(2, 255)]
    every = model(similarity, True, **test_cfg).predict(images, [pointed(), pointed()])
    found = model(similarity, 'depicted', **test_cfg).predict(images, asked)
    assert [sample.map_classes for sample in found] == [[1, 3], [2]]
    for sample, full in zip(found, every, strict=True):
        golden.assert_close(sample.class_maps.data, full.class_maps.data[sample.map_classes], 1e-5)
        assert 'pred_sem_seg' not in sample


def test_variants_have_maps_of_the_same_classes():
    variants = dict(plain=dict(surgery='clip'), mine=dict(surgery='sclip', similarity='released'))
    found = {}
    for maps in (True, 'depicted'):
        config = dict(segmentors.word_config(maps=maps), variants=variants)
        predicted = MODELS.build(config).predict(segmentors.images((16, 16)), [pointed(0, 2)])
        found[maps] = {sample.variant: sample for sample in predicted}
    for name, sample in found['depicted'].items():
        golden.assert_close(sample.class_maps.data, found[True][name].class_maps.data[[0, 2]], 1e-5)
    assert list(found['depicted']) == list(variants)


def test_an_image_of_no_class_has_no_map():
    (found,) = model('cosine', 'depicted').predict(segmentors.images((16, 16)), [masked(255, 7)])
    assert (found.map_classes, tuple(found.class_maps.data.shape)) == ([], (0, *SIZE))


def test_an_image_without_truth_is_refused():
    with pytest.raises(ValueError, match='maps of the classes that the truth holds, and there is none: set'):
        depicted_classes(SegDataSample(), 4)


def test_what_needs_labels_or_all_maps_is_refused():
    with pytest.raises(ValueError, match="maps='depicted' leaves no scores of all classes"):
        InferenceSettings.read(dict(maps='depicted', scores=True), 4)
    with pytest.raises(
        ValueError, match=r"test_cfg\.maps must be True or False, or 'depicted', got 'depict'"
    ):
        InferenceSettings.read(dict(maps='depict'), 4)
    sample = SegDataSample()
    sample.set_data(dict(class_maps=1, map_classes=[]))
    with pytest.raises(ValueError, match=r'the model gives no labels: set model\.test_cfg\.maps'):
        SegmentationMetric().process(None, [sample.to_dict()])
    with pytest.raises(ValueError, match=r'maps of depicted classes alone; set model\.test_cfg\.maps=True'):
        HeatMapsHook().draw(sample)
