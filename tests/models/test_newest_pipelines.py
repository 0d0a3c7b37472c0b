"""The newer methods through the segmentor: the authors' predictions, batches, and parts that do not go together."""

from typing import Any

import golden
import golden_newest
import segmentors
from mmseg_clipsurgery.models.segmentor import CLIPSurgerySegmentor
from mmseg_clipsurgery.structures import ImageTokens, TextQueries

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

pytestmark = pytest.mark.mmseg

PIPELINES = golden_newest.names('pipeline_*')
NEAR = 1e-4  # two scores, or a score and a threshold, this near to each other may fall either way
RFCLIP = dict(name='rfclip', constants=dict(sinks=golden_newest.SINKS))
BASES = {
    'naclip': dict(name='resclip'),
    'clearclip': dict(name='resclip', affinity='qq&cross'),
    'sclip': dict(name='resclip', affinity='qq+kk&cross', residual=True, ffn=True),
}
FEEDBACK = dict(scale=1.8, share=0.7, floor=0.3)
TOWER = golden_newest.load('pipeline_scclip_vit12_dev')[1]['tower']
DINO = golden_newest.load('pipeline_proxyclip_vit12_dev')[1]
QUERIES = golden_newest.load('pipeline_scclip_vit12_dev')[0]['queries']
CLASS_OF = [0, 0, 1, 1, 1, 2, 3]
SLIDE = dict(mode='slide', crop_size=96, stride=48)


def segmentor(
    surgery: Any,
    queries: Tensor = QUERIES,
    class_of: Any = CLASS_OF,
    guide: Any = None,
    head: Any = None,
    tower: Any = TOWER,
    **test_cfg: Any,
) -> CLIPSurgerySegmentor:
    """A segmentor over a tower of the golden numbers with given texts."""
    words: dict[str, list[str]] = {f'class {k}' if k else 'background': [] for k in sorted(set(class_of))}
    for query, k in enumerate(class_of):
        list(words.values())[k].append(f'query {query}')
    weights = str(golden_newest.weights_file(tower))
    backbone = dict(
        type='CLIPSurgeryViT', arch=golden_newest.arch(tower), pretrained=weights, surgery=surgery
    )
    config = dict(
        type='CLIPSurgerySegmentor',
        backbone=backbone,
        text_encoder=dict(type=segmentors.FixedTexts, embeddings=queries, words=words),
        decode_head=dict(type='SurgeryHead', **(head or {})),
        guide=guide,
        test_cfg=test_cfg,
    )
    return MODELS.build(config)


def of_file(name: str) -> tuple[dict[str, Tensor], dict[str, Any], CLIPSurgerySegmentor]:
    """(arrays, settings, segmentor) of a golden pipeline."""
    arrays, stated = golden_newest.load(name)
    surgery = dict(name=name.split('_')[1])
    settings = dict(
        mode='slide',
        crop_size=stated['crop'],
        stride=stated['stride'],
        logit_scale=stated['logit_scale'],
        prob_thd=stated['prob_thd'],
        area_thd=stated['area_thd'],
        pad_windows=stated.get('pad', False),
        scores=True,
    )
    if 'attn_sfr_weights' in stated:
        surgery['constants'] = dict(cross=stated['attn_rcs_weights'])
        scale, share = stated['attn_sfr_weights']
        settings['feedback'] = dict(scale=scale, share=share, floor=stated['temp_thd'])
    guide = golden_newest.dino_config(stated)
    model = segmentor(
        surgery, arrays['queries'], stated['query_class'], guide, tower=stated['tower'], **settings
    )
    return arrays, stated, model


@pytest.mark.parametrize('name', PIPELINES)
def test_labels_and_scores_are_those_of_the_public_code(name):
    arrays, stated, model = of_file(name)
    sample = segmentors.samples(dict(ori_shape=tuple(stated['ori_shape'])))
    (result,) = model.predict(golden_newest.image(stated), sample)
    labels, scores = result.pred_sem_seg.data[0], result.seg_logits.data
    best = scores.topk(2, dim=0).values
    decided = (best[0] - best[1] >= NEAR) & ((best[0] - stated['prob_thd']).abs() >= NEAR)
    assert decided.float().mean() > 0.99
    assert torch.equal(labels[decided], arrays['seg_pred'].long()[decided])
    if 'resclip' in name:  # its code divides by the sum over classes
        scores = scores / scores.sum(dim=0)
    kept = arrays['seg_prob'].amax(dim=(1, 2), keepdim=True) > 0  # the area rule leaves 0 there
    golden.assert_close(scores[:, ::3, ::3] * kept, arrays['seg_prob'])


@pytest.mark.parametrize(('key', 'view'), [('logits', 'whole'), ('logits_no_whole', 'image')])
def test_logits_with_the_whole_image_are_those_of_the_public_code(key, view):
    arrays, stated = golden_newest.load('rfclip_logits_vit12_dev_96x96')
    tower = golden_newest.vit(stated['tower'], RFCLIP)
    shift = dict(share=stated['mean_vector_weight'], height=stated['h_threshold'])
    head = MODELS.build(
        dict(type='SurgeryHead', global_share=stated['global_semantics_weight'], prompt_shift=shift)
    )
    with torch.no_grad():
        patches = tower(golden_newest.image(stated)).patch_tokens
        whole = tower(golden_newest.image(stated, view)).cls_token
        queries = TextQueries(arrays['queries'], torch.arange(9))
        logits = F.interpolate(head(ImageTokens(whole, patches), queries), (96, 96), mode='bilinear')
    golden.assert_close(logits[0, :, ::4, ::4], arrays[key])


def images(*sizes: tuple[int, int]) -> list[Tensor]:
    """Scenes of the golden kind: white noise has no patches that are alike."""
    shapes = [dict(tower=TOWER, image=dict(shape=[1, 3, *size], seed=20 + k)) for k, size in enumerate(sizes)]
    return [golden_newest.image(stated)[0] for stated in shapes]


CASES: dict[str, dict[str, Any]] = {
    'scclip': dict(surgery='scclip', **SLIDE),
    'sfp': dict(surgery='sfp', **SLIDE),
    **{f'resclip on {base}': dict(surgery=row, feedback=FEEDBACK, **SLIDE) for base, row in BASES.items()},
    'rfclip': dict(
        surgery=RFCLIP, head=dict(global_share=0.3, prompt_shift=dict(share=0.2, height=0.5)), **SLIDE
    ),
    'proxyclip': dict(
        surgery='proxyclip', guide=golden_newest.dino_config(DINO), pad_windows=56, mode='slide'
    )
    | dict(crop_size=(96, 128), stride=48),
}


@pytest.mark.slow
@pytest.mark.parametrize('case', CASES.values(), ids=CASES.keys())
def test_batch_equals_single_images(case):
    model = segmentor(**case, scores=True, window_batch=3)
    every = images((96, 144), (96, 96), (112, 150))
    together = model.predict(every)
    for image, found in zip(every, together, strict=True):
        (alone,) = model.predict([image])
        torch.testing.assert_close(found.seg_logits.data, alone.seg_logits.data, atol=2e-6, rtol=0)
    assert len(together[2].pred_sem_seg.data.unique()) > 1


@pytest.mark.slow
@pytest.mark.parametrize('case', CASES.values(), ids=CASES.keys())
def test_windows_need_not_be_square(case):
    """One window of the image's own shape is the whole image; 56 pixels, the padding, divide the sides."""
    image = images((112, 168))
    case = {**case, 'crop_size': (112, 168)}
    window, whole = (segmentor(**{**case, 'mode': mode}, scores=True) for mode in ('slide', 'whole'))
    found, expected = (model.predict(image)[0].seg_logits.data for model in (window, whole))
    assert found.shape == (4, 112, 168)
    torch.testing.assert_close(found, expected, atol=2e-6, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize('name', CASES)
def test_each_setting_matters(name):
    """So the comparisons above would notice it."""
    case = dict(CASES[name])
    part = {'feedback': None, 'head': None, 'pad_windows': False}
    left_out = [key for key in part if key in case]
    image = images((112, 150))
    found = segmentor(**case, scores=True).predict(image)[0].seg_logits.data
    for key in left_out:
        other = segmentor(**{**case, key: part[key]}, scores=True).predict(image)[0].seg_logits.data
        assert (found - other).abs().max() > 1e-3, key


@pytest.mark.slow
def test_the_whole_images_class_token_is_not_the_windows():
    image = images((96, 192))

    def scores(view: str, mode: Any) -> Tensor:
        head = dict(global_share=0.5, global_view=view)
        return segmentor(RFCLIP, head=head, scores=True, **mode).predict(image)[0].seg_logits.data

    assert (scores('image', SLIDE) - scores('window', SLIDE)).abs().max() > 1e-4
    torch.testing.assert_close(scores('image', dict(mode='whole')), scores('window', dict(mode='whole')))


def test_the_whole_image_has_the_share_that_it_is_given():
    """With all of it every pixel has the whole image's scores."""
    image = images((96, 144))
    model = segmentor(RFCLIP, head=dict(global_share=1.0), scores=True, **SLIDE)
    scores = model.predict(image)[0].seg_logits.data
    whole = F.normalize(model.backbone(image[0][None]).cls_token, dim=-1) @ QUERIES.T
    expected = model.predictor.post_process(model.text_encoder()).class_scores(whole[0])
    torch.testing.assert_close(scores, expected[:, None, None].expand_as(scores), atol=1e-5, rtol=0)


def test_clusters_are_made_once_for_the_same_words(monkeypatch):
    made = []

    def counting(embeddings, height):
        made.append(len(embeddings))
        return torch.arange(len(embeddings))

    monkeypatch.setattr('mmseg_clipsurgery.models.head.complete_linkage', counting)
    model = segmentor(RFCLIP, head=dict(prompt_shift=dict(share=0.1, height=0.1)), window_batch=1, **SLIDE)
    model.predict(images((96, 144)))
    model.predict(images((96, 96)))
    assert made == [7]
    other = TextQueries(QUERIES[:3].clone(), torch.arange(3))
    model.decode_head(ImageTokens(torch.ones(1, 64), torch.ones(1, 64, 2, 2)), other)
    assert made == [7, 3]


@pytest.mark.slow
def test_variants_have_feedback_of_their_own():
    weights = str(golden_newest.weights_file(TOWER))
    config = dict(
        type='CLIPSurgerySegmentor',
        backbone=dict(
            type='CLIPSurgeryViT', arch=golden_newest.arch(TOWER), pretrained=weights, surgery='clip'
        ),
        text_encoder=dict(
            type=segmentors.FixedTexts, embeddings=QUERIES, words=[f'query {k}' for k in range(7)]
        ),
        guide=golden_newest.dino_config(DINO),
        test_cfg=dict(SLIDE),
        variants=dict(
            naclip=dict(surgery='naclip'),
            resclip=dict(surgery='resclip', test_cfg=dict(feedback=FEEDBACK)),
            proxyclip=dict(surgery='proxyclip'),
        ),
    )
    model = MODELS.build(config)
    image = images((96, 144))
    found = {sample.variant: sample.pred_sem_seg.data for sample in model.predict(image)}
    for name, predictor in model.predictors.items():
        assert torch.equal(found[name], predictor.predict(image, model.text_encoder())[0].labels)
    assert len({tuple(labels.flatten().tolist()) for labels in found.values()}) == 3


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    'no guide': (
        dict(surgery='proxyclip'),
        "'proxyclip' reads the features of a second tower; give guide=dict",
    ),
    'windows that the guide does not fill': (
        dict(
            surgery='proxyclip', guide=golden_newest.dino_config(DINO), mode='slide', crop_size=100, stride=50
        ),
        'windows of 100 x 100 pixels end within a patch of the guide, which has 8 pixels; give '
        'test_cfg.pad_windows=16 or',
    ),
    'padding that the guide does not fill': (
        dict(surgery='proxyclip', guide=golden_newest.dino_config(DINO), pad_windows=20),
        'windows padded to multiples of 20 end within a patch of the guide',
    ),
    'another guide': (dict(surgery='proxyclip', guide=dict(type='SAM')), 'whose type is one of DINOViT, got'),
    'feedback for a surgery that takes none': (
        dict(surgery='scclip', feedback=FEEDBACK),
        "'scclip' takes no feedback",
    ),
    'feedback out of range': (
        dict(surgery='resclip', feedback=dict(FEEDBACK, share=2)),
        'test_cfg.feedback must be like dict',
    ),
    'feedback without a floor': (
        dict(surgery='resclip', feedback=dict(scale=1.0, share=0.5)),
        "test_cfg.feedback must be like dict.*'floor'",
    ),
    'padding': (
        dict(surgery='scclip', pad_windows=-1),
        'pad_windows must be True, False or a number of pixels',
    ),
    'padding in words': (dict(surgery='scclip', pad_windows='56'), 'pad_windows must be True'),
    'share': (dict(surgery=RFCLIP, head=dict(global_share=1.5)), 'global_share must lie between 0 and 1'),
    'shift': (
        dict(surgery=RFCLIP, head=dict(prompt_shift=dict(share=0.1))),
        'prompt_shift must be like dict',
    ),
    'view': (dict(surgery=RFCLIP, head=dict(global_view='tile')), 'global_view must be one of image, window'),
    'share and feature surgery': (
        dict(surgery=RFCLIP, head=dict(global_share=0.1, similarity='paper')),
        "go with similarity='cosine', got 'paper'",
    ),
}


@pytest.mark.parametrize(('case', 'message'), MISTAKES.values(), ids=MISTAKES.keys())
def test_parts_that_do_not_go_together(case, message):
    with pytest.raises(ValueError, match=message):
        segmentor(**case)


@pytest.mark.parametrize(
    ('extra', 'message'),
    [
        (dict(test_cfg=dict(feedback=FEEDBACK)), "labels patches by the words, and there is 'cat' alone"),
        (dict(decode_head=dict(type='SurgeryHead', global_share=0.1)), 'the vocabulary is one word'),
    ],
    ids=['feedback', 'share'],
)
def test_one_word_is_too_few(extra, message):
    weights = str(golden_newest.weights_file(TOWER))
    backbone = dict(
        type='CLIPSurgeryViT', arch=golden_newest.arch(TOWER), pretrained=weights, surgery='resclip'
    )
    text = dict(type=segmentors.FixedTexts, embeddings=QUERIES[:1], words=['cat'], empty=QUERIES[1:2])
    with pytest.raises(ValueError, match=message):
        MODELS.build(dict(type='CLIPSurgerySegmentor', backbone=backbone, text_encoder=text, **extra))


def test_too_small_a_grid_for_the_outlier_test():
    model = segmentor('scclip', mode='slide', crop_size=80, stride=80)
    with pytest.raises(ValueError, match='compares each patch with 30 others, the grid has 25 patches'):
        model.predict(images((96, 96)))
