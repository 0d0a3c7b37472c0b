"""Captions, the words of the vocabulary, and the tokenizer."""

from pathlib import Path

import mmseg_clipsurgery
from mmseg_clipsurgery.scenes import curriculum, draw_scene, spec, words

import numpy as np
import pytest


def test_a_caption_names_what_is_there():
    scene = draw_scene('val', 3)
    random = np.random.RandomState(0)
    for _ in range(20):
        named = words.caption(scene, random, tint_probability=1.0)
        assert curriculum.contents(named) == tuple(
            sorted([*(f'{tint} {name}' for name, tint in scene.objects), *scene.grounds])
        )
        bare = words.caption(scene, random, tint_probability=0.0)
        assert curriculum.contents(bare) == tuple(
            sorted([*(name for name, _ in scene.objects), *scene.grounds])
        )


def test_the_vocabulary_of_the_benchmark_is_its_classes():
    from mmseg_clipsurgery.vocabulary import Vocabulary

    assert Vocabulary.read('scenes').classes == spec.CLASSES


@pytest.fixture(scope='module')
def tokenizer():
    from open_clip.tokenizer import SimpleTokenizer

    merges = Path(mmseg_clipsurgery.__file__).parent / 'resources' / 'scenes' / 'merges.txt.gz'
    return SimpleTokenizer(bpe_path=str(merges), context_length=words.CONTEXT_LENGTH)


def test_the_shipped_merges_are_those_of_the_words(tmp_path):
    words.write_merges(tmp_path / 'merges.txt.gz')
    shipped = Path(mmseg_clipsurgery.__file__).parent / 'resources' / 'scenes' / 'merges.txt.gz'
    assert (tmp_path / 'merges.txt.gz').read_bytes() == shipped.read_bytes()


def test_the_tokenizer_makes_one_token_of_each_word_and_gives_words_back(tokenizer):
    assert tokenizer.vocab_size == words.vocabulary_size()
    assert tokenizer.eot_token_id == words.vocabulary_size() - 1
    for word in (*spec.CLASSES, *spec.TINTS):
        assert len(tokenizer.encode(word)) == 1
    text = 'a photo of a red fish and a ladybird on grass and gravel'
    assert len(tokenizer.encode(text)) == len(text.split())
    assert tokenizer.decode(tokenizer.encode(text)).strip() == text
    assert tokenizer.decode(tokenizer.encode('un mot étranger')).strip() == 'un mot étranger'


def test_the_longest_caption_fits(tokenizer):
    text = 'a photo of an orange ladybird and a purple zebra and a yellow house on gravel and water'
    assert len(tokenizer.encode(text)) + 2 <= words.CONTEXT_LENGTH
