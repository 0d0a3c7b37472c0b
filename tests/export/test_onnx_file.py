"""An ONNX file: PyTorch's logits at any size and batch, what it says of itself, the program of its page, refusals."""

import json
from types import SimpleNamespace

import doc_blocks
import segmentors
from mmseg_clipsurgery.cli import export as command
from mmseg_clipsurgery.export import onnx_file
from mmseg_clipsurgery.export.onnx_file import GridLogits, check_exportable, export_onnx, exported, size_of
from mmseg_clipsurgery.inference.windows import window_logits

import numpy as np
import pytest
import torch
from mmengine.config import Config

pytest.importorskip('onnxruntime')
pytestmark = pytest.mark.mmseg
WORDS = ['background', ['cat', 'kitten'], 'dog', 'red car']


@pytest.fixture(scope='module')
def config():
    return Config(dict(default_scope='mmseg', model=segmentors.word_config(WORDS, mode='whole')))


@pytest.fixture(scope='module')
def file(config, tmp_path_factory):
    """A tiny ViT and five words; its surgery fits the position table by size."""
    path = tmp_path_factory.mktemp('onnx') / 'tiny.onnx'
    export_onnx(config, str(path))
    return path


@pytest.fixture(scope='module')
def opened(file):
    """(onnxruntime's session, what the file says of itself)."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file))
    return session, json.loads(session.get_modelmeta().custom_metadata_map[onnx_file.KEY])


@pytest.fixture(scope='module')
def segmentor():
    return segmentors.word_segmentor(WORDS, mode='whole')


def logits_of(segmentor, images):
    with torch.no_grad():
        return GridLogits(segmentor.backbone, segmentor.decode_head, segmentor.text_encoder())(images)


@pytest.mark.slow
@pytest.mark.parametrize(('batch', 'height', 'width'), [(1, 12, 12), (2, 16, 32), (3, 40, 12)])
def test_logits_are_pytorchs_at_any_size_and_batch(opened, segmentor, batch, height, width):
    images = torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(1))
    (found,) = opened[0].run(None, {'images': images.numpy()})
    wanted = logits_of(segmentor, images).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.slow
def test_what_the_file_says_of_itself(opened, segmentor):
    facts = opened[1]
    assert facts['classes'] == ['background', 'cat', 'dog', 'red car']
    assert facts['class_of'] == [0, 1, 1, 2, 3]
    assert (facts['patch'], facts['size'], facts['window']) == (4, None, None)
    assert facts['mean'] == pytest.approx([value * 255 for value in segmentor.backbone.mean])
    assert facts['logit_scale'] == segmentor.settings.logit_scale


@pytest.mark.slow
@pytest.mark.parametrize('window', [None, [12, 16]], ids=['whole', 'windows'])
def test_the_program_of_the_page_gives_the_packages_labels(opened, segmentor, window):
    page = doc_blocks.ROOT / 'docs' / 'onnx.md'
    program: dict = {'__name__': 'program'}
    exec(next(block.text for block in doc_blocks.blocks_of(page) if block.language == 'python'), program)
    session, facts = opened
    stride = window and [8, 8]
    image = np.random.default_rng(0).integers(0, 256, (20, 28, 3), np.uint8)
    found = program['segment'](session, {**facts, 'window': window, 'stride': stride}, image)
    pixels = torch.from_numpy(image).movedim(2, 0).float()
    mean, std = (torch.tensor(facts[name]).view(3, 1, 1) for name in ('mean', 'std'))
    (tiles,) = window_logits(
        [(pixels - mean) / std], lambda images: logits_of(segmentor, images), window, stride
    )
    queries = segmentor.text_encoder()
    expected = queries.class_of[tiles.best_queries()]
    assert (found == expected.numpy()).mean() > 0.99


def fake_program(written):
    return SimpleNamespace(model=SimpleNamespace(metadata_props={}), save=lambda path: written(path))


def test_a_file_that_differs_is_not_kept(config, tmp_path, monkeypatch):
    program = fake_program(lambda path: open(path, 'w').close())
    monkeypatch.setattr(onnx_file, 'exported', lambda *_: (program, True))
    monkeypatch.setattr(onnx_file, 'largest_difference', lambda *_: 2e-3)
    with pytest.raises(ValueError, match=r"differ from PyTorch's by 0.002 of the largest, so .* is not kept"):
        export_onnx(config, str(tmp_path / 'tiny.onnx'))
    assert not list(tmp_path.iterdir())
    assert 'classes' in json.loads(program.model.metadata_props[onnx_file.KEY])


def test_sizes_are_fixed_where_they_cannot_be_free(segmentor, monkeypatch):
    asked = []

    def traced(module, size, dynamic):
        asked.append((size, sorted(dynamic)))
        if 2 in dynamic:
            raise RuntimeError('no such form\nand more')

    monkeypatch.setattr(onnx_file, 'traced', traced)
    tower = segmentor.backbone
    assert exported(None, (12, 12), tower) == (None, False)
    assert asked == [((16, 20), [0, 2, 3]), ((12, 12), [0])]
    scaled = SimpleNamespace(patch=4, surgery=SimpleNamespace(position='bicubic_scale'), trained_grid=(3, 3))
    assert exported(None, (16, 16), scaled) == (None, False)
    assert asked[2:] == [((16, 16), [0])]


def test_a_size_is_the_windows_or_the_trained_one(segmentor):
    assert size_of(segmentor, None) == (12, 12)
    assert size_of(segmentor, (16, 20)) == (16, 20)
    assert size_of(segmentors.word_segmentor(WORDS, mode='slide', crop_size=8, stride=4), None) == (8, 8)
    for size in ((2, 12), (12, 9000)):
        with pytest.raises(ValueError, match='--size must be'):
            size_of(segmentor, size)


def parts(**changes):
    """What `check_exportable` sees of a segmentor."""
    own = dict(guide=None, variants={}, vocabulary=WORDS, feedback=None, explainer=None, has_prior=False)
    part = SimpleNamespace(**{**own, **changes})
    part.settings = part.decode_head = part
    return part


REFUSED = {
    'feedback': (
        dict(feedback={'scale': 1}),
        'has feedback, which reads the words of a first reading; leave it out',
    ),
    'guide': (dict(guide=object()), r'has a second tower \(guide\); leave it out'),
    'explainer': (dict(explainer='legrad'), 'has an explainer'),
    'variants': (dict(variants={'a': 1}), 'has variants'),
    'prior': (dict(has_prior=True), "has the head's global_share or prompt_shift"),
    'no words': (dict(vocabulary=None), 'has no words: set'),
}


@pytest.mark.parametrize(('changes', 'message'), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_more_than_tower_and_words_is_refused(changes, message):
    check_exportable(parts())
    with pytest.raises(ValueError, match=message):
        check_exportable(parts(**changes))


def test_a_missing_extra_is_named(monkeypatch, capsys, tmp_path):
    find = onnx_file.importlib.util.find_spec
    monkeypatch.setattr(
        onnx_file.importlib.util, 'find_spec', lambda name: None if name == 'onnxscript' else find(name)
    )
    assert command.main(['clipsurgery_scenes', str(tmp_path / 'scenes.onnx'), '--onnx']) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "needs onnxscript: run pip install 'mmseg_clipsurgery[onnx]'" in line


def test_a_size_without_onnx_is_refused(capsys, tmp_path):
    assert command.main(['clipsurgery_scenes', str(tmp_path / 'scenes.pth'), '--size', '96', '96']) == 1
    assert '--size is of ONNX files; give --onnx too' in capsys.readouterr().err
