"""DINO's towers: files and archs that fit, other grids, and what is refused; the numbers are in tests/methods."""

import golden_weights
import tiny
from mmseg_clipsurgery.guides import build_guide
from mmseg_clipsurgery.guides.dino import ARCHS, DINOViT
from mmseg_clipsurgery.inference.normalization import renormalised

import pytest
import torch

SIZES = dict(width=24, layers=2, heads=3, patch=4, image_size=12)


def weights(**changes) -> dict[str, torch.Tensor]:
    """Seeded weights of `SIZES`, by DINO's names; a change of None leaves a tensor out."""
    shapes = {name: value.shape for name, value in DINOViT(SIZES).state_dict().items()}
    tensors = {name: golden_weights.tensor(f'dino.{name}', shape, 0) for name, shape in shapes.items()}
    return {name: value for name, value in (tensors | changes).items() if value is not None}


@pytest.fixture
def file(tmp_path):
    """A function that saves tensors and returns the path."""

    def save(tensors, name='dino.pth'):
        torch.save(tensors, tmp_path / name)
        return tmp_path / name

    return save


def test_a_file_of_dinos_names(file):
    guide = build_guide(dict(type='DINOViT', arch=SIZES, pretrained=file(weights())))
    with torch.no_grad():
        features = guide(tiny.images(2, 3, 14, 20))
    assert features.shape == (2, 24, 3, 5)
    assert not guide.train().training
    wanted = DINOViT(SIZES)
    wanted.load_state_dict(weights())
    with torch.no_grad():
        assert torch.equal(wanted(tiny.images(2, 3, 14, 20)), features)


@pytest.mark.parametrize('name', ARCHS)
def test_named_archs(name):
    with torch.device('meta'):
        guide = DINOViT(name)
    assert guide.patch == int(name.removeprefix('vits').removeprefix('vitb'))
    assert guide.trained_grid == (224 // guide.patch,) * 2
    parameters = sum(value.numel() for value in guide.parameters())
    assert parameters == pytest.approx(21.6e6 if 'vits' in name else 85.8e6, rel=0.01)
    assert {
        'cls_token',
        'pos_embed',
        'patch_embed.proj.weight',
        'blocks.11.attn.qkv.bias',
        'norm.weight',
    } <= set(guide.state_dict())


def test_batch_equals_single_images():
    guide, images = DINOViT(SIZES), tiny.images(3, 3, 8, 20)
    with torch.no_grad():
        together = guide(images)
        for index in range(3):
            torch.testing.assert_close(together[index], guide(images[index : index + 1])[0])


def test_another_grid_leaves_the_position_table_alone():
    guide = DINOViT(SIZES)
    before, images = guide.pos_embed.clone(), tiny.images(1, 3, 12, 12)
    with torch.no_grad():
        small = guide(images)
        guide(tiny.images(1, 3, 24, 8))
        assert torch.equal(guide(images), small)
    assert torch.equal(guide.pos_embed, before)


def test_pixels_are_normalised_anew():
    class Statistics:
        mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)

    guide, pixels = DINOViT(SIZES), torch.rand(1, 3, 4, 4)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (Statistics.mean, Statistics.std))
    found = renormalised((pixels - mean) / std, Statistics, guide)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (guide.mean, guide.std))
    torch.testing.assert_close(found, (pixels - mean) / std)


SPECS = {
    'no type': (dict(arch='vitb8'), 'guide must be a dict whose type is one of DINOViT, got'),
    'another type': (dict(type='DINOv2'), 'whose type is one of DINOViT'),
    'no dict': ('DINOViT', "whose type is one of DINOViT, got 'DINOViT'"),
    'unknown setting': (dict(type='DINOViT', depth=3), 'DINOViT does not take these settings .*depth'),
    'unknown arch': (
        dict(type='DINOViT', arch='vitl8'),
        "one of vits16, vits8, vitb16, vitb8 or a dict, got 'vitl8'",
    ),
    'missing size': (
        dict(type='DINOViT', arch=dict(width=24)),
        'whole numbers width, layers, heads, patch, image_size',
    ),
    'no whole number': (dict(type='DINOViT', arch=SIZES | dict(layers=1.5)), 'whole numbers width'),
    'heads': (dict(type='DINOViT', arch=SIZES | dict(heads=5)), 'width must be a multiple of heads'),
    'patch': (dict(type='DINOViT', arch=SIZES | dict(patch=16)), 'image_size at least patch'),
}


@pytest.mark.parametrize(('spec', 'message'), SPECS.values(), ids=SPECS.keys())
def test_specs_that_are_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        build_guide(spec)


FILES = {
    'missing': (dict(cls_token=None), 'does not fit the guide: missing cls_token; unexpected nothing'),
    'unexpected': ({'head.weight': torch.ones(2)}, 'missing nothing; unexpected head.weight'),
    'another patch': (
        {'patch_embed.proj.weight': torch.ones(24, 3, 8, 8)},
        r'patch_embed.proj.weight has shape \(24, 3, 8, 8\), arch asks for \(24, 3, 4, 4\); .*its patch above all',
    ),
    'another grid': (dict(pos_embed=torch.ones(1, 5, 24)), r'pos_embed has shape \(1, 5, 24\)'),
    'not finite': (
        dict(cls_token=torch.full((1, 1, 24), float('nan'))),
        'cls_token holds NaN or infinite values',
    ),
    'infinite in fp32': (
        dict(cls_token=torch.full((1, 1, 24), 1e300, dtype=torch.float64)),
        'cls_token holds NaN or infinite values',
    ),
    'whole numbers': (
        dict(cls_token=torch.ones(1, 1, 24, dtype=torch.int64)),
        'cls_token is of type torch.int64',
    ),
    'truth values': (
        dict(cls_token=torch.ones(1, 1, 24, dtype=torch.bool)),
        'cls_token is of type torch.bool',
    ),
    'complex': (
        dict(cls_token=torch.ones(1, 1, 24, dtype=torch.complex64)),
        'cls_token is of type torch.complex64',
    ),
}


@pytest.mark.parametrize(('changes', 'message'), FILES.values(), ids=FILES.keys())
def test_files_that_do_not_fit(changes, message, file):
    with pytest.raises(ValueError, match=message):
        DINOViT(SIZES, file(weights(**changes)))


def test_pickled_code_is_not_executed(file):
    with pytest.raises(ValueError, match='holds pickled code, which is never executed here'):
        DINOViT(SIZES, file({'cls_token': print}))


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='does not exist'):
        DINOViT(SIZES, tmp_path / 'none.pth')


def test_images_smaller_than_a_patch():
    with pytest.raises(ValueError, match='at least 4 x 4 pixels, one patch of the guide, got shape'):
        DINOViT(SIZES)(tiny.images(1, 3, 3, 12))


def test_hub_names(monkeypatch, tmp_path):
    """'timm:NAME' is a repository of timm's; a name that is not there, a sentence."""
    import huggingface_hub

    asked = []

    def download(repository, name):
        asked.append((repository, name))
        raise ConnectionError('no network')

    monkeypatch.setattr(huggingface_hub, 'hf_hub_download', download)
    for given, repository in (
        ('timm:vit_base_patch8_224.dino', 'timm/vit_base_patch8_224.dino'),
        ('hf-hub:a/b', 'a/b'),
    ):
        with pytest.raises(FileNotFoundError, match=f'{given} could not be fetched .*or give a file'):
            DINOViT(SIZES, given)
        assert asked[-1] == (repository, 'model.safetensors')


def test_a_model_of_the_hub(monkeypatch, tmp_path):
    import huggingface_hub
    from safetensors.torch import save_file

    save_file(weights(), str(tmp_path / 'model.safetensors'))
    monkeypatch.setattr(huggingface_hub, 'hf_hub_download', lambda repository, name: str(tmp_path / name))
    found = DINOViT(SIZES, 'timm:vit_tiny').state_dict()
    assert all(torch.equal(found[name], value) for name, value in weights().items())


def test_random_weights_are_said(caplog):
    DINOViT(SIZES)
    assert 'the guide DINOViT has random weights' in caplog.text
