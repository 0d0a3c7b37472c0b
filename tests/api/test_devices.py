"""Devices that are not here are refused in a sentence, before anything is moved."""

import photos
from mmseg_clipsurgery.api.devices import check_device

import pytest
import torch


@pytest.mark.parametrize('device', ['cpu', torch.device('cpu')])
def test_the_device_is_returned(device):
    assert check_device(device) == torch.device('cpu')


@pytest.mark.parametrize('device', ['nope', 'cuda:99', 'mps', '', 'meta'])
def test_a_device_that_is_not_here_is_refused(device):
    if device == 'mps' and torch.backends.mps.is_available():
        pytest.skip('it is here')
    with pytest.raises(
        ValueError, match=r'the device .* (is not available \(.*\); give another|holds shapes)'
    ):
        check_device(device)


def test_a_model_is_not_moved_to_a_device_that_is_not_here():
    model = photos.model()
    for move in (lambda: model.to('nope'), lambda: model.to(device='cuda:99')):
        with pytest.raises(ValueError, match='is not available'):
            move()
    assert model.to('cpu') is model
    assert model.to(torch.float32) is model
