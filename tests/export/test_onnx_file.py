"""An ONNX file: PyTorch's logits at any size and batch, what it says of itself, the program of its page, refusals."""

import json
import sys
from types import SimpleNamespace

import doc_blocks
import segmentors
import tiny
import tiny_timm
from cases import slow_but
from mmseg_clipsurgery import Surgery
from mmseg_clipsurgery.cli import export as command
from mmseg_clipsurgery.export import onnx_file
from mmseg_clipsurgery.export.onnx_file import (
    GridLogits,
    check_exportable,
    export_onnx,
    exported,
    is_free,
    largest_difference,
    size_of,
)
from mmseg_clipsurgery.models.head import SurgeryHead
from mmseg_clipsurgery.similarity import normalize
from mmseg_clipsurgery.structures import TextQueries

import numpy as np
import pytest
import torch
from mmengine.config import Config

pytest.importorskip('onnxruntime')
pytestmark = pytest.mark.mmseg
WORDS = ['background', ['cat', 'kitten'], 'dog', 'red car']


WINDOWS = dict(
    mode='slide', crop_size=(13, 18), stride=(8, 8), pad_windows=True
)  # patch 4: padded to 16 x 20


@pytest.fixture(scope='module')
def config():
    return Config(dict(default_scope='mmseg', model=segmentors.word_config(WORDS, **WINDOWS)))


@pytest.fixture(scope='module')
def file(config, tmp_path_factory):
    """A tiny ViT and five words."""
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
    return segmentors.word_segmentor(WORDS, **WINDOWS)


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
    assert (facts['patch'], facts['size'], facts['window'], facts['pad_to']) == (4, None, [13, 18], 4)
    assert facts['mean'] == pytest.approx([value * 255 for value in segmentor.backbone.mean])
    assert facts['logit_scale'] == segmentor.settings.logit_scale


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Runs the program of the page as its reader would: (file, photo) -> labels."""
    page = doc_blocks.ROOT / 'docs' / 'onnx.md'
    text = next(block.text for block in doc_blocks.blocks_of(page) if block.language == 'python')
    assert len(text.splitlines()) <= 40

    def run(file, photo):
        np.save(tmp_path / 'photo.npy', photo)
        words = [str(file), str(tmp_path / 'photo.npy'), str(tmp_path / 'labels.npy')]
        monkeypatch.setattr(sys, 'argv', ['segment_onnx.py', *words])
        exec(compile(text, str(page), 'exec'), {'__name__': '__main__'})
        return np.load(tmp_path / 'labels.npy')

    return run


class Session:
    """What the program sees of onnxruntime's session, with PyTorch's logits."""

    def __init__(self, segmentor):
        self.segmentor = segmentor

    def get_modelmeta(self):
        told = json.dumps(onnx_file.facts(self.segmentor, None))
        return SimpleNamespace(custom_metadata_map={onnx_file.KEY: told})

    def run(self, _, inputs):
        images = inputs['images']
        assert images.dtype == np.float32
        return [logits_of(self.segmentor, torch.from_numpy(images)).numpy()]


def assert_the_packages_labels(segmentor, photo, found):
    """Equal to what the segmentor predicts of a photo, but where the two best words are as good as equal."""
    pixels = torch.from_numpy(photo).movedim(2, 0).float()
    mean, std = (
        torch.tensor(value).view(3, 1, 1) * 255 for value in (segmentor.backbone.mean, segmentor.backbone.std)
    )
    images = ((pixels - mean) / std)[None]
    (sample,) = segmentor.predict(images)
    with torch.no_grad():
        (logits,) = segmentor(images, mode='tensor')
    if len(logits) == 1 or not segmentor.text_encoder().class_of.any():
        logits = torch.stack(
            [torch.full_like(logits[0], segmentor.decode_head.threshold), logits.amax(dim=0)]
        )
    margin = 1e-4 * float(logits.abs().max())
    segmentors.assert_same_labels(torch.from_numpy(found), sample.pred_sem_seg.data[0], logits, margin)


def photo_of(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize('size', [(29, 43), (9, 11)], ids=['several windows', 'smaller than one'])
def test_the_program_of_the_page_gives_the_packages_labels(file, segmentor, program, size):
    photo = photo_of(*size)
    assert_the_packages_labels(segmentor, photo, program(file, photo))


SETTINGS = {
    'whole': (WORDS, dict(mode='whole')),
    'windows': (WORDS, dict(mode='slide', crop_size=(12, 16), stride=(8, 8))),
    'padded windows': (WORDS, WINDOWS),
    'one word': ([['cat', 'kitten']], WINDOWS),
}


@pytest.mark.parametrize('size', [(29, 43), (9, 11)], ids=['several windows', 'smaller than one'])
@pytest.mark.parametrize('case', slow_but(['padded windows'], SETTINGS))
def test_the_program_cuts_pads_and_averages_as_the_package(program, monkeypatch, case, size):
    words, settings = SETTINGS[case]
    segmentor = segmentors.word_segmentor(words, **settings)
    monkeypatch.setattr('onnxruntime.InferenceSession', lambda _: Session(segmentor))
    photo = photo_of(*size)
    assert_the_packages_labels(segmentor, photo, program('any.onnx', photo))


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['PE', 'SigLIP'])
def test_towers_of_timm_take_any_size(kind, tmp_path):
    """The attention pool's value path, rotary positions, a table that is resized by a factor."""
    tower = tiny_timm.tower(kind, Surgery(1, 'vv'), layer=1)
    words = TextQueries(normalize(tiny.images(3, tower.config['embed_dim'])), torch.arange(3), None)
    module = GridLogits(tower, SurgeryHead(), words).eval()
    program, free = exported(module, (12, 12), tower)
    program.save(str(tmp_path / 'tower.onnx'))
    assert free
    assert largest_difference(tmp_path / 'tower.onnx', module, [(12, 12), (8, 21), (28, 12)]) < 1e-5


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


@pytest.mark.parametrize('numbers', [False, True], ids=['refused', 'numbers in place of sizes'])
def test_sizes_are_fixed_where_they_cannot_be_free(segmentor, monkeypatch, numbers, caplog):
    asked = []

    def traced(module, size, dynamic):
        asked.append((size, sorted(dynamic)))
        if 2 in dynamic and not numbers:
            try:
                raise RuntimeError('no such form\nand more')
            except RuntimeError as error:
                raise ValueError('failed') from error
        images = SimpleNamespace(shape=SimpleNamespace(dims=('batch', 3, *size)))
        return SimpleNamespace(model=SimpleNamespace(graph=SimpleNamespace(inputs=[images])))

    monkeypatch.setattr(onnx_file, 'traced', traced)
    program, free = exported(None, (12, 12), segmentor.backbone)
    assert not free
    assert not is_free(program)
    assert asked == [((16, 20), [0, 2, 3]), ((12, 12), [0])]
    why = 'the exporter put numbers in their places' if numbers else 'no such form'
    assert f'height and width are fixed at 12 x 12 pixels ({why})' in caplog.text


def test_what_has_no_onnx_form_is_named(segmentor, monkeypatch):
    def traced(*_):
        raise RuntimeError('no such operator\nand more')

    monkeypatch.setattr(onnx_file, 'traced', traced)
    with pytest.raises(ValueError, match=r'has no ONNX form \(no such operator\); give another surgery$'):
        exported(None, (12, 12), segmentor.backbone)


def test_a_size_is_the_windows_or_the_trained_one(segmentor):
    assert size_of(segmentor, None) == (16, 20), 'with padding'
    assert size_of(segmentor, (16, 24)) == (16, 24)
    assert size_of(segmentors.word_segmentor(WORDS, mode='slide', crop_size=8, stride=4), None) == (8, 8)
    assert size_of(segmentors.word_segmentor(WORDS, mode='whole'), None) == (12, 12)
    for size in ((2, 12), (12, 9000)):
        with pytest.raises(ValueError, match='--size must be'):
            size_of(segmentor, size)


def parts(**changes):
    """What `check_exportable` sees of a segmentor."""
    own = dict(guide=None, variants={}, vocabulary=WORDS, feedback=None, explainer=None, has_prior=False)
    part = SimpleNamespace(**{**own, 'weights': 1000, 'label': 'a tower', **changes})
    part.state_dict = lambda: {'weight': SimpleNamespace(nbytes=part.weights)}
    part.settings = part.decode_head = part.backbone = part
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
    'large': (
        dict(weights=2 << 30),
        'of a tower take 2,147,483,648 bytes, one ONNX file 1,610,612,736 at most',
    ),
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
