"""Settings that one of our classes does not know are refused by name before anything is built."""

import mini_voc
from mmseg_clipsurgery.evaluation import registration  # noqa: F401
from mmseg_clipsurgery.evaluation.keywords import check_keywords
from mmseg_clipsurgery.evaluation.metrics.segmentation import SegmentationMetric

import pytest
from mmengine.config import Config

pytestmark = pytest.mark.mmseg


def test_a_good_config_passes():
    config = mini_voc.config('voc')
    config.custom_hooks = [dict(type='HeatMapsHook', classes=['cat'], priority='LOW')]
    check_keywords(config)


@pytest.mark.parametrize(
    ('key', 'message'),
    [
        ('model.pretraind', "CLIPSurgerySegmentor has no setting 'pretraind': did you mean pretrained"),
        ('model.backbone.surgry', "CLIPSurgeryViT has no setting 'surgry': did you mean surgery"),
        ('model.text_encoder.vocab', "OpenCLIPTextEncoder has no setting 'vocab'"),
        ('model.decode_head.treshold', "SurgeryHead has no setting 'treshold': did you mean threshold"),
        (
            'model.data_preprocessor.meen',
            "CLIPSurgeryDataPreProcessor has no setting 'meen': did you mean mean",
        ),
        (
            'test_evaluator.ignore_indx',
            "SegmentationMetric has no setting 'ignore_indx': did you mean ignore_index",
        ),
    ],
)
def test_unknown_settings_are_named(key, message):
    config = mini_voc.config('voc')
    config.merge_from_dict(
        {
            'model.data_preprocessor.type': 'CLIPSurgeryDataPreProcessor',
            'model.decode_head.type': 'SurgeryHead',
            key: 3,
        }
    )
    with pytest.raises(ValueError, match=message):
        check_keywords(config)


def test_within_test_time_augmentation_and_in_lists():
    metric = dict(type='RecognitionMAP', widthout=['background'])
    with pytest.raises(ValueError, match="RecognitionMAP has no setting 'widthout': did you mean without"):
        check_keywords(Config(dict(test_evaluator=[metric])))
    inner = dict(type='CLIPSurgeryTTAModel', module=dict(type='CLIPSurgeryRecogniser', fom='paper'))
    with pytest.raises(ValueError, match="CLIPSurgeryRecogniser has no setting 'fom': did you mean form"):
        check_keywords(Config(dict(model=inner)))


def test_within_pipelines():
    step = dict(type='LoadDeepAnnotations', imdecode_backnd='cv2')
    dataset = dict(type='BaseSegDataset', pipeline=[dict(type='LoadImageFromFile', colour=1), step])
    message = "LoadDeepAnnotations has no setting 'imdecode_backnd': did you mean imdecode_backend"
    with pytest.raises(ValueError, match=message):
        check_keywords(Config(dict(test_dataloader=dict(dataset=dataset))))
    with pytest.raises(ValueError, match=message):
        check_keywords(Config(dict(tta_pipeline=[dict(type='TestTimeAug', transforms=[[step]])])))


def test_classes_of_others_are_left_alone():
    check_keywords(
        Config(dict(test_evaluator=dict(type='IoUMetric', more=1), model=dict(type='EncoderDecoder', x=1)))
    )


def test_the_metric_refuses_what_its_base_would_drop():
    with pytest.raises(ValueError, match="SegmentationMetric has no setting 'ignore_indx'"):
        SegmentationMetric(ignore_indx=3)
