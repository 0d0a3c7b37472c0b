"""Relevance of words: both formulas against open_clip's own text tower."""

import photos
import tiny
from mmseg_clipsurgery.api.word_relevance import token_embeddings, word_relevance
from mmseg_clipsurgery.similarity import normalize

import open_clip
import pytest
import torch

pytestmark = pytest.mark.mmseg

SENTENCE = 'a zebra sleeps, unbelievably quietly'
TOKENIZE = open_clip.SimpleTokenizer()


@pytest.fixture(scope='module')
def encoder():
    return tiny.text_encoder(photos.ARCH)


@pytest.fixture(scope='module')
def cls():
    return normalize(torch.randn(12, generator=torch.Generator().manual_seed(0)))


@torch.no_grad()
def all_tokens(ids: torch.Tensor) -> torch.Tensor:
    """Every token of open_clip's own text tower, projected and normalised: ids "t l" -> "t l c"."""
    clip = tiny.clip(photos.ARCH)
    x = clip.token_embedding(ids) + clip.positional_embedding[: ids.shape[1]]
    x = clip.ln_final(clip.transformer(x, attn_mask=clip.attn_mask))
    return normalize(x @ clip.text_projection)


@torch.inference_mode()
def test_leave_out(encoder, cls):
    words, relevance = word_relevance(encoder, cls, SENTENCE)
    assert words == SENTENCE.split()
    clip = tiny.clip(photos.ARCH)
    texts = [SENTENCE, *(' '.join(words[:i] + words[i + 1 :]) for i in range(len(words)))]
    whole, *parts = normalize(clip.encode_text(TOKENIZE(texts, context_length=12))) @ cls
    torch.testing.assert_close(relevance, torch.stack([whole - part for part in parts]), atol=1e-5, rtol=0)


@torch.inference_mode()
def test_tokens(encoder, cls):
    words, relevance = word_relevance(encoder, cls, SENTENCE, 'tokens')
    sentence, empty = all_tokens(TOKENIZE([SENTENCE, ''], context_length=12)) @ cls
    counts, start = [len(TOKENIZE.encode(word)) for word in words], 1
    assert max(counts) > 1
    for count, value in zip(counts, relevance, strict=True):
        place = slice(start, start + count)
        torch.testing.assert_close(value, (sentence - empty)[place].mean(), atol=1e-5, rtol=0)
        start += count


@torch.inference_mode()
def test_token_embeddings_are_the_towers(encoder):
    ids = TOKENIZE([SENTENCE], context_length=12)
    torch.testing.assert_close(
        token_embeddings(encoder, ids[0], 8), all_tokens(ids)[0, 1:9], atol=1e-5, rtol=0
    )


@torch.inference_mode()
def test_one_word_is_compared_with_nothing(encoder, cls):
    _, relevance = word_relevance(encoder, cls, 'zebra')
    whole, empty = (
        normalize(tiny.clip(photos.ARCH).encode_text(TOKENIZE(['zebra', ''], context_length=12))) @ cls
    )
    torch.testing.assert_close(relevance, (whole - empty)[None], atol=1e-5, rtol=0)


@torch.inference_mode()
def test_towers_that_are_not_causal(cls):
    arch = tiny.changed(photos.ARCH, text_cfg={'no_causal_mask': True})
    encoder = tiny.text_encoder(arch)
    assert word_relevance(encoder, cls, 'a dog')[1].shape == (2,)
    with pytest.raises(ValueError, match="use method='leave_out'"):
        word_relevance(encoder, cls, 'a dog', 'tokens')


@pytest.mark.parametrize(
    ('sentence', 'method', 'message'),
    [
        pytest.param('', 'leave_out', "sentence ''; give one with at least one word", id='empty'),
        pytest.param(None, 'leave_out', 'sentence None', id='none'),
        pytest.param(
            'dog ' * 11, 'leave_out', 'has 11 tokens and the text tower reads 10; shorten', id='long'
        ),
        pytest.param('a dog', 'shap', "'leave_out', 'tokens'.*got 'shap'", id='method'),
        pytest.param('Ã la carte', 'tokens', 'joins characters of neighbouring words', id='mended'),
    ],
)
def test_mistakes(encoder, cls, sentence, method, message):
    with pytest.raises(ValueError, match=message):
        word_relevance(encoder, cls, sentence, method)
