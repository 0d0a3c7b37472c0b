"""The text encoder: golden numbers, cut texts against full length, the averaging formula, memory and disk."""

import gzip
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import golden
import golden_weights
import tiny
import word_tokenizer
from cases import slow_but
from mmseg_clipsurgery.clip import text_encoder as module
from mmseg_clipsurgery.clip.archs import model_config
from mmseg_clipsurgery.clip.families import build_tower
from mmseg_clipsurgery.clip.text_encoder import OpenCLIPTextEncoder
from mmseg_clipsurgery.vocabulary import Vocabulary, resource_names

import open_clip
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmseg.registry import MODELS
from torch import Tensor

MERGES = ['#version: 0.2', 't h', 'th e</w>', 'c a', 'ca t</w>', 'd o', 'do g</w>']
WORDS = ['cat', 'dog', 'the cat that is a dog']
MANY_WORDS = ('847', '459', '300', '919')  # in names of vocabularies
FEW_WORDS = [name for name in resource_names('vocabularies') if not any(many in name for many in MANY_WORDS)]
TEMPLATES = ['{}', 'a photo of the {}.', 'the {} !']
NEW = hasattr(open_clip.CLIPTextCfg, 'pool_type')  # releases that know pool_type, eos_id and no_causal_mask
needs_new = pytest.mark.skipif(not NEW, reason='open_clip too old')


@pytest.fixture(scope='session')
def arch(tmp_path_factory) -> dict:
    """The small CLIP with a tokenizer of six merges."""
    path = tmp_path_factory.mktemp('tokenizer') / 'merges.txt.gz'
    path.write_bytes(gzip.compress('\n'.join(MERGES).encode()))
    tokenizer = {'tokenizer_kwargs': {'bpe_path': str(path)}}
    return tiny.changed(
        tiny.SMALL, text_cfg={'vocab_size': 520, 'context_length': 32, 'layers': 2, **tokenizer}
    )


def random_ids(count: int, seed: int, end: int = 63, length: int = 12) -> Tensor:
    """Ids "t l" with an end token somewhere in each row, and anything but it behind."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, end, (count, length), generator=generator)
    ends = torch.randint(0, length, (count,), generator=generator)
    ids[torch.arange(count), ends] = end
    return ids


@torch.no_grad()
def open_clips_own(arch: dict, ids: Tensor) -> Tensor:
    return tiny.clip(arch).encode_text(ids)


@pytest.mark.parametrize('name', golden.names('cs_*'))
def test_golden_text_features(name):
    key = 'vit_dev' if 'vit' in name else 'rn_dev'
    seed = golden.SEEDS[key]
    encoder = tiny.text_encoder(golden.ARCHITECTURES[key], seed)
    with torch.no_grad():
        found = encoder.encode_tokens(golden_weights.token_ids(seed))
    golden.assert_close(found, golden.load(name)['text_features'])


@cache
def small_encoder(batch_tokens: int) -> OpenCLIPTextEncoder:
    return tiny.text_encoder(tiny.SMALL, batch_tokens=batch_tokens)


@cache
def own_small_clip() -> open_clip.CLIP:
    return tiny.clip(tiny.SMALL)


@given(count=st.integers(1, 9), seed=st.integers(0, 2**31), batch_tokens=st.sampled_from([1, 13, 40, 8192]))
@settings(max_examples=25, deadline=None)
def test_cut_texts_are_as_good_as_long_ones(count, seed, batch_tokens):
    encoder = small_encoder(batch_tokens)
    assert encoder.cuts_text
    ids = random_ids(count, seed)
    with torch.no_grad():
        golden.assert_close(encoder.encode_tokens(ids), own_small_clip().encode_text(ids), 5e-6)


def test_batches_are_sorted_by_length_and_bounded(monkeypatch):
    encoder, shapes = tiny.text_encoder(tiny.SMALL, batch_tokens=24), []
    cut = encoder.encode_cut

    def spy(ids, ends):
        shapes.append((len(ids), int(ends.max()) + 1))
        return cut(ids, ends)

    monkeypatch.setattr(encoder, 'encode_cut', spy)
    encoder.encode_tokens(random_ids(40, 0))
    assert sum(count for count, _ in shapes) == 40
    assert [length for _, length in shapes] == sorted(length for _, length in shapes)
    assert all(count * length <= 24 or count == 1 for count, length in shapes)


def test_what_stands_behind_the_end_does_not_matter():
    encoder, ids = tiny.text_encoder(tiny.SMALL), random_ids(5, 1)
    other = torch.where(torch.arange(12) > ids.argmax(dim=1)[:, None], 7, ids)
    with torch.no_grad():
        assert torch.equal(encoder.encode_tokens(ids), encoder.encode_tokens(other))


TOWERS = {
    'eos pooling': (dict(pool_type='eos', eos_id=40), True),
    'LayerScale': (dict(ls_init_value=0.1), True),
    'narrow MLP': (dict(mlp_ratio=1.5), True),
    'projection with bias': (dict(proj_bias=True), True),
    'no projection': (dict(proj_type='none', width=12), True),
    'first pooling': (dict(pool_type='first'), False),
    'last pooling': (dict(pool_type='last'), False),
    'no causal mask': (dict(no_causal_mask=True), False),
    'no causal mask, last pooling': (dict(no_causal_mask=True, pool_type='last'), False),
    'head scales': (dict(scale_heads=True), False),
    'attention norm': (dict(scale_attn=True), False),
    'MLP norm': (dict(scale_fc=True), False),
    'qk norm': (dict(qk_norm=True), False),
}


@needs_new
@pytest.mark.parametrize(('text', 'cuts'), TOWERS.values(), ids=TOWERS.keys())
def test_every_kind_of_tower_is_as_open_clip_encodes_it(text, cuts):
    if not all(hasattr(open_clip.CLIPTextCfg, field) for field in text):
        pytest.skip('open_clip too old')
    arch = tiny.changed(tiny.SMALL, text_cfg=text, quick_gelu=True)
    encoder, ids = tiny.text_encoder(arch), random_ids(7, 2)
    ids[3, 4] = 40
    assert encoder.cuts_text is cuts
    with torch.no_grad():
        found = encoder.encode_tokens(ids)
        golden.assert_close(found, open_clips_own(arch, ids), 1e-6)
        golden.assert_close(found, torch.cat([encoder.encode_tokens(row[None]) for row in ids]), 1e-6)


def test_a_class_embedding_is_encoded_at_full_length():
    """CoCa's text tower: it pools at a token of its own, and gives all tokens along with it."""
    arch = tiny.changed(tiny.SMALL, text_cfg={'embed_cls': True, 'output_tokens': True})
    encoder = OpenCLIPTextEncoder(arch, text_cache=False, templates=['{}'])
    assert not encoder.cuts_text
    ids = random_ids(4, 3)
    with torch.no_grad():
        assert torch.equal(encoder.encode_tokens(ids), encoder.text(ids)[0])


def test_a_text_is_its_words_through_the_templates(arch):
    encoder = tiny.text_encoder(arch, vocabulary=WORDS, templates=TEMPLATES)
    queries = encoder()
    expected = []
    for word in WORDS:
        ids = encoder.tokenizer([template.replace('{}', word) for template in TEMPLATES])
        each = open_clips_own(arch, ids)
        mean = (each / each.norm(dim=1, keepdim=True)).mean(dim=0)
        expected.append(mean / mean.norm())
    golden.assert_close(queries.embeddings, torch.stack(expected), 1e-6)
    assert queries.embeddings.dtype == torch.float32
    assert queries.class_of.tolist() == [0, 1, 2]
    assert queries.class_of.dtype == torch.int64
    assert queries.empty is None


def test_synonyms_are_queries_of_one_class(arch):
    queries = tiny.text_encoder(arch, vocabulary=[['cat', 'the cat'], 'dog'])()
    assert queries.class_of.tolist() == [0, 0, 1]
    singles = tiny.text_encoder(arch)
    for word, embedding in zip(['cat', 'the cat', 'dog'], queries.embeddings, strict=True):
        golden.assert_close(embedding[None], singles([[word], ['a']]).embeddings[:1], 1e-6)


def test_one_class_comes_with_the_empty_string(arch):
    encoder = tiny.text_encoder(arch, templates=TEMPLATES)
    queries = encoder(['cat'])
    assert queries.embeddings.shape == (1, 12)
    ids = encoder.tokenizer([template.replace('{}', '') for template in TEMPLATES])
    each = torch.nn.functional.normalize(open_clips_own(arch, ids), dim=1)
    golden.assert_close(
        queries.empty, torch.nn.functional.normalize(each.mean(dim=0, keepdim=True), dim=1), 1e-6
    )
    assert encoder([['cat', 'dog']]).empty is not None
    assert encoder(['cat', 'dog']).empty is None


@cache
def encoder_of(arch: str) -> OpenCLIPTextEncoder:
    return tiny.text_encoder(json.loads(arch), templates=TEMPLATES)


@given(order=st.permutations(range(5)))
@settings(max_examples=10, deadline=None)
def test_permuted_words_are_permuted_queries(arch, order):
    words = ['cat', 'dog', 'the', 'a cat', 'dogs and cats']
    encoder = encoder_of(json.dumps(arch))
    found = encoder([words[index] for index in order]).embeddings
    golden.assert_close(found, encoder(words).embeddings[list(order)], 1e-6)


def count_calls(monkeypatch) -> list[int]:
    """How many texts were encoded, call by call, from here on."""
    calls = []
    encode = OpenCLIPTextEncoder.encode_tokens

    def spy(self, ids):
        calls.append(len(ids))
        return encode(self, ids)

    monkeypatch.setattr(OpenCLIPTextEncoder, 'encode_tokens', spy)
    return calls


def test_words_are_encoded_at_the_first_call_and_once(arch, monkeypatch):
    calls = count_calls(monkeypatch)
    encoder = tiny.text_encoder(arch, vocabulary=WORDS)
    assert calls == []
    first = encoder()
    assert torch.equal(encoder().embeddings, first.embeddings)
    assert calls == [3]
    encoder(['cat', 'dog'])
    encoder(WORDS)
    assert calls == [3, 2]


def test_words_that_are_kept_are_still_told_apart(arch):
    """As synonyms two words may be alike to the tower; as classes of their own they are refused."""
    encoder = tiny.text_encoder(arch)
    together = encoder.embed_words(['Cat', 'cat'], (0, 0))
    with pytest.raises(ValueError, match="cannot tell 'Cat' from 'cat'"):
        encoder.embed_words(['Cat', 'cat'], (0, 1))
    with pytest.raises(ValueError, match="cannot tell 'Cat' from 'cat'"):
        encoder.embed_words(['Cat', 'cat'], (0, 0), apart_from=['cat'])
    assert torch.equal(encoder.embed_words(['Cat', 'cat'], (0, 0)), together)


def test_memory_is_bounded(arch, monkeypatch):
    monkeypatch.setattr(module, 'MOST_KEPT', 3)
    encoder = tiny.text_encoder(arch)
    for index in range(8):
        encoder([f'cat {index}'])
        assert len(encoder._kept) <= 3


def test_memory_is_bounded_in_bytes(arch, monkeypatch):
    """The last list stays, however long it is."""
    encoder = tiny.text_encoder(arch)
    monkeypatch.setattr(module, 'MOST_KEPT_BYTES', 4 * encoder.embed_words(['a', 'b'])[0].nbytes)
    for word, kept in (('c', [2, 1]), ('d', [2, 1, 1]), ('e', [1])):
        encoder.embed_words([word])
        assert [len(key[0]) for key in encoder._kept] == kept
    encoder.embed_words(list('abcdef'))
    assert [len(key[0]) for key in encoder._kept] == [6]


def rescale(encoder: OpenCLIPTextEncoder) -> None:
    with torch.no_grad():
        encoder.text.token_embedding.weight.mul_(1.5)


def reload(encoder: OpenCLIPTextEncoder) -> None:
    arch = encoder.source.config
    state = {
        f'text.{name}': value for name, value in tiny.text_encoder(arch, seed=5).text.state_dict().items()
    }
    encoder.load_state_dict(state)


def replace(encoder: OpenCLIPTextEncoder) -> None:
    encoder.text.ln_final.weight.data = 2 * encoder.text.ln_final.weight.data + 1


@pytest.mark.parametrize('change', [rescale, reload, replace])
@pytest.mark.parametrize('disk', [False, True], ids=['memory', 'disk'])
def test_changed_weights_are_seen(arch, change, disk, tmp_path):
    encoder = tiny.text_encoder(arch, vocabulary=WORDS, text_cache=tmp_path if disk else False)
    before = encoder().embeddings.clone()
    change(encoder)
    after = encoder().embeddings
    assert not torch.allclose(before, after, atol=1e-3)
    golden.assert_close(after, encoder._average(list(WORDS), 3), 1e-6)


def test_a_second_start_tokenizes_each_word_and_each_template_once(arch, monkeypatch, tmp_path):
    settings = dict(vocabulary=WORDS, templates=TEMPLATES, text_cache=tmp_path)
    expected = tiny.text_encoder(arch, **settings)().embeddings
    encoder, seen = tiny.text_encoder(arch, **settings), []
    tokenizer = encoder.tokenizer
    monkeypatch.setattr(
        type(tokenizer), '__call__', lambda self, texts: seen.extend(texts) or self.tokenize(texts, 32)
    )
    assert torch.equal(encoder().embeddings, expected)
    assert len(seen) == len(TEMPLATES) + len(WORDS)


def test_other_merges_are_another_tokenizer(arch, tmp_path):
    fewer = tmp_path / 'merges.txt.gz'
    with gzip.open(arch['text_cfg']['tokenizer_kwargs']['bpe_path'], 'rt') as file:
        merges = file.read().splitlines()
    with gzip.open(fewer, 'wt') as file:
        file.write('\n'.join(merges[:-1]) + '\n')
    other = tiny.changed(arch, text_cfg={'tokenizer_kwargs': {'bpe_path': str(fewer)}})
    one, same, two = (tiny.text_encoder(each).tokenizer.fingerprint for each in (arch, arch, other))
    assert one == same != two


def test_a_second_start_reads_the_disk(arch, monkeypatch, tmp_path):
    calls = count_calls(monkeypatch)
    settings = dict(vocabulary=WORDS, templates=TEMPLATES, text_cache=tmp_path)
    first = tiny.text_encoder(arch, **settings)()
    assert calls == [9]
    second = tiny.text_encoder(arch, **settings)()
    assert calls == [9]
    assert torch.equal(first.embeddings, second.embeddings)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    third = tiny.text_encoder(arch, **settings)()
    assert calls == [9, 9]
    assert torch.equal(first.embeddings, third.embeddings)
    assert torch.equal(tiny.text_encoder(arch, **settings)().embeddings, first.embeddings)
    assert calls == [9, 9]


STALE = {
    'a word': dict(vocabulary=['cat', 'dogs', WORDS[2]]),
    'the order of words': dict(vocabulary=WORDS[::-1]),
    'a template': dict(templates=['{}', 'a picture of the {}.', 'the {} !']),
    'one template less': dict(templates=TEMPLATES[:2]),
    'the weights': dict(seed=9),
}


@pytest.mark.parametrize('change', STALE.values(), ids=STALE.keys())
def test_a_changed_setting_is_encoded_anew(arch, change, monkeypatch, tmp_path):
    calls = count_calls(monkeypatch)
    settings = dict(vocabulary=WORDS, templates=TEMPLATES, text_cache=tmp_path)
    tiny.text_encoder(arch, **settings)()
    found = tiny.text_encoder(arch, **settings | change)().embeddings
    assert len(calls) == 2
    assert torch.equal(
        found, tiny.text_encoder(arch, **settings | change | {'text_cache': False})().embeddings
    )


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(arch, tmp_path, caplog):
    (tmp_path / 'file').write_text('')
    encoder = tiny.text_encoder(arch, vocabulary=WORDS, text_cache=tmp_path / 'file')
    assert torch.equal(encoder().embeddings, tiny.text_encoder(arch, vocabulary=WORDS)().embeddings)
    assert 'cannot be written' in caplog.text


@pytest.mark.parametrize('text_cache', [None, True])
def test_the_default_folder(arch, text_cache, monkeypatch, tmp_path):
    monkeypatch.setenv('MMSEG_CLIPSURGERY_CACHE', str(tmp_path))
    tiny.text_encoder(arch, vocabulary=WORDS, text_cache=text_cache)()
    assert len([*(tmp_path / 'text').iterdir()]) == 1


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=['fp16', 'bf16'])
def test_low_precision(arch, dtype):
    wanted = tiny.text_encoder(arch, vocabulary=WORDS)().embeddings
    found = tiny.text_encoder(arch, vocabulary=WORDS).to(dtype)().embeddings
    assert found.dtype == torch.float32
    assert torch.nn.functional.cosine_similarity(found, wanted).min() > 0.999


def test_inference_mode_leaves_no_trace(arch):
    encoder = tiny.text_encoder(arch, vocabulary=WORDS)
    with torch.inference_mode():
        found = encoder().embeddings
    assert not found.is_inference()
    assert not found.requires_grad
    with torch.inference_mode():
        inside = tiny.text_encoder(arch, vocabulary=WORDS)  # built inside: its weights are inference tensors
        assert torch.equal(inside().embeddings, found)


def test_the_tower_stays_in_eval_mode_and_unchanged(arch):
    encoder = tiny.text_encoder(arch, vocabulary=WORDS)
    before = {name: value.clone() for name, value in encoder.text.state_dict().items()}
    encoder.train()
    encoder()
    assert not any(part.training for part in encoder.modules())
    assert all(torch.equal(before[name], value) for name, value in encoder.text.state_dict().items())


def test_it_is_registered_and_takes_a_file_of_words(arch, tmp_path):
    (tmp_path / 'words.txt').write_text('cat, the cat\ndog\n')
    config = dict(
        type='OpenCLIPTextEncoder', arch=arch, vocabulary=str(tmp_path / 'words.txt'), templates='bare'
    )
    encoder = MODELS.build(config | {'pretrained': str(tiny.weights_file(arch)), 'text_cache': False})
    assert encoder().class_of.tolist() == [0, 0, 1]


def test_a_cut_text_is_warned_of(arch, caplog):
    found = tiny.text_encoder(arch)(['cat ' * 100, 'dog']).embeddings
    assert torch.isfinite(found).all()
    assert "reads 32 tokens and cuts the longest template with 'cat cat" in caplog.text
    assert 'dog' not in caplog.text


@pytest.mark.parametrize('extra', [0, 1])
def test_a_text_that_just_fits_is_not_cut(arch, caplog, extra):
    """32 tokens are read, two of which are start and end."""
    tiny.text_encoder(arch)([' '.join(['cat'] * (30 + extra)), 'dog'])
    assert bool(caplog.text) is bool(extra)


LONG = ' '.join(['cat'] * 40)
SAME_TOKENS = {
    'case': ('cat', 'Cat'),
    'cut': (f'{LONG} cat', f'{LONG} dog'),
    'accents': ('cat caf\u00e9', 'cat cafe\u0301'),
    'an HTML entity': ('cat & dog', 'cat &amp; dog'),
    'a ligature': ('cat fish', 'cat \ufb01sh'),
    'full width': ('cat', '\uff43at'),
}


@pytest.mark.parametrize('pair', SAME_TOKENS.values(), ids=SAME_TOKENS.keys())
@pytest.mark.parametrize('cached', [False, True])
def test_words_with_the_same_tokens_are_refused(arch, pair, cached, tmp_path):
    encoder = tiny.text_encoder(arch, templates=TEMPLATES, text_cache=tmp_path if cached else False)
    with pytest.raises(ValueError, match=r"cannot tell 'cat.*' from '.*make them one class"):
        encoder(['dog', *pair])
    with pytest.raises(ValueError, match='cannot tell'):
        encoder.embed_words(pair)
    assert encoder(['dog', [*pair]]).class_of.tolist() == [0, 1, 1]  # of one class they change nothing


@pytest.mark.parametrize('pair', SAME_TOKENS.values(), ids=SAME_TOKENS.keys())
def test_words_are_told_from_another_list(arch, pair):
    encoder = tiny.text_encoder(arch, text_cache=False)
    encoder.embed_words(['dog', pair[0]])
    with pytest.raises(ValueError, match=r"cannot tell .* from 'cat"):
        encoder.embed_words(['bird', pair[1]], apart_from=['dog', pair[0]])
    assert torch.equal(
        encoder.embed_words(['bird'], apart_from=['dog', *pair[:1]]), encoder.embed_words(['bird'])
    )


def test_what_stands_behind_the_end_token_tells_nothing_apart(arch):
    encoder = tiny.text_encoder(arch)
    known = getattr(encoder.tokenizer.tokenize, 'args', [encoder.tokenizer.tokenize])[
        0
    ]  # a partial in older releases
    end = {number: token for token, number in known.encoder.items()}[519]
    with pytest.raises(ValueError, match=r"cannot tell 'cat' from 'cat<.*their tokens are the same"):
        encoder(['cat', f'cat{end}dog'])


def test_words_with_the_same_embedding_are_refused(arch):
    """Other tokens that the weights do not tell apart."""
    encoder = tiny.text_encoder(arch, text_cache=False)
    table = encoder.text.token_embedding.weight.data
    cat, dog = (int(encoder.tokenizer([word])[0, 1]) for word in ('cat', 'dog'))
    table[dog] = table[cat]
    with pytest.raises(ValueError, match=r"cannot tell 'cat' from 'dog': their embeddings are the same"):
        encoder(['cat', 'bird', 'dog'])
    assert encoder([['cat', 'dog'], 'bird']).class_of.tolist() == [0, 0, 1]


def test_words_that_one_template_alone_cuts_to_the_same_are_told_apart(arch):
    pair = [f'{" ".join(["cat"] * 29)} {end}' for end in ('cat', 'dog')]
    encoder = tiny.text_encoder(arch, templates=['{}', 'the {}'])
    first, second = encoder(pair).embeddings
    assert not torch.equal(first, second)


def test_a_word_that_is_nothing_to_the_tower(arch):
    """A control character, which the tokenizer takes out."""
    with pytest.raises(ValueError, match=r"cannot tell .* from ''"):
        tiny.text_encoder(arch).embed_words(['\x07', ''])


def test_one_word_in_two_classes_is_allowed(arch):
    first, _, again = tiny.text_encoder(arch)([['dog'], ['cat', 'dog']]).embeddings
    assert torch.equal(first, again)


@pytest.mark.parametrize('templates', resource_names('templates'))
@pytest.mark.parametrize('words', slow_but(FEW_WORDS, resource_names('vocabularies')))
def test_shipped_words_are_told_apart(words, templates, caplog):
    """By CLIP's own tokenizer, and nothing is cut."""
    arch = tiny.changed(tiny.SMALL, text_cfg={'vocab_size': 49408, 'context_length': 77})
    encoder = OpenCLIPTextEncoder(arch, templates=templates, text_cache=False)
    vocabulary = Vocabulary.read(words)
    encoder.tell_apart(vocabulary.queries, vocabulary.class_of)
    assert 'cuts' not in caplog.text


@pytest.mark.slow
def test_threads_get_the_answers_of_one(arch, monkeypatch):
    monkeypatch.setattr(module, 'MOST_KEPT', 3)
    encoder = tiny.text_encoder(arch)
    lists = [[f'cat {"dog " * index}', 'the cat'] for index in range(8)]
    expected = [tiny.text_encoder(arch).embed_words(words) for words in lists]

    def ask(number: int) -> bool:
        order = [(number + step) % len(lists) for step in range(40)]
        return all(torch.equal(encoder.embed_words(lists[index]), expected[index]) for index in order)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(8)))


ERRORS = {
    'no words': (lambda arch: tiny.text_encoder(arch)(), 'no vocabulary: give one'),
    'empty vocabulary': (lambda arch: tiny.text_encoder(arch, vocabulary=[]), 'empty vocabulary'),
    'empty word': (lambda arch: tiny.text_encoder(arch, vocabulary=['cat', '']), 'empty word'),
    'blank word': (lambda arch: tiny.text_encoder(arch)(['cat', '  ']), 'empty word'),
    'unknown vocabulary': (lambda arch: tiny.text_encoder(arch, vocabulary='voc2021'), 'voc2021'),
    'unknown templates': (lambda arch: tiny.text_encoder(arch, templates='imagenet81'), 'imagenet81'),
    'template without a place': (lambda arch: tiny.text_encoder(arch, templates=['a photo']), 'a photo'),
    'no tokens': (
        lambda arch: tiny.text_encoder(arch, batch_tokens=0),
        'batch_tokens must be a whole number >= 1, got 0',
    ),
    'wrong tokenizer': (
        lambda _: tiny.text_encoder(tiny.SMALL)(['cat']),
        'ids up to 49407, the text tower knows 64',
    ),
}


@pytest.mark.parametrize(('action', 'message'), ERRORS.values(), ids=ERRORS.keys())
def test_errors(arch, action, message):
    with pytest.raises(ValueError, match=message):
        action(arch)


def test_a_folder_of_its_own(arch, tmp_path):
    """The tokenizer's merges may be copied next to the weights and named relatively."""
    merges = arch['text_cfg']['tokenizer_kwargs']['bpe_path']
    shutil.copy(merges, tmp_path / 'merges.txt.gz')
    relative = tiny.changed(arch, text_cfg={'tokenizer_kwargs': {'bpe_path': 'merges.txt.gz'}})
    (tmp_path / 'open_clip_config.json').write_text(json.dumps({'model_cfg': relative}))
    shutil.copy(tiny.weights_file(arch, suffix='.pt'), tmp_path / 'open_clip_pytorch_model.bin')
    encoder = OpenCLIPTextEncoder(str(tmp_path), vocabulary=WORDS, templates=['{}'], text_cache=False)
    assert torch.equal(encoder().embeddings, tiny.text_encoder(arch, vocabulary=WORDS)().embeddings)


@pytest.mark.slow
def test_metaclip_2_reads_its_own_tokenizer_and_pools_at_its_end_token(tmp_path):
    """The published config in small, its tokenizer a stand-in: both embeddings are open_clip's own."""
    published = model_config('ViT-L-14-worldwide-quickgelu')
    if not published:
        pytest.skip('open_clip too old')
    small = tiny.changed(
        published,
        embed_dim=12,
        vision_cfg=tiny.SMALL['vision_cfg'],
        text_cfg={**tiny.SMALL['text_cfg'], 'hf_tokenizer_name': 'org/words'},
    )
    (tmp_path / 'open_clip_config.json').write_text(json.dumps({'model_cfg': small}))
    shutil.copy(tiny.weights_file(small), tmp_path / 'open_clip_model.safetensors')
    word_tokenizer.write(tmp_path, ['photo', 'cat', 'green', 'grass'])
    encoder = OpenCLIPTextEncoder(tmp_path, templates=['photo {}'], text_cache=False)
    texts = ['photo cat', 'photo green grass', 'photo']
    ids, images = encoder.tokenizer(texts), tiny.images(2, 3, 12, 12)
    with torch.no_grad():
        golden.assert_close(encoder.encode_tokens(ids), tiny.clip(small).encode_text(ids), 1e-5)
        tower = build_tower(tmp_path, surgery='clip')
        golden.assert_close(tower(images).cls_token, tiny.clip(small).encode_image(images), 1e-5)
