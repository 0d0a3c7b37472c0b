"""Similarity: golden numbers, short formulas against long ones, and which labels a surgery leaves alone."""

import golden
from golden_weights import text as golden_text
from mmseg_clipsurgery import similarity
from mmseg_clipsurgery.structures import ImageTokens, TextQueries
from tensor_sizes import LargestTensor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

FORMS = ['paper', 'released']
sizes = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 7), st.integers(1, 8))
seeds = st.integers(0, 2**31)
fast = settings(max_examples=40, deadline=None)


def unit(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Random vectors of unit length along the last axis; class texts and patches share a direction."""
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(shape, generator=generator, dtype=torch.float64)
    vectors = vectors + torch.randn(shape[-1], generator=generator, dtype=torch.float64)
    return (vectors / vectors.norm(dim=-1, keepdim=True)).to(dtype)


def tokens(size: tuple[int, int, int, int], seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """cls "b c", patches "b n c", text "k c"."""
    b, n, k, c = size
    return unit(b, c, seed=seed), unit(b, n, c, seed=seed + 1), unit(k, c, seed=seed + 2)


def long_surgery(cls: Tensor, patches: Tensor, text: Tensor, form: str) -> Tensor:
    """Feature surgery channel by channel, as published: products "b n k c", redundant part "b n 1 c"."""
    weights = torch.softmax(2 * torch.einsum('bc,kc->bk', cls, text), dim=-1)
    weights = weights / weights.mean(dim=-1, keepdim=True)
    products = torch.einsum('bnc,kc->bnkc', patches, text)
    weighted = products * weights[:, None, :, None]
    redundant = weighted.mean(dim=2, keepdim=True)
    return ((products if form == 'paper' else weighted) - redundant).sum(dim=-1)


@pytest.mark.parametrize('name', golden.names('cs_*'))
def test_golden_similarity(name):
    reference = golden.load(name)
    features = similarity.normalize(reference['features'])
    text = golden_text(5, features.shape[-1], golden.seed_of(name))
    actual = similarity.feature_surgery(features[:, 0], features, text, form='released')
    golden.assert_close(actual, reference['similarity'])


@pytest.mark.parametrize('name', golden.names('cs_*'))
def test_golden_single_text(name):
    reference = golden.load(name)
    features = similarity.normalize(reference['features'])
    seed, width = golden.seed_of(name), features.shape[-1]
    actual = similarity.single_text_surgery(
        features, golden_text(5, width, seed)[:1], golden_text(1, width, seed + 100)
    )
    golden.assert_close(actual, reference['similarity_single'])


@pytest.mark.parametrize('form', FORMS)
@given(size=sizes, seed=seeds)
@fast
def test_short_formula_equals_long(form, size, seed):
    inputs = tokens(size, seed)
    torch.testing.assert_close(
        similarity.feature_surgery(*inputs, form=form), long_surgery(*inputs, form=form)
    )


@given(size=sizes, seed=seeds)
@fast
def test_paper_form_leaves_labels(size, seed):
    cls, patches, text = tokens(size, seed)
    plain = similarity.cosine(patches, text)
    label = similarity.feature_surgery(cls, patches, text, form='paper').argmax(dim=-1, keepdim=True)
    torch.testing.assert_close(plain.gather(-1, label), plain.amax(dim=-1, keepdim=True))


def test_released_form_changes_labels():
    """A class that is obvious in the image wins a patch whose cosine is a little higher for another class."""
    text = torch.eye(2)
    patches = similarity.normalize(torch.tensor([[[1.0, 0.9]]]))
    cls = text[1:]
    assert similarity.cosine(patches, text).argmax() == 0
    assert similarity.feature_surgery(cls, patches, text, form='paper').argmax() == 0
    assert similarity.feature_surgery(cls, patches, text, form='released').argmax() == 1


@given(size=sizes, seed=seeds)
@fast
def test_single_text_is_a_difference_of_cosines(size, seed):
    _, patches, text = tokens(size, seed)
    empty = unit(1, size[-1], seed=seed + 3)
    difference = similarity.cosine(patches, text) - similarity.cosine(patches, empty)
    torch.testing.assert_close(similarity.single_text_surgery(patches, text, empty), difference)


@pytest.mark.parametrize('form', FORMS)
@given(size=sizes, seed=seeds, data=st.data())
@fast
def test_permuting_classes_permutes_similarity(form, size, seed, data):
    cls, patches, text = tokens(size, seed)
    order = data.draw(st.permutations(range(len(text))))
    permuted = similarity.feature_surgery(cls, patches, text[order], form=form)
    torch.testing.assert_close(
        permuted, similarity.feature_surgery(cls, patches, text, form=form)[..., order]
    )


@pytest.mark.parametrize('form', FORMS)
@given(size=sizes, seed=seeds)
@fast
def test_batch_equals_singles(form, size, seed):
    cls, patches, text = tokens(size, seed)
    singles = [
        similarity.feature_surgery(cls[[i]], patches[[i]], text, form=form) for i in range(len(patches))
    ]
    torch.testing.assert_close(similarity.feature_surgery(cls, patches, text, form=form), torch.cat(singles))


@given(size=sizes, seed=seeds)
@fast
def test_weights_have_mean_one(size, seed):
    cls, _, text = tokens(size, seed)
    weights = similarity.class_weights(cls, text)
    assert (weights > 0).all()
    torch.testing.assert_close(weights.mean(dim=-1), torch.ones(len(cls), dtype=cls.dtype))


@pytest.mark.parametrize('form', FORMS)
def test_one_class_leaves_nothing(form):
    result = similarity.feature_surgery(*tokens((2, 4, 1, 8), seed=0), form=form)
    torch.testing.assert_close(result, torch.zeros(2, 4, 1, dtype=torch.float64))


@pytest.mark.parametrize('form', FORMS)
def test_no_tensor_over_patches_classes_and_channels(form):
    b, n, k, c = size = (2, 50, 40, 64)
    inputs = tokens(size, seed=0)
    with LargestTensor() as largest:
        similarity.feature_surgery(*inputs, form=form)
        similarity.single_text_surgery(inputs[1], inputs[2], inputs[2][:1])
    assert 0 < largest.elements <= b * n * max(k, c)


@given(size=sizes, seed=seeds, length=st.floats(0.01, 100))
@fast
def test_cosine_ignores_length(size, seed, length):
    _, patches, text = tokens(size, seed)
    plain = torch.einsum('bnc,kc->bnk', patches, text)
    torch.testing.assert_close(similarity.cosine(length * patches, text / length), plain)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_dtype_is_kept_and_zero_stays_zero(dtype):
    cls, patches, text = (part.to(dtype) for part in tokens((2, 5, 3, 16), seed=0))
    patches[:, 0] = 0
    assert similarity.class_weights(cls, text).dtype == dtype
    assert similarity.feature_surgery(cls, patches, text).dtype == dtype
    assert similarity.single_text_surgery(patches, text, text[:1]).dtype == dtype
    plain = similarity.cosine(patches, text)
    assert plain.dtype == dtype
    assert plain.isfinite().all()
    assert (plain[:, 0] == 0).all()


CLS, PATCHES, TEXT = torch.ones(2, 8), torch.ones(2, 4, 8), torch.ones(3, 8)
ERRORS = {
    'unknown form': (similarity.feature_surgery, (CLS, PATCHES, TEXT, 'papers'), "got 'papers'"),
    'class token of one image': (
        similarity.feature_surgery,
        (CLS[:1], PATCHES, TEXT),
        r'\(2, 8\).*got \(1, 8\)',
    ),
    'patches without batch': (similarity.feature_surgery, (CLS, PATCHES[0], TEXT), r'"b n c".*\(4, 8\)'),
    'patches as a grid': (similarity.single_text_surgery, (PATCHES[:, None], TEXT, TEXT[:1]), '"b n c"'),
    'text of another width': (similarity.feature_surgery, (CLS, PATCHES, TEXT[:, :4]), r'c = 8.*\(3, 4\)'),
    'no text': (similarity.cosine, (PATCHES, TEXT[:0]), r'at least one text.*\(0, 8\)'),
    'one text without axis': (similarity.cosine, (PATCHES, TEXT[0]), r'"k c".*\(8,\)'),
    'weights, text of another width': (similarity.class_weights, (CLS, TEXT[:, :4]), r'c = 8.*\(3, 4\)'),
    'several empty texts': (similarity.single_text_surgery, (PATCHES, TEXT, TEXT), r'"1 c".*got \(3, 8\)'),
    'empty text without axis': (similarity.single_text_surgery, (PATCHES, TEXT, TEXT[0]), r'got \(8,\)'),
}


@pytest.mark.parametrize(('function', 'arguments', 'message'), ERRORS.values(), ids=ERRORS.keys())
def test_errors(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)


# Grid logits: the similarity by its name, from tokens that are not normalised.

GRID = (3, 5)


def image_tokens(dtype: torch.dtype = torch.float32) -> ImageTokens:
    """Two images of 3 x 5 patches, c = 8, lengths far from 1."""
    random = torch.Generator().manual_seed(0)
    cls_token = 7 * torch.randn(2, 8, generator=random)
    return ImageTokens(cls_token.to(dtype), (7 * torch.randn(2, 8, *GRID, generator=random)).to(dtype))


def queries(count: int = 4, empty: Tensor | None = None) -> TextQueries:
    return TextQueries(unit(count, 8, seed=3, dtype=torch.float32), torch.arange(count), empty)


def patch_rows(tokens: ImageTokens) -> Tensor:
    """Patch tokens "b n c", L2-normalised."""
    return torch.nn.functional.normalize(tokens.patch_tokens.flatten(2).transpose(1, 2), dim=-1)


def test_grid_logits_are_cosines_unless_asked_otherwise():
    image, text = image_tokens(), queries()
    found = similarity.grid_logits(image._replace(cls_token=None), text)
    expected = torch.cosine_similarity(
        image.patch_tokens[:, None], text.embeddings[None, :, :, None, None], dim=2
    )
    assert found.shape == (2, 4, *GRID)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize('form', FORMS)
def test_grid_logits_weigh_classes_by_each_images_class_token(form):
    image, text = image_tokens(), queries()
    cls = torch.nn.functional.normalize(image.cls_token, dim=-1)
    expected = similarity.feature_surgery(cls, patch_rows(image), text.embeddings, form)
    found = similarity.grid_logits(image, text, form)
    torch.testing.assert_close(found.flatten(2).transpose(1, 2), expected)


@pytest.mark.parametrize('name', similarity.SIMILARITIES)
def test_one_word_takes_the_single_text_form(name):
    """Whatever the similarity: with one class there is nothing to compare."""
    image, empty = image_tokens(), unit(1, 8, seed=5, dtype=torch.float32)
    text = queries(2, empty)
    expected = similarity.single_text_surgery(patch_rows(image), text.embeddings, empty)
    found = similarity.grid_logits(image, text, name)
    torch.testing.assert_close(found.flatten(2).transpose(1, 2), expected)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('name', similarity.SIMILARITIES)
def test_low_precision_tokens_give_float32_logits(name, dtype):
    image = image_tokens(dtype)
    found = similarity.grid_logits(image, queries(), name)
    exact = similarity.grid_logits(ImageTokens(*(part.float() for part in image)), queries(), name)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, exact, rtol=0, atol=1e-6)


@pytest.mark.parametrize('name', similarity.SIMILARITIES)
def test_autocast_leaves_grid_logits_exact(name):
    """Logits are multiplied by 40 and more before the softmax: bf16 cosines would be off by a tenth."""
    image, text = image_tokens(), queries()
    exact = similarity.grid_logits(image, text, name)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = similarity.grid_logits(image, text, name)
    assert found.dtype == torch.float32
    assert torch.equal(found, exact)


@pytest.mark.parametrize(
    ('name', 'complaint'),
    [
        ('paper', "similarity='paper' needs class tokens"),
        ('euclid', "similarity must be one of cosine, paper, released, got 'euclid'"),
    ],
    ids=['no class tokens', 'unknown'],
)
def test_grid_logits_refuse(name, complaint):
    with pytest.raises(ValueError, match=complaint):
        similarity.grid_logits(image_tokens()._replace(cls_token=None), queries(), name)
