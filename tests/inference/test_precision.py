"""Half precision on the embedded benchmark: nearly the same tokens, nearly all labels the same.

SCENES=200 python -m pytest tests/inference/test_precision.py -s        prints the figures, over all validation scenes
"""

import os
from copy import deepcopy

import mmseg_clipsurgery

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, MODELS

pytestmark = [pytest.mark.mmseg, pytest.mark.slow]
COUNT = int(os.environ.get('SCENES', 32))


@pytest.fixture(scope='module')
def scenes() -> tuple[Config, list[dict]]:
    """The shipped config and the first of its scenes, loaded."""
    init_default_scope('mmseg')
    cfg = Config.fromfile(mmseg_clipsurgery.config('clipsurgery_scenes'))
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    return cfg, [dataset[i] for i in range(COUNT)]


@pytest.fixture(scope='module')
def exact(scenes):
    return read(MODELS.build(scenes[0].model), scenes[1])


def read(model, data: list[dict]) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels of all pixels of the scenes, and all patch tokens "n c"."""
    labels, tokens = [], []
    for start in range(0, len(data), 50):
        part = data[start : start + 50]
        samples = [deepcopy(one['data_samples']) for one in part]
        batch = model.data_preprocessor({'inputs': [one['inputs'] for one in part], 'data_samples': samples})
        labels += [sample.pred_sem_seg.data.flatten() for sample in model.predict(**batch)]
        with torch.inference_mode():
            for image in batch['inputs']:
                grid = model.tower_runner(model.backbone, image[None], False).patch_tokens
                tokens.append(grid[0].flatten(1).T.float())
    return torch.cat(labels), torch.cat(tokens)


@pytest.mark.parametrize(
    ('name', 'test_cfg', 'dtype'),
    [
        ('autocast to bf16', {'precision': 'bf16'}, None),
        ('autocast to fp16', {'precision': 'fp16'}, None),
        ('weights in bf16', {}, torch.bfloat16),
        ('weights in fp16', {}, torch.float16),
    ],
    ids=lambda value: value if isinstance(value, str) else '',
)
def test_half_precision_keeps_the_labels(scenes, exact, name, test_cfg, dtype):
    cfg, data = scenes
    config = deepcopy(cfg.model)
    config.test_cfg.update(test_cfg)
    model = MODELS.build(config)
    labels, tokens = read(model.to(dtype) if dtype else model, data)
    same = float((labels == exact[0]).float().mean())
    cosine = torch.nn.functional.cosine_similarity(tokens, exact[1], dim=1)
    low = cosine.quantile(0.001)
    print(
        f'{name}: {100 * same:.2f} % of labels equal; '
        f'cosine mean {cosine.mean():.5f}, above {low:.5f} in 99.9 %, least {cosine.min():.5f}'
    )
    assert same >= 0.995
    assert low >= 0.99
    assert cosine.min() >= 0.95
