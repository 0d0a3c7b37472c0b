"""A SigLIP in open_clip's local-dir form, asked by the interface: its tokenizer, pixel statistics, sigmoid and bias."""

import json
import shutil
from pathlib import Path

import photos
import tiny
import tiny_timm
import word_tokenizer
from mmseg_clipsurgery import load
from mmseg_clipsurgery.clip.sources import resolve
from mmseg_clipsurgery.clip.tokenizer import Tokenizer

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import normalize

WORDS = ['cat', 'green grass', 'sky']


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    """Config, weights and a stand-in for SigLIP's tokenizer."""
    path = tmp_path_factory.mktemp('siglip')
    arch = tiny_timm.arch('SigLIP')
    arch['text_cfg'] |= {'hf_tokenizer_name': 'org/siglip', 'tokenizer_kwargs': {'clean': 'canonicalize'}}
    statistics = {'mean': [0.5, 0.5, 0.5], 'std': [0.5, 0.5, 0.5]}
    config = {'model_cfg': arch, 'preprocess_cfg': statistics}
    (path / 'open_clip_config.json').write_text(json.dumps(config))
    tensors = tiny_timm.clip('SigLIP').state_dict()
    kept = {name: value.contiguous() for name, value in tensors.items()}
    scalars = {'logit_scale': torch.tensor(2.0), 'logit_bias': torch.tensor(-1.5)}
    save_file(kept | scalars, path / 'open_clip_model.safetensors')
    word_tokenizer.write(path, ' '.join(WORDS).split())
    return path


@pytest.fixture(scope='module')
def model(folder):
    return load(folder, templates='bare', text_cache=False, surgery='clip_surgery')


def texts(folder: Path) -> torch.Tensor:
    """open_clip's own embeddings of the words, L2-normalised."""
    ids = Tokenizer(resolve(folder))(WORDS)
    with torch.no_grad():
        return normalize(tiny_timm.clip('SigLIP').encode_text(ids), dim=-1)


@pytest.mark.slow
def test_presence_is_the_models_own_probability(folder, model):
    """sigmoid(exp(logit_scale) cosine + logit_bias), of the pooled embedding."""
    photo = photos.photo(12, 12)
    found = model.recognise(photo, WORDS)
    image = torch.from_numpy(photo.copy()).movedim(2, 0)[None] / 255 / 0.5 - 1
    with torch.no_grad():
        pooled = normalize(tiny_timm.clip('SigLIP').encode_image(image), dim=-1)
    expected = (np.exp(2.0) * pooled @ texts(folder).T - 1.5).sigmoid()[0]
    np.testing.assert_allclose(found.presence, expected, rtol=1e-4)


@pytest.mark.slow
def test_every_task_of_the_interface(model):
    photo = photos.photo(20, 28)
    assert model.segment(photo, WORDS).labels.shape == (20, 28)
    assert model.heatmaps(photo, WORDS).maps().shape == (3, 20, 28)
    assert len(model.points(photo, 'cat').xy)
    assert model.attention(photo, (5, 6)).weights.min() >= 0
    kept = model.segment(photo, WORDS, min_presence=1.0)
    assert len(np.unique(kept.labels)) == 1


@pytest.mark.slow
@pytest.mark.mmseg
def test_mmsegs_segmentor_and_recogniser(folder, model):
    """The labels of the interface, and the model's own scale."""
    models = pytest.importorskip('mmseg.registry').MODELS
    words = dict(vocabulary=WORDS, templates='bare', text_cache=False)
    settings = dict(
        backbone=dict(type='CLIPSurgerySigLIP', arch=str(folder)),
        text_encoder=dict(type='OpenCLIPTextEncoder', arch=str(folder), **words),
        decode_head=dict(type='SurgeryHead'),
    )
    photo = photos.photo(12, 20)
    image = torch.from_numpy(photo.copy()).movedim(2, 0)[None] / 255 / 0.5 - 1
    segmentor = models.build(dict(type='CLIPSurgerySegmentor', test_cfg=dict(mode='whole'), **settings))
    (sample,) = segmentor.predict(image)
    found = model.segment(photo, WORDS).labels
    np.testing.assert_array_equal(sample.pred_sem_seg.data[0], found)
    recogniser = models.build(dict(type='CLIPSurgeryRecogniser', test_cfg=dict(mode='whole'), **settings))
    assert recogniser.logit_scale == pytest.approx(np.exp(2.0))


def test_without_the_tokenizers_files_one_sentence_says_so(monkeypatch):
    def none(*_, **__):
        raise OSError('no network\nand more')

    monkeypatch.setattr('huggingface_hub.snapshot_download', none)
    with pytest.raises(FileNotFoundError, match=r"'timm/ViT-B-16-SigLIP', which .* \(no network\)") as caught:
        Tokenizer(resolve('ViT-B-16-SigLIP'))
    assert '\n' not in str(caught.value)


def test_a_file_of_weights_gets_the_statistics_of_its_archs_tags():
    assert resolve('ViT-B-16-SigLIP2').mean == (0.5, 0.5, 0.5)
    assert resolve('MobileCLIP-B').std == (1.0, 1.0, 1.0)
    assert resolve('ViT-B-16').mean[0] == pytest.approx(0.48145466)
    assert resolve(tiny.SMALL).mean[0] == pytest.approx(0.48145466)


@pytest.mark.slow
def test_a_file_without_its_bias_gives_no_probability(folder, tmp_path):
    own = tmp_path / 'siglip'
    shutil.copytree(folder, own)
    weights = own / 'open_clip_model.safetensors'
    save_file({name: value for name, value in load_file(weights).items() if name != 'logit_bias'}, weights)
    found = load(own, templates='bare', text_cache=False)
    assert found.segment(photos.photo(12, 12), WORDS).labels.shape == (12, 12)
    with pytest.raises(
        ValueError, match=r'has no logit_bias, without which .* gives no probability of a word'
    ):
        found.recognise(photos.photo(12, 12), WORDS)
