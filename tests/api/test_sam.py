"""From points to masks with small, randomly initialised SAMs of the real classes."""

import sys

import photos
from mmseg_clipsurgery.api.results import Points
from mmseg_clipsurgery.api.sam import Sam
from tiny_sam import make_sam

import numpy as np
import pytest

pytestmark = pytest.mark.mmseg


@pytest.fixture(scope='module')
def transformers():
    return pytest.importorskip('transformers', reason='transformers, the extra [sam], is not installed')


@pytest.fixture(scope='module')
def sam_folder(transformers, tmp_path_factory):
    return make_sam(transformers, tmp_path_factory.mktemp('sam'))


@pytest.fixture(scope='module')
def sam2_folder(transformers, tmp_path_factory):
    """A SAM 2 of 64 pixels."""
    if not hasattr(transformers, 'Sam2Model'):
        pytest.skip(f'transformers {transformers.__version__} has no SAM 2')
    folder = tmp_path_factory.mktemp('sam2')
    backbone = dict(
        model_type='sam2_hiera_det_model', hidden_size=8, num_attention_heads=1, image_size=[64, 64]
    )
    backbone |= dict(blocks_per_stage=[1, 1, 2, 1], embed_dim_per_stage=[8, 16, 32, 64])
    backbone |= dict(num_attention_heads_per_stage=[1, 1, 2, 4], window_size_per_stage=[8, 4, 4, 2])
    backbone |= dict(global_attention_blocks=[3], window_positional_embedding_background_size=[4, 4])
    config = transformers.Sam2Config(
        vision_config=dict(
            backbone_config=backbone,
            backbone_channel_list=[64, 32, 16, 8],
            backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
            fpn_hidden_size=32,
        ),
        prompt_encoder_config=dict(hidden_size=32, image_size=64, patch_size=16, mask_input_channels=4),
        mask_decoder_config=dict(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=2, mlp_dim=32, iou_head_hidden_dim=16
        ),
    )
    transformers.Sam2Model(config).save_pretrained(folder)
    kind = getattr(transformers, 'Sam2ImageProcessorFast', None) or transformers.Sam2ImageProcessor
    images = kind(size={'height': 64, 'width': 64}, mask_size={'height': 16, 'width': 16})
    transformers.Sam2Processor(images, target_size=64).save_pretrained(folder)
    return folder


def points(count: int = 4) -> Points:
    random = np.random.default_rng(0)
    xy = np.stack([random.integers(0, 44, count), random.integers(0, 30, count)], axis=1)
    labels = np.arange(count, dtype=np.uint8) % 2
    return Points(photos.photo(), 'cat', xy, labels, random.random((3, 4), np.float32))


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['sam_folder', 'sam2_folder'])
def test_mask(kind, request):
    sam = Sam(request.getfixturevalue(kind))
    answer = sam.mask(points())
    assert answer.mask.shape == (30, 44)
    assert answer.mask.dtype == bool
    again = sam.mask(points())
    assert np.array_equal(answer.mask, again.mask)
    assert answer.score == again.score
    assert answer.draw().size[0] > 200


@pytest.mark.parametrize('kind', ['sam_folder', 'sam2_folder'])
def test_the_best_of_three_masks_at_the_place_of_the_points(kind, request):
    """The model is asked with the photo's own coordinates, and its best mask comes back at the photo's size."""
    sam = Sam(request.getfixturevalue(kind))
    kept = {}
    forward = sam.model.forward

    def watched(*args, **inputs):
        kept['inputs'], kept['found'] = inputs, forward(*args, **inputs)
        return kept['found']

    sam.model.forward = watched
    answer = sam.mask(points())
    scale = 64 / np.array([44, 44 if kind == 'sam_folder' else 30])  # SAM pads to a square, SAM 2 squeezes
    np.testing.assert_allclose(kept['inputs']['input_points'][0, 0], points().xy * scale, atol=0.8)
    assert kept['inputs']['input_labels'][0, 0].tolist() == points().labels.tolist()
    scores = kept['found'].iou_scores[0, 0]
    assert len(scores) == 3
    assert answer.score == float(scores.max())


def test_from_text_to_mask(sam_folder):
    model = photos.model()
    answer = Sam(str(sam_folder)).to('cpu').mask(model.points(photos.photo(48, 64), 'cat', downsample=1))
    assert answer.mask.shape == (48, 64)
    assert answer.record()['text'] == 'cat'


def test_no_points_no_mask(sam_folder):
    with pytest.raises(ValueError, match="no points for 'cat'"):
        Sam(sam_folder).mask(points(0))


def test_a_model_that_is_not_there(transformers, tmp_path):
    with pytest.raises(FileNotFoundError, match='give a hub name such as facebook/sam-vit-base, or a folder'):
        Sam(tmp_path / 'nothing')


def test_another_kind_of_model(transformers, tmp_path):
    transformers.BertConfig().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="is a 'bert' model; give one of sam, sam2"):
        Sam(tmp_path)


def test_a_model_that_names_code(transformers, tmp_path):
    (tmp_path / 'config.json').write_text('{"model_type": "sam9", "auto_map": {"AutoConfig": "evil.Evil"}}')
    with pytest.raises(ValueError, match=r'config\.json holds auto_map'):
        Sam(tmp_path)


def test_without_transformers(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, 'transformers', None)
    with pytest.raises(ImportError, match=r'mend it with: pip install "mmseg_clipsurgery\[sam\]"'):
        Sam(tmp_path)
