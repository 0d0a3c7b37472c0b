"""Heat maps by explainers in the Python interface and on the command line: what they are, side by side, mistakes."""

import json

import own_files
import photos
import tiny
from mmseg_clipsurgery.__main__ import main
from mmseg_clipsurgery.api.loading import load
from mmseg_clipsurgery.explainers.table import EXPLAINERS

import numpy as np
import pytest
import torch

WORDS = ['cat', 'dog', 'grass']
OWN = """
    from mmseg_clipsurgery import EXPLAINERS, Explainer

    def norms(walk, text):
        return walk.entering(2)[:, 1:].norm(dim=-1).unflatten(1, walk.grid)[:, None]

    EXPLAINERS['norms'] = Explainer('norms of tokens', norms, reads_text=False)
"""


@pytest.fixture(scope='module')
def model():
    return photos.model()


@pytest.mark.parametrize('name', ['legrad', 'grad_eclip', 'attention', 'rclip', 'maskclip:released'])
def test_maps_are_those_of_the_explainer(model, name):
    image = photos.photo(24, 32)
    pixels = model.encoders.normalized(image.astype(np.float32))[None]
    text = model.encoders.text.embed_words(WORDS)
    wanted = EXPLAINERS[name](model.encoders.tower, pixels, text)[0]
    found = model.heatmaps(image, WORDS, explainer=name)
    np.testing.assert_allclose(found.similarity, wanted.numpy(), rtol=1e-4, atol=1e-6)
    assert found.words == tuple(WORDS)


def test_photos_of_several_sizes_under_inference_mode(model):
    images = [photos.photo(24, 32), photos.photo(40, 30), photos.photo(24, 32, seed=2)]
    with torch.inference_mode():
        several = model.heatmaps(images, WORDS, explainer='relevance_all')
    for image, found in zip(images, several, strict=True):
        single = model.heatmaps(image, WORDS, explainer='relevance_all').similarity
        np.testing.assert_allclose(found.similarity, single, rtol=1e-3, atol=1e-5 * single.max())
    assert all(value.grad is None for value in model.encoders.tower.parameters())


def test_a_surgery_as_explainer_is_the_surgery(model):
    default = model.with_surgery('maskclip').heatmaps(photos.photo(), WORDS)
    named = model.heatmaps(photos.photo(), WORDS, explainer='maskclip:released')
    np.testing.assert_array_equal(named.similarity, default.similarity)
    one = model.heatmaps(photos.photo(), ['cat'], explainer='maskclip:released')
    np.testing.assert_array_equal(
        one.similarity, model.with_surgery('maskclip').heatmaps(photos.photo(), ['cat']).similarity
    )


def half():
    return photos.model().to(torch.float16)


ERRORS = {
    'unknown': (
        photos.model,
        {'explainer': 'legrod'},
        "unknown explainer 'legrod'; choose one of rclip, attention",
    ),
    'with a form': (
        photos.model,
        {'explainer': 'legrad', 'form': 'cosine'},
        'a form is part of an explainer',
    ),
    'half precision': (half, {'explainer': 'legrad'}, r'fp32, .*torch\.float16; call \.float\(\)'),
    'no second tower': (photos.model, {'explainer': 'proxyclip'}, 'features of a second tower; give guide='),
    'another depth': (photos.model, {'explainer': 'gem'}, 'reads the last 6 blocks'),
}


@pytest.mark.parametrize(('make', 'settings', 'message'), ERRORS.values(), ids=ERRORS.keys())
def test_errors(make, settings, message):
    with pytest.raises(ValueError, match=message):
        make().heatmaps(photos.photo(), WORDS, **settings)


@pytest.mark.slow
def test_a_resnet_is_refused():
    arch = tiny.changed(tiny.RESNET, text_cfg={'vocab_size': 49408})
    found = load(arch, str(tiny.weights_file(arch)), 'clip', templates='bare', text_cache=False)
    with pytest.raises(ValueError, match='is a ResNet, and this explainer reads the class token of a ViT'):
        found.heatmaps(photos.photo(), WORDS, explainer='grad_cam')


class TestCommand:
    @pytest.fixture
    def ask(self, tmp_path, monkeypatch):
        monkeypatch.setenv('MMSEG_CLIPSURGERY_CACHE', str(tmp_path / 'cache'))
        monkeypatch.chdir(tmp_path)
        photos.save(tmp_path / 'a.png', photos.photo())
        clip = photos.folder(tmp_path / 'clip')
        own = [
            '--arch',
            str(clip),
            '--templates',
            'bare',
            '--device',
            'cpu',
            '--out',
            'out',
        ]
        with own_files.forgotten():
            yield lambda *words: main(['heatmaps', 'a.png', '--words', *WORDS, *own, '--json', *words])

    @pytest.mark.slow
    def test_explainers_side_by_side(self, ask, tmp_path):
        names = ['legrad', 'rclip', 'attention']
        assert ask('--explainer', *names) == 0
        found = json.loads((tmp_path / 'out/a_heatmaps.json').read_text())
        assert list(found['explainers']) == names
        maps = [found['explainers'][name]['similarity'] for name in names]
        assert maps[0] != maps[1] != maps[2]
        assert found['explainers']['attention']['similarity'][0] == maps[2][1]
        assert (tmp_path / 'out/a_heatmaps.png').is_file()

    @pytest.mark.slow
    def test_one_explainer_of_ones_own(self, ask, tmp_path):
        own = own_files.write(tmp_path / 'my_explainer.py', OWN)
        assert ask('--import', str(own), '--explainer', 'norms') == 0
        found = json.loads((tmp_path / 'out/a_heatmaps.json').read_text())
        assert found['explainer'] == 'norms'
        settings = json.loads((tmp_path / 'out/heatmaps.settings.json').read_text())
        assert settings['explainer']['norms'][0] is not None

    @pytest.mark.parametrize(
        ('words', 'message'),
        [
            (['--explainer', 'legrod'], "error: unknown explainer 'legrod'"),
            (['--explainer', 'legrad', 'legrad'], 'error: got --explainer legrad legrad'),
            (['--explainer', 'clip', '--surgery', 'clip', 'maskclip'], 'surgeries as explainers'),
            (['--explainer', 'gem'], 'error: the surgery reads the last 6 blocks'),
        ],
        ids=['unknown', 'twice', 'several surgeries', 'does not fit'],
    )
    def test_mistakes(self, ask, capsys, words, message):
        assert ask(*words) == 1
        assert message in capsys.readouterr().err
