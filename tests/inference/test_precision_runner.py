"""How a tower is run: half precision is autocast's to the last bit, and the half copy follows its tower."""

import tiny
from mmseg_clipsurgery.inference.precision import TowerRunner, float32_products, half_copy, weights_version

import pytest
import torch

TOWERS = {
    'vit': lambda: (tiny.vit(), tiny.images(2, 3, 40, 56)),
    'gem': lambda: (tiny.vit('gem'), tiny.images(1, 3, 64, 64)),
    'layer scale': lambda: (
        tiny.vit(arch=tiny.changed(tiny.VIT, vision_cfg={'ls_init_value': 0.1})),
        tiny.images(1, 3, 64, 64),
    ),
    'resnet': lambda: (tiny.resnet(), tiny.images(2, 3, 64, 96)),
}


@torch.inference_mode()
def read(run: TowerRunner, tower, images) -> list[torch.Tensor]:
    return list(run(tower, images, class_token=True))


@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
@pytest.mark.parametrize('kind', TOWERS)
def test_half_precision_is_autocast_to_the_last_bit(kind, precision):
    tower, images = TOWERS[kind]()
    run = TowerRunner(precision)
    with torch.inference_mode(), torch.autocast('cpu', dtype=run.dtype):
        expected = tower(images)
    for _ in range(2):
        assert all(map(torch.equal, read(run, tower, images), expected))


def test_a_half_copy_shares_all_but_matrices():
    tower = tiny.vit()
    before = {name: value.clone() for name, value in tower.state_dict().items()}
    made = half_copy(tower, torch.bfloat16)
    parameters = dict(tower.named_parameters())
    shared = [name for name, value in made.named_parameters() if value is parameters[name]]
    assert len(shared) == 2 + 2 * 8 * 2 + 2 * 2  # embeddings, LN of the blocks, LN before and after
    others = {value.dtype for name, value in made.named_parameters() if name not in shared}
    assert others == {torch.bfloat16}
    assert all(torch.equal(value, before[name]) for name, value in tower.state_dict().items())


@pytest.mark.slow
def test_changed_weights_and_another_tower_are_noticed():
    first, second, images = tiny.vit(seed=1), tiny.vit(seed=2), tiny.images(1, 3, 64, 64)
    run = TowerRunner('bf16')
    for tower in (first, second, first):
        assert all(map(torch.equal, read(run, tower, images), read(TowerRunner('bf16'), tower, images)))
    version = weights_version(first)
    first.load_state_dict(second.state_dict())
    assert weights_version(first) != version
    assert all(map(torch.equal, read(run, first, images), read(run, second, images)))


@pytest.mark.slow
def test_matrices_are_converted_once(monkeypatch):
    """Without the half copy, every call converted every matrix and bias."""
    tower, images, run = tiny.vit(), tiny.images(1, 3, 64, 64), TowerRunner('bf16')
    read(run, tower, images)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        read(run, tower, images)
    autocast = torch.autocast('cpu', dtype=torch.bfloat16)
    with (
        torch.inference_mode(),
        autocast,
        torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as plain,
    ):
        tower(images)
    conversions = [
        sum(event.count for event in one.key_averages() if event.key == 'aten::_to_copy')
        for one in (profile, plain)
    ]
    assert conversions[0] <= conversions[1] - 64


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match=r"one of fp32, tf32, bf16, fp16, got 'int8'"):
        TowerRunner('int8')


@pytest.mark.parametrize('precision', ['fp32', 'tf32'])
@pytest.mark.parametrize('before', [True, False], ids=['torch allows TF32', 'torch forbids it'])
def test_products_are_tf32_only_where_it_is_asked_for(precision, before):
    class Tower(torch.nn.Module):
        def forward(self, images, **options):
            return switches()

    def switches() -> tuple[bool, bool]:
        return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32

    outside = switches()
    with float32_products(before):
        assert TowerRunner(precision)(Tower(), torch.zeros(1), False) == (precision == 'tf32',) * 2
        assert switches() == (before, before)
    assert switches() == outside


def test_switches_are_as_before_after_an_error():
    before = torch.backends.cudnn.allow_tf32
    with pytest.raises(KeyError), float32_products(not before):
        raise KeyError
    assert torch.backends.cudnn.allow_tf32 is before
