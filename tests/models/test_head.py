"""The head: which similarity it takes when, in which precision, and what it tells MMSeg's tools."""

import segmentors
from mmseg_clipsurgery.similarity import feature_surgery, single_text_surgery
from mmseg_clipsurgery.structures import ImageTokens, TextQueries

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

pytestmark = pytest.mark.mmseg

GRID = (3, 5)


def head(**settings):
    return MODELS.build(dict(type='SurgeryHead', **settings))


def tokens(seed: int = 0, dtype: torch.dtype = torch.float32) -> ImageTokens:
    """Two images of 3 x 5 patches, c = 8, lengths far from 1."""
    random = torch.Generator().manual_seed(seed)
    cls_token = 7 * torch.randn(2, 8, generator=random)
    return ImageTokens(cls_token.to(dtype), (7 * torch.randn(2, 8, *GRID, generator=random)).to(dtype))


def queries(count: int = 4, empty: Tensor | None = None) -> TextQueries:
    return TextQueries(segmentors.texts(count, dim=8), torch.arange(count), empty)


def as_rows(patch_tokens: Tensor) -> Tensor:
    """Patch tokens "b c h w" -> "b n c", L2-normalised."""
    return F.normalize(patch_tokens.flatten(2).transpose(1, 2), dim=-1)


def test_cosine_is_the_default():
    image, text = tokens(), queries()
    logits = head()(image._replace(cls_token=None), text)
    expected = F.cosine_similarity(
        image.patch_tokens[:, None], text.embeddings[None, :, :, None, None], dim=2
    )
    torch.testing.assert_close(logits, expected)
    assert logits.shape == (2, 4, *GRID)


@pytest.mark.parametrize('form', ['paper', 'released'])
def test_feature_surgery_with_the_class_token_of_each_image(form):
    image, text = tokens(), queries()
    expected = feature_surgery(
        F.normalize(image.cls_token, dim=-1), as_rows(image.patch_tokens), text.embeddings, form
    )
    logits = head(similarity=form)(image, text)
    torch.testing.assert_close(logits.flatten(2).transpose(1, 2), expected)


@pytest.mark.parametrize('similarity', ['cosine', 'paper', 'released'])
def test_one_word_takes_the_single_text_form(similarity):
    """Whatever the head's similarity: with one class there is nothing to compare."""
    image, empty = tokens(), segmentors.texts(1, dim=8, seed=5)
    text = queries(2, empty)
    expected = single_text_surgery(as_rows(image.patch_tokens), text.embeddings, empty)
    logits = head(similarity=similarity)(image, text)
    torch.testing.assert_close(logits.flatten(2).transpose(1, 2), expected)


def test_paper_leaves_labels_and_released_does_not():
    image, text = tokens(), queries(6)
    labels = {
        form: head(similarity=form)(image, text).argmax(dim=1) for form in ('cosine', 'paper', 'released')
    }
    assert torch.equal(labels['paper'], labels['cosine'])
    assert not torch.equal(labels['released'], labels['cosine'])


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('similarity', ['cosine', 'paper', 'released'])
def test_low_precision_tokens_give_float32_logits(similarity, dtype):
    image = tokens(dtype=dtype)
    logits = head(similarity=similarity)(image, queries())
    exact = head(similarity=similarity)(ImageTokens(*(part.float() for part in image)), queries())
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, exact, rtol=0, atol=1e-6)


@pytest.mark.parametrize('similarity', ['cosine', 'paper', 'released'])
def test_autocast_does_not_reach_the_head(similarity):
    """Logits are multiplied by 40 and more before the softmax: bf16 cosines would be off by a tenth."""
    image, text = tokens(), queries()
    exact = head(similarity=similarity)(image, text)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        logits = head(similarity=similarity)(image, text)
    assert logits.dtype == torch.float32
    assert torch.equal(logits, exact)


def test_feature_surgery_without_class_tokens_is_refused():
    with pytest.raises(ValueError, match="similarity='paper' needs class tokens"):
        head(similarity='paper')(tokens()._replace(cls_token=None), queries())


def test_only_feature_surgery_needs_the_class_token():
    needs = {form: head(similarity=form).needs_class_token for form in ('cosine', 'paper', 'released')}
    assert needs == {'cosine': False, 'paper': True, 'released': True}


def test_it_has_no_weights():
    assert not head().state_dict()


def test_what_mmseg_reads():
    plain = head(num_classes=5, threshold=0.25)
    assert (plain.num_classes, plain.out_channels, plain.threshold, plain.align_corners) == (
        5,
        5,
        0.25,
        False,
    )


@pytest.mark.parametrize(
    ('settings', 'complaint'),
    [
        (dict(similarity='euclid'), "similarity must be one of cosine, paper, released, got 'euclid'"),
        (dict(align_corners=True), 'align_corners=True is not supported'),
    ],
    ids=['unknown similarity', 'align_corners'],
)
def test_bad_settings(settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        head(**settings)
