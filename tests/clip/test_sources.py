"""What arch and pretrained may name, which activation that decides, and where weights come from without a network."""

import gzip
import hashlib
import json
import logging
import shutil
from pathlib import Path

import golden
import tiny
from archives import save_archive
from mmseg_clipsurgery import scenes
from mmseg_clipsurgery.clip import model_folders, sources
from mmseg_clipsurgery.clip import tokenizer as tokenizer_module
from mmseg_clipsurgery.clip.building import build_image_tower, build_text_tower
from mmseg_clipsurgery.clip.resnet import CLIPSurgeryResNet
from mmseg_clipsurgery.clip.sources import resolve
from mmseg_clipsurgery.clip.tokenizer import Tokenizer
from mmseg_clipsurgery.clip.vit import CLIPSurgeryViT

import huggingface_hub.constants
import open_clip
import pytest
import torch
from mmengine.config import ConfigDict

PLAIN = {
    key: value for key, value in tiny.SMALL.items() if key != 'quick_gelu'
}  # says nothing of its activation
MEAN, STD = [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]


@pytest.fixture
def folder(tmp_path) -> Path:
    """A model in open_clip's local-dir form."""
    return write_folder(tmp_path / 'model')


def write_folder(path: Path, arch=PLAIN, weights='open_clip_pytorch_model.bin', **preprocess) -> Path:
    path.mkdir(parents=True)
    config = {'model_cfg': arch, 'preprocess_cfg': preprocess or {'mean': MEAN, 'std': STD}}
    (path / 'open_clip_config.json').write_text(json.dumps(config))
    if weights:
        shutil.copy(tiny.weights_file(tiny.SMALL, suffix='.pt'), path / weights)
    return path


@pytest.fixture
def named(monkeypatch, tmp_path) -> str:
    """'tiny', an open_clip model name with the tags 'openai', 'laion' and 'metaclip'; files found in tmp_path."""
    url = 'https://example.invalid'
    tags = {
        'openai': {'url': f'{url}/openai.pt', 'hf_hub': '', 'mean': None, 'std': None},
        'laion': {'url': f'{url}/laion.pt', 'hf_hub': '', 'mean': MEAN, 'std': STD},
        'metaclip': {'url': f'{url}/metaclip.pt', 'hf_hub': '', 'quick_gelu': True},
        'yfcc': {'url': f'{url}/vit-quickgelu-yfcc.pt', 'hf_hub': ''},
        'fullcc': {'url': f'{url}/fullcc.pt', 'hf_hub': ''},
    }
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, 'tiny', PLAIN)
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, 'tiny-quickgelu', PLAIN | {'quick_gelu': True})
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, 'tiny', tags)
    monkeypatch.setitem(
        open_clip.pretrained._PRETRAINED, 'tiny-quickgelu', {'fullcc': tags['fullcc'], 'dfn': tags['laion']}
    )

    def find(tag, cache_dir=None, **settings):
        path = Path(cache_dir or tmp_path) / tag['url'].rpartition('/')[2]
        if not path.is_file():
            raise RuntimeError('no network\nand more')
        return str(path)

    for tag in tags.values():
        shutil.copy(tiny.weights_file(tiny.SMALL, suffix='.pt'), tmp_path / tag['url'].rpartition('/')[2])
    monkeypatch.setattr(open_clip.pretrained, 'download_pretrained', find)
    return 'tiny'


def activation(source) -> str:
    return type(build_image_tower(source).transformer.resblocks[0].mlp.gelu).__name__


@pytest.mark.parametrize(
    ('arch', 'tag', 'name'),
    [
        ('tiny', 'openai', 'QuickGELU'),
        ('tiny', 'OpenAI', 'QuickGELU'),
        ('tiny', 'metaclip', 'QuickGELU'),
        ('tiny', 'yfcc', 'QuickGELU'),
        ('tiny', 'fullcc', 'QuickGELU'),
        ('tiny', 'laion', 'GELU'),
        ('tiny-quickgelu', 'fullcc', 'QuickGELU'),
        ('tiny-quickgelu', 'dfn', 'QuickGELU'),
    ],
)
def test_a_tag_decides_the_activation(named, arch, tag, name):
    source = resolve(arch, tag)
    assert activation(source) == name
    assert source.quick_gelu is (name == 'QuickGELU')
    text = build_text_tower(source)
    assert type(text.transformer.resblocks[0].mlp.gelu).__name__ == name


def test_a_tags_statistics(named):
    assert resolve('tiny', 'laion').mean == tuple(MEAN)
    assert resolve('tiny', 'laion').std == tuple(STD)
    for tag in ('openai', 'metaclip'):
        assert resolve('tiny', tag).mean == open_clip.OPENAI_DATASET_MEAN
        assert resolve('tiny', tag).std == open_clip.OPENAI_DATASET_STD


def test_every_published_tag_has_one_activation(monkeypatch):
    """Of each supported arch; what open_clip's newest table states is what the rule finds."""
    monkeypatch.setattr(sources, 'fetch_tag', lambda *_: Path('weights.pt'))
    archs = {*CLIPSurgeryViT.supported_archs(), *CLIPSurgeryResNet.supported_archs()}
    pairs = [(arch, tag) for arch, tag in open_clip.list_pretrained() if arch in archs]
    assert len(pairs) > 50
    marks = any('quick_gelu' in open_clip.pretrained.get_pretrained_cfg(*pair) for pair in pairs)
    for arch, tag in pairs:
        found = resolve(arch, tag).quick_gelu
        if marks:
            stated = open_clip.pretrained.get_pretrained_cfg(arch, tag).get('quick_gelu', False)
            assert found == (stated or open_clip.factory.get_model_config(arch).get('quick_gelu', False)), (
                arch
            )
        if tag == 'openai' or arch.endswith('-quickgelu'):
            assert found, (arch, tag)
    assert resolve('ViT-B-16', 'openai').quick_gelu
    assert resolve('ViT-B/16', 'openai').quick_gelu
    assert resolve('RN50', 'yfcc15m').quick_gelu
    assert not resolve('ViT-B-16', 'laion400m_e32').quick_gelu


SAID = {
    'argument': (PLAIN, dict(quick_gelu=True), True),
    'argument False': (PLAIN, dict(quick_gelu=False), False),
    'dict': (PLAIN | {'quick_gelu': True}, {}, True),
    'dict and argument': (PLAIN | {'quick_gelu': True}, dict(quick_gelu=True), True),
    'name': ('tiny-quickgelu', {}, True),
    'name and argument': ('tiny', dict(quick_gelu=False), False),
}


@pytest.mark.parametrize(('arch', 'settings', 'quick_gelu'), SAID.values(), ids=SAID.keys())
def test_a_plain_files_activation_is_said(named, arch, settings, quick_gelu):
    source = resolve(arch, tiny.weights_file(tiny.SMALL), **settings)
    assert activation(source) == ('QuickGELU' if quick_gelu else 'GELU')


def test_an_activation_is_true_or_false():
    with pytest.raises(ValueError, match="quick_gelu must be True or False, got 'no'"):
        resolve(PLAIN, tiny.weights_file(tiny.SMALL), quick_gelu='no')


@pytest.mark.parametrize('arch', [PLAIN, 'tiny'], ids=['dict', 'name'])
def test_a_plain_file_alone_does_not_tell(named, arch):
    with pytest.raises(ValueError, match='does not tell its activation: say quick_gelu=True'):
        resolve(arch, tiny.weights_file(tiny.SMALL))


@pytest.mark.slow
def test_contradictions(named, folder, tmp_path):
    archive = save_archive(tiny.tensors(tiny.SMALL), tmp_path / 'quick.pt', quick_gelu=True)
    plain = tiny.weights_file(tiny.SMALL)
    quick = PLAIN | {'quick_gelu': True}
    cases = [
        (('tiny', 'openai', False), "argument quick_gelu says False, 'openai' says True"),
        (('tiny', 'laion', True), "argument quick_gelu says True, 'laion' says False"),
        ((tiny.SMALL, archive), 'config of the arch dict says False, the code in quick.pt says True'),
        ((PLAIN, archive, False), 'argument quick_gelu says False, the code in quick.pt says True'),
        ((str(folder), archive), f'config of {folder} says False, the code in quick.pt says True'),
        (
            ('tiny-quickgelu', plain, False),
            'argument quick_gelu says False, the config of tiny-quickgelu says T',
        ),
        ((quick, plain, False), 'argument quick_gelu says False, the config of the arch dict says True'),
        ((quick, f'local-dir:{folder}'), f"arch dict says True, 'local-dir:{folder}' says False"),
        ((str(folder), None, True), f'argument quick_gelu says True, the config of {folder} says False'),
    ]
    for arguments, message in cases:
        with pytest.raises(ValueError, match='contradictory activation') as caught:
            resolve(*arguments)
        assert message in str(caught.value)


def test_the_log_says_the_activation(named, caplog):
    with caplog.at_level(logging.DEBUG, 'mmseg_clipsurgery'):
        resolve('tiny', 'openai')
        resolve(PLAIN, tiny.weights_file(tiny.SMALL), quick_gelu=False)
        resolve(PLAIN)
    first, second, third = (record.getMessage() for record in caplog.records)
    assert first.endswith("openai.pt: activation QuickGELU (by 'openai')")
    assert second.endswith('activation GELU (by the argument quick_gelu)')
    assert third == 'random weights: activation GELU (by default)'


def test_random_weights_are_warned_of(caplog):
    CLIPSurgeryViT(tiny.SMALL, surgery='clip')
    assert 'the arch dict: the visual tower has random weights' in caplog.text


def assert_small_clip(source) -> None:
    """The source's towers are those of `tiny.SMALL` with its seeded weights."""
    wanted = tiny.tensors(tiny.SMALL)
    found = {f'visual.{name}': value for name, value in build_image_tower(source).state_dict().items()}
    found |= build_text_tower(source).state_dict()
    assert all(torch.equal(wanted[name], value) for name, value in found.items())


@pytest.mark.parametrize('prefix', ['', 'local-dir:'])
def test_a_folder(folder, prefix):
    source = resolve(f'{prefix}{folder}')
    assert_small_clip(source)
    assert (source.mean, source.std) == (tuple(MEAN), tuple(STD))
    assert_small_clip(resolve(folder))
    assert_small_clip(resolve(tiny.SMALL, f'{prefix}{folder}'))
    assert resolve(tiny.SMALL, folder).mean == tuple(MEAN)


@pytest.mark.parametrize('name', [name for name in model_folders.WEIGHT_NAMES if 'index' not in name])
def test_a_folders_weights_have_one_of_these_names(tmp_path, name):
    folder = write_folder(tmp_path / 'model', weights=None)
    if name.endswith('safetensors'):
        from safetensors.torch import save_file

        save_file(tiny.tensors(tiny.SMALL), folder / name)
    else:
        torch.save(tiny.tensors(tiny.SMALL), folder / name)
    assert_small_clip(resolve(folder))


def test_a_name_comes_before_a_folder_of_that_name(named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'tiny').mkdir()
    (tmp_path / 'openai').mkdir()
    assert resolve('tiny', 'openai').quick_gelu


@pytest.fixture
def hub(tmp_path, monkeypatch) -> str:
    """A cache folder that holds org/tiny as the hub lays it out; no network."""
    monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_OFFLINE', True)
    revision = '0123456789abcdef0123456789abcdef01234567'
    repository = tmp_path / 'hub' / 'models--org--tiny'
    write_folder(repository / 'snapshots' / revision)
    (repository / 'refs').mkdir()
    (repository / 'refs' / 'main').write_text(revision)
    return str(tmp_path / 'hub')


def test_the_hubs_cache_without_a_network(hub):
    source = resolve('hf-hub:org/tiny', cache_dir=hub)
    assert_small_clip(source)
    assert source.mean == tuple(MEAN)
    assert_small_clip(resolve(tiny.SMALL, 'hf-hub:org/tiny', cache_dir=hub))
    tower = CLIPSurgeryViT('hf-hub:org/tiny', surgery='clip', cache_dir=hub)
    assert tower.mean == tuple(MEAN)


def test_what_the_hubs_cache_lacks(hub, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r'hf-hub:org/other could not be fetched.*give a local folder$'
    ):
        resolve('hf-hub:org/other', cache_dir=hub)
    with pytest.raises(FileNotFoundError, match='hf-hub:org/tiny could not be fetched'):
        resolve('hf-hub:org/tiny', cache_dir=str(tmp_path / 'empty'))
    (weights,) = Path(hub).rglob('*.bin')
    weights.unlink()
    with pytest.raises(
        FileNotFoundError, match=r'has no weights file; expected one of open_clip_model.safet'
    ):
        resolve('hf-hub:org/tiny', cache_dir=hub)


def test_a_tag_is_found_in_the_cache_folder(monkeypatch, tmp_path):
    """open_clip's own download function, which looks into the folder first and checks the file's digest."""
    digest = hashlib.sha256(tiny.weights_file(tiny.SMALL, suffix='.pt').read_bytes()).hexdigest()
    shutil.copy(tiny.weights_file(tiny.SMALL, suffix='.pt'), tmp_path / 'tiny.pt')
    tag = {
        'url': f'https://openaipublic.invalid/models/{digest}/tiny.pt',
        'hf_hub': '',
        'mean': None,
        'std': None,
    }
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, 'tiny', PLAIN)
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, 'tiny', {'openai': tag})
    assert_small_clip(resolve('tiny', 'openai', cache_dir=str(tmp_path)))


def test_a_tag_that_cannot_be_fetched(named, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"'openai' of tiny could not be .* \(no network\); check the n"
    ):
        resolve('tiny', 'openai', cache_dir=str(tmp_path / 'empty'))


def test_a_config_may_be_mmengines():
    arch = ConfigDict(tiny.RESNET)
    tower = CLIPSurgeryResNet(arch, tiny.weights_file(tiny.RESNET))
    assert tower.config == tiny.RESNET
    assert arch == ConfigDict(tiny.RESNET)


def test_a_path_may_be_below_home(folder, monkeypatch):
    monkeypatch.setenv('HOME', str(folder.parent))
    assert_small_clip(resolve('~/model'))
    assert_small_clip(resolve(tiny.SMALL, '~/model/open_clip_pytorch_model.bin'))


def folder_with(tmp_path: Path, text: str | None) -> str:
    (tmp_path / 'other').mkdir()
    if text is not None:
        (tmp_path / 'other' / 'open_clip_config.json').write_text(text)
    return f'local-dir:{tmp_path}/other'


ERRORS = {
    'unknown arch': (
        lambda _: resolve('ViT-B-61'),
        ValueError,
        "unknown arch 'ViT-B-61': did you mean .*ViT-B-",
    ),
    'nothing like it': (lambda _: resolve('!'), ValueError, "unknown arch '!': Give a name of open_clip"),
    'empty arch': (lambda _: resolve(''), ValueError, "a model name, a folder or a dict, got ''"),
    'no arch': (lambda _: resolve(None), ValueError, 'got None'),
    'half a dict': (lambda _: resolve({'embed_dim': 3}), ValueError, 'the arch dict lacks vision_cfg'),
    'unknown tag': (
        lambda _: resolve('ViT-B-16', 'openia'),
        ValueError,
        "pretrained='openia' is neither an existing file nor a tag of ViT-B-16; its tags: openai, laion400m",
    ),
    'tag of a dict': (
        lambda _: resolve(PLAIN, 'openai'),
        ValueError,
        'nor a tag of this arch; its tags: none',
    ),
    'missing file': (
        lambda _: resolve(PLAIN, 'no/such.pt'),
        FileNotFoundError,
        "pretrained='no/such.pt' is n",
    ),
    'missing folder': (
        lambda tmp_path: resolve(f'local-dir:{tmp_path}/none'),
        FileNotFoundError,
        "none has no open_clip_config.json and no config.json; give a folder in open_clip's local-dir form",
    ),
    'folder without config': (
        lambda tmp_path: resolve(folder_with(tmp_path, None)),
        FileNotFoundError,
        'other has no open_clip_config.json',
    ),
    'config without model': (
        lambda tmp_path: resolve(folder_with(tmp_path, '{}')),
        ValueError,
        'has no "model_cfg"',
    ),
    'config that is no JSON': (
        lambda tmp_path: resolve(folder_with(tmp_path, '{')),
        ValueError,
        'open_clip_config.json is not a readable JSON file',
    ),
    'folder without weights': (
        lambda tmp_path: resolve(folder_with(tmp_path, json.dumps({'model_cfg': PLAIN}))),
        FileNotFoundError,
        'has no weights file',
    ),
    'unknown setting': (
        lambda _: CLIPSurgeryViT(tiny.changed(tiny.SMALL, vision_cfg={'widht': 3}), surgery='clip'),
        ValueError,
        "cannot build this tower .*'widht'.*CLIPVisionCfg",
    ),
    'no whole head': (
        lambda _: CLIPSurgeryViT(tiny.changed(tiny.SMALL, vision_cfg={'head_width': 32}), surgery='clip'),
        ValueError,
        'cannot build this tower',
    ),
    'a rectangular ResNet': (
        lambda _: CLIPSurgeryResNet(tiny.changed(tiny.RESNET, vision_cfg={'image_size': [64, 96]})),
        ValueError,
        'cannot build this tower',
    ),
    'no text tower': (
        lambda _: build_text_tower(resolve({'embed_dim': 3, 'vision_cfg': {}})),
        ValueError,
        'has no text_cfg',
    ),
}


@pytest.mark.parametrize(('action', 'kind', 'message'), ERRORS.values(), ids=ERRORS.keys())
def test_errors(action, kind, message, tmp_path):
    with pytest.raises(kind, match=message):
        action(tmp_path)


MERGES = ['#version: 0.2', 't h', 'th e</w>', 'c a', 'ca t</w>']


def write_merges(path: Path) -> Path:
    import gzip

    path.write_bytes(gzip.compress('\n'.join(MERGES).encode()))
    return path


def text_settings(bpe_path: str, **text) -> dict:
    return {'text_cfg': {'vocab_size': 518, 'tokenizer_kwargs': {'bpe_path': bpe_path}, **text}}


def test_the_tokenizers_merges_are_found_in_the_folder(tmp_path, monkeypatch):
    folder = write_folder(
        tmp_path / 'model', tiny.changed(PLAIN, **text_settings('merges.txt.gz')), weights=None
    )
    torch.save(tiny.tensors(tiny.changed(PLAIN, **text_settings('x'))), folder / 'model.pth')
    write_merges(folder / 'merges.txt.gz')
    monkeypatch.chdir(tmp_path)
    source = resolve(folder)
    assert Tokenizer(source)(['the cat', ''])[:, :4].tolist() == [[516, 513, 515, 517], [516, 517, 0, 0]]
    assert build_text_tower(source).token_embedding.weight.shape == (518, 16)


@pytest.mark.parametrize('data', [b'', gzip.compress(b'#version: 0.2\n')], ids=['empty', 'a head alone'])
def test_a_file_without_merges_is_refused(data, tmp_path):
    (tmp_path / 'merges.txt.gz').write_bytes(data)
    with pytest.raises(ValueError, match='it holds no merges'):
        Tokenizer(resolve(tiny.changed(PLAIN, **text_settings(str(tmp_path / 'merges.txt.gz')))))


@pytest.mark.parametrize('path', [0.5, [], 'a' * 5000], ids=['number', 'list', 'long'])
def test_a_path_of_merges_that_is_none_is_refused(path, tmp_path):
    folder = write_folder(tmp_path / 'model', tiny.changed(PLAIN, **text_settings(path)), weights=None)
    torch.save(tiny.tensors(tiny.changed(PLAIN, **text_settings('x'))), folder / 'model.pth')
    with pytest.raises((ValueError, FileNotFoundError), match=r'does not exist|longer than the system takes'):
        Tokenizer(resolve(folder))


def test_long_texts_are_cut_to_the_context(tmp_path):
    merges = write_merges(tmp_path / 'merges.txt.gz')
    tokenizer = Tokenizer(resolve(tiny.changed(PLAIN, **text_settings(str(merges)))))
    ids = tokenizer(['the cat ' * 20])
    assert ids.shape == (1, 12)
    assert ids[0, -1] == 517


@pytest.mark.parametrize('text', ['', 'the cat', 'the cat ' * 20, 'dogs & cats'])
def test_tokenizers_of_older_releases_give_the_same_ids(text, tmp_path):
    merges = write_merges(tmp_path / 'merges.txt.gz')
    tokenizer = Tokenizer(resolve(tiny.changed(PLAIN, **text_settings(str(merges)))))
    plain = open_clip.SimpleTokenizer(bpe_path=str(merges))
    assert torch.equal(tokenizer([text, text]), tokenizer_module.tokenize_simply(plain, [text, text], 12))


def test_a_vocabulary_that_does_not_fit():
    with pytest.raises(
        ValueError, match='ids up to 49407, the text tower knows 64; name the right merges file'
    ):
        Tokenizer(resolve(PLAIN))(['a cat'])


def test_a_hugging_face_text_tower(tmp_path):
    """From a folder that holds its config and tokenizer: nothing is fetched."""
    transformers = pytest.importorskip('transformers')
    folder = tmp_path / 'model'
    old = not hasattr(open_clip.CLIPTextCfg, 'hf_proj_type')
    kinds = {'proj' if old else 'hf_proj_type': 'linear'}
    kinds |= {'pooler_type' if old else 'hf_pooler_type': 'mean_pooler'}
    text = {'hf_model_name': str(folder), 'hf_tokenizer_name': 'org/none', 'context_length': 8, **kinds}
    arch = PLAIN | {'text_cfg': text}
    write_folder(folder, arch, weights=None)
    words = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'cat', 'the']
    (folder / 'vocab.txt').write_text('\n'.join(words))
    transformers.BertTokenizer(str(folder / 'vocab.txt')).save_pretrained(folder)
    sizes = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    transformers.BertConfig(vocab_size=7, **sizes).save_pretrained(folder)
    image = {name: value for name, value in tiny.tensors(tiny.SMALL).items() if name.startswith('visual.')}
    torch.save(image, folder / 'model.pth')
    with pytest.raises(ValueError, match='holds an image tower alone; give the file of the whole CLIP'):
        build_text_tower(resolve(folder))
    (folder / 'model.pth').rename(tmp_path / 'image_tower.pth')
    random = build_text_tower(resolve(arch | {'text_cfg': arch['text_cfg'] | {'hf_model_pretrained': False}}))
    held = {f'text.{name}': value for name, value in random.state_dict().items()}
    held['text.transformer.embeddings.position_ids'] = torch.arange(512)[None]  # some files still have it
    torch.save(image | held, folder / 'model.pth')
    source = resolve(folder)
    ids = Tokenizer(source)(['the cat'])
    assert ids.tolist() == [[2, 6, 5, 3, 0, 0, 0, 0]]
    with torch.no_grad():
        assert torch.equal(build_text_tower(source)(ids), random(ids))


def test_golden_arch_dicts_are_read_as_they_are():
    assert resolve(golden.ARCHITECTURES['vit_dev']).config == golden.ARCHITECTURES['vit_dev']


def test_random_weights_that_are_asked_for(named, folder):
    for arch in ('tiny', PLAIN, folder):
        assert resolve(arch, 'random').weights is None


def test_an_arch_alone_names_no_weights(named, folder):
    for arch in ('tiny', PLAIN, {'name': 'tiny', 'quick_gelu': True}):
        with pytest.raises(
            ValueError, match=r"names no weights: give pretrained, .*or 'random' for random weights"
        ):
            sources.require_weights(arch, None)
    with pytest.raises(ValueError, match=r'one of its tags .openai, laion, '):
        sources.require_weights('tiny', None)
    for arch, weights in (
        ('tiny', 'openai'),
        ('tiny', 'random'),
        (folder, None),
        ({'name': str(folder)}, None),
    ):
        sources.require_weights(arch, weights)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ([], 'holds a list'),
        ({'model_cfg': []}, 'has no "model_cfg"'),
        ({'model_cfg': {'embed_dim': 12}}, 'has no vision_cfg'),
        (
            {'model_cfg': {**PLAIN, 'embed_dim': 'x'}},
            "embed_dim must be a whole number from 1 to 65536, got 'x'",
        ),
        ({'model_cfg': {**PLAIN, 'vision_cfg': 3}}, 'vision_cfg must hold names and values, got 3'),
        ({'model_cfg': {**PLAIN, 'text_cfg': None}}, 'text_cfg must hold names and values, got None'),
        ({'model_cfg': {**PLAIN, 'text_cfg': {'tokenizer_kwargs': 3}}}, 'tokenizer_kwargs must hold'),
        ({'model_cfg': PLAIN, 'preprocess_cfg': 3}, 'preprocess_cfg must hold'),
        ({'model_cfg': PLAIN, 'preprocess_cfg': {'mean': 3}}, 'mean must be three numbers'),
        ({'model_cfg': PLAIN, 'preprocess_cfg': {'mean': [1, 2]}}, 'mean must be three numbers'),
        ({'model_cfg': PLAIN, 'preprocess_cfg': {'std': [1, 'a', 2]}}, 'std must be three numbers'),
        ({'model_cfg': PLAIN, 'preprocess_cfg': {'mean': [123.675, 116.28, 103.53]}}, 'numbers from 0 to 1'),
        ({'model_cfg': PLAIN, 'preprocess_cfg': {'mean': [0, 1e308, 0]}}, 'mean must be three numbers'),
        ({'model_cfg': {**PLAIN, 'text_cfg': {'heads': True}}}, 'text_cfg.heads must be a whole number'),
        ({'model_cfg': {**PLAIN, 'vision_cfg': {'layers': [3, 10**9]}}}, 'vision_cfg.layers must be a whole'),
        ({'model_cfg': PLAIN, 'preprocess_cfg': {'std': [1, 0, 1]}}, 'std must be three numbers'),
        ({'model_cfg': PLAIN, 'preprocess_cfg': {'mean': [float('nan')] * 3}}, 'mean must be three numbers'),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else '',
)
def test_a_folders_config_of_other_types(content, message, folder):
    (folder / 'open_clip_config.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f'open_clip_config.json.*{message}'):
        resolve(folder)


@pytest.mark.parametrize(
    'content',
    [b'no gzip', gzip.compress(b'\xff\xfe', mtime=0), gzip.compress(b'a b', mtime=0)[:-9]],
    ids=['no gzip', 'no UTF-8', 'cut'],
)
def test_damaged_merges_end_in_a_sentence(content, tmp_path):
    (tmp_path / 'merges.txt.gz').write_bytes(content)
    with pytest.raises(ValueError, match=r"merges\.txt\.gz is not a readable file of a tokenizer's merges"):
        Tokenizer(resolve(tiny.changed(PLAIN, **text_settings(str(tmp_path / 'merges.txt.gz')))))


def test_merges_that_unpack_to_far_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr(tokenizer_module, 'MOST_MERGES', 1000)
    (tmp_path / 'merges.txt.gz').write_bytes(gzip.compress(bytes(2000), mtime=0))
    with pytest.raises(ValueError, match='unpacks to more than 1,000 bytes'):
        Tokenizer(resolve(tiny.changed(PLAIN, **text_settings(str(tmp_path / 'merges.txt.gz')))))


@pytest.mark.parametrize('part', [{'width': 8192, 'layers': 12}, {'vocab_size': 9_000_000}], ids=str)
def test_a_tower_that_is_larger_than_its_file_is_not_built(part):
    source = resolve(tiny.changed(tiny.SMALL, text_cfg=part), tiny.weights_file(tiny.SMALL), quick_gelu=False)
    with pytest.raises(ValueError, match=r'take [\d,]+ bytes or more, .* has'):
        build_text_tower(source)


@pytest.mark.parametrize('field', ['vocab_size', 'context_length'])
def test_a_size_of_another_type_is_refused(field):
    source = resolve(
        tiny.changed(tiny.SMALL, text_cfg={field: [3]}), tiny.weights_file(tiny.SMALL), quick_gelu=False
    )
    with pytest.raises(ValueError, match='cannot build this tower'):
        build_text_tower(source)


def test_missing_merges(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'merges file .*no\.gz. of .* does not exist'):
        Tokenizer(resolve(tiny.changed(PLAIN, **text_settings(str(tmp_path / 'no.gz')))))


@pytest.mark.parametrize('pretrained', [3, {}, True, b'openai'], ids=['number', 'dict', 'switch', 'bytes'])
def test_pretrained_of_another_type_is_refused(pretrained):
    with pytest.raises(ValueError, match='pretrained must be a tag, a file or a folder, got'):
        resolve('ViT-B-16', pretrained)


@pytest.mark.parametrize('place', ['arch', 'pretrained'])
def test_the_home_of_nobody_is_named(place):
    given = {'arch': PLAIN, 'pretrained': None} | {place: '~nobody-there/model'}
    with pytest.raises(ValueError, match='names the home of a user who is not known'):
        resolve(**given)


def test_a_model_of_earlier_scenes_is_named_once(tmp_path, caplog):
    shutil.copytree(model_folders.SCENES, tmp_path / 'model')
    card = tmp_path / 'model' / 'card.json'
    for version, warned in ((scenes.VERSION, 0), (2, 1)):
        model_folders.name_earlier_scenes.cache_clear()
        card.write_text(json.dumps({'scenes_version': version}))
        for _ in range(2):
            model_folders.read_folder(tmp_path / 'model')
        assert caplog.text.count(f'is a model of scenes of version {version}, and') == warned
    for content in ('[]', 'no card', '{}'):
        model_folders.name_earlier_scenes.cache_clear()
        card.write_text(content)
        model_folders.read_folder(tmp_path / 'model')
    assert caplog.text.count('is a model of scenes') == 1
