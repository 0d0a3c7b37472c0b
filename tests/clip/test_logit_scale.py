"""What a model's own training makes of a cosine: scale and bias, read from the file of weights."""

import math
import os

import photos
import tiny
from mmseg_clipsurgery.clip.logit_scale import own_logit_bias, own_logit_scale

import pytest
import torch


def test_the_models_own_scale(tmp_path):
    assert own_logit_scale(None) == 100
    assert own_logit_scale(tiny.weights_file(photos.ARCH, photos.SEED)) == pytest.approx(1 / 0.07)
    for name, tensors, expected in (
        ('none', {'proj': torch.zeros(2)}, 100),
        ('large', {'logit_scale': torch.tensor(9.0)}, 100),
        ('half', {'module.logit_scale': torch.tensor(2.0).half()}, math.exp(2)),
    ):
        torch.save(tensors, tmp_path / f'{name}.pt')
        assert own_logit_scale(tmp_path / f'{name}.pt') == pytest.approx(expected)


def test_a_sigmoid_has_a_bias_and_a_scale_without_limit(tmp_path):
    assert own_logit_bias(None) is None
    assert own_logit_bias(tiny.weights_file(photos.ARCH, photos.SEED)) is None
    torch.save({'logit_scale': torch.tensor(4.76), 'logit_bias': torch.tensor(-12.9)}, tmp_path / 'siglip.pt')
    assert own_logit_scale(tmp_path / 'siglip.pt') == pytest.approx(math.exp(4.76))
    assert own_logit_bias(tmp_path / 'siglip.pt') == pytest.approx(-12.9)
    torch.save({'logit_bias': torch.tensor([1.0, 2.0])}, tmp_path / 'two.pt')
    with pytest.raises(ValueError, match='logit_bias must be one finite number'):
        own_logit_bias(tmp_path / 'two.pt')


@pytest.mark.parametrize(
    'value',
    [torch.tensor(torch.nan), torch.tensor(torch.inf), torch.ones(2), torch.tensor(3), torch.ones(0)],
    ids=['NaN', 'infinite', 'two', 'an integer', 'none'],
)
def test_a_logit_scale_that_is_no_finite_number_is_refused(value, tmp_path):
    torch.save({'logit_scale': value}, tmp_path / 'clip.pt')
    with pytest.raises(ValueError, match='logit_scale must be one finite number'):
        own_logit_scale(tmp_path / 'clip.pt')


@pytest.mark.parametrize(
    'odd',
    [
        torch.ones(()).to_sparse(),
        torch.ones((), device='meta'),
        torch.quantize_per_tensor(torch.ones(1), 0.1, 0, torch.qint8),
    ],
    ids=['sparse', 'without values', 'quantized'],
)
@pytest.mark.parametrize(
    'name', ['logit_scale', 'logit_bias', 'vision_model.encoder.layers.0.mlp.fc1.weight']
)
def test_a_tensor_that_is_not_dense_is_refused_wherever_it_stands(odd, name, tmp_path):
    torch.save({name: odd}, tmp_path / 'clip.pt')
    with pytest.raises(ValueError, match=f'the tensor {name} is sparse, nested, quantized or without values'):
        own_logit_scale(tmp_path / 'clip.pt')


def test_the_logit_scale_of_a_replaced_file_is_seen(tmp_path):
    path = tmp_path / 'clip.pt'
    found = []
    for value in (1.0, 2.0):
        torch.save({'logit_scale': torch.tensor(value)}, tmp_path / 'new.pt')
        os.replace(tmp_path / 'new.pt', path)
        found.append(own_logit_scale(path))
    assert found == pytest.approx([math.e, math.e**2])


def test_a_large_logit_scale_does_not_overflow(tmp_path):
    torch.save({'logit_scale': torch.tensor(1e30)}, tmp_path / 'clip.pt')
    assert own_logit_scale(tmp_path / 'clip.pt') == 100
