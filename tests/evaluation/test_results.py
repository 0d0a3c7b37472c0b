"""The protocol that is printed, and the results file."""

import json
import math
import subprocess
from typing import ClassVar

import mini_voc
from mmseg_clipsurgery.evaluation import results
from mmseg_clipsurgery.inference.settings import InferenceSettings

import numpy as np
import pytest
import torch
from mmengine.config import Config
from torch import nn

pytestmark = pytest.mark.mmseg


class Segmentor(nn.Module):
    """What the protocol asks of a model."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2, dtype=torch.bfloat16)
        self.settings = InferenceSettings(
            'slide', 224, 112, logit_scale=50, pamr=dict(iterations=10)
        ).with_windows(16)


class Wrapper(nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module


class Dataset(list):  # three images
    metainfo: ClassVar = dict(classes=['background', 'cat'])


def protocol(cfg: Config) -> dict:
    return results.protocol(cfg, Dataset([1, 2, 3]), Wrapper(Wrapper(Segmentor())))


def test_protocol():
    found = protocol(mini_voc.config('root', model__backbone__surgery=dict(last_blocks=2, affinity='vv')))
    expected = {
        'dataset': 'Dataset',
        'data root': 'root',
        'split': 'ImageSets/Segmentation/val.txt',
        'images': 3,
        'classes': 2,
        'words': 'voc21',
        'templates': 'bare',
        'resize': None,
        'mode': 'slide',
        'crop': (224, 224),
        'stride': (112, 112),
        'logit scale': 50,
        'surgery': dict(last_blocks=2, affinity='vv', residual=True, ffn=False, position='bicubic_scale'),
        'arch': 'ViT-B-16',
        'pretrained': 'openai',
        'calibrated on': None,
        'PAMR': "{'iterations': 10}",
        'feedback': None,
        'global share': None,
        'prompt shift': None,
        'guide': None,
        'dtype': 'bfloat16',
        'device': 'cpu',
        'processes': 1,
        'test-time augmentation': False,
    }
    assert {key: found[key] for key in expected} == expected


def test_protocol_of_an_augmented_run():
    cfg = mini_voc.config('root')
    cfg.model = dict(type='CLIPSurgeryTTAModel', module=cfg.model)
    found = protocol(cfg)
    assert found['test-time augmentation'] is True
    assert found['words'] == 'voc21'


def test_protocol_lines_leave_nothing_out():
    found = protocol(mini_voc.config('root'))
    lines = results.protocol_lines(found).splitlines()
    assert len(lines) == len(found)
    assert '  area threshold          -' in lines


@pytest.mark.parametrize(
    ('pipeline', 'expected'),
    [
        ([dict(type='LoadImageFromFile')], None),
        ([dict(type='Resize', scale=(2048, 336), keep_ratio=True)], '(2048, 336), ratio kept'),
        ([dict(type='Resize', scale=(64, 64))], '(64, 64)'),
        ([dict(type='TestTimeAug', transforms=[[dict(type='Resize', scale_factor=0.5)], []])], '0.5'),
    ],
    ids=['none', 'ratio', 'square', 'augmented'],
)
def test_resize(pipeline, expected):
    assert results.resize_of(pipeline) == expected


def test_results_are_plain_json(tmp_path):
    path = tmp_path / 'new' / 'results.json'
    given = dict(
        array=np.array([1, 2]), number=np.float32(0.5), nan=math.nan, nested=dict(inf=np.float64('inf')),
        tensor=torch.tensor([True]), kind=torch.float16, pair=(1, 'ä'),
    )  # fmt: skip
    results.write_results(path, given)
    text = path.read_text(encoding='utf-8')
    read = json.loads(text, parse_constant=lambda name: pytest.fail(f'{name} is not JSON'))
    expected = dict(
        array=[1, 2],
        number=0.5,
        nan=None,
        nested=dict(inf=None),
        tensor=[True],
        kind='torch.float16',
        pair=[1, 'ä'],
    )
    assert {key: read[key] for key in expected} == expected
    assert read['versions']['torch'] == torch.__version__
    assert {'python', 'mmseg', 'mmengine', 'mmcv', 'open_clip', 'mmseg_clipsurgery'} <= set(read['versions'])
    assert read['date'].endswith('+00:00')
    assert [file.name for file in path.parent.iterdir()] == ['results.json']


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / 'results.json'
    results.write_results(path, dict(run=1))
    with pytest.raises(ValueError, match='no'):
        results.atomic_write(path, lambda temporary: (_ for _ in ()).throw(ValueError('no')))
    assert json.loads(path.read_text())['run'] == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_table(tmp_path):
    results.write_table(tmp_path / 'a.csv', [{'class': 'a, b', 'IoU': 1.5}, {'class': 'c', 'IoU': None}])
    assert (tmp_path / 'a.csv').read_text().splitlines() == ['class,IoU', '"a, b",1.5', 'c,']
    results.write_table(tmp_path / 'b.csv', [])
    assert not (tmp_path / 'b.csv').exists()


def test_commit_is_of_our_own_checkout_only(tmp_path, monkeypatch):
    package = tmp_path / 'package'
    package.mkdir()
    (package / 'results.py').write_text('')
    monkeypatch.setattr(results, '__file__', str(package / 'results.py'))
    assert results.commit() is None

    def git(*words):
        identity = ['-c', 'user.name=a', '-c', 'user.email=a@b', '-c', 'commit.gpgsign=false']
        return subprocess.run(
            ['git', '-C', str(tmp_path), *identity, *words], check=True, capture_output=True, text=True
        )

    git('init', '--quiet')
    git('commit', '--quiet', '--allow-empty', '--message', 'somebody else installed us inside their checkout')
    assert results.commit() is None
    git('add', '.')
    git('commit', '--quiet', '--message', 'ours')
    commit = git('rev-parse', 'HEAD').stdout.strip()
    assert results.commit() == commit
    (package / 'results.py').write_text('changed')
    assert results.commit() == f'{commit}+changes'


def test_peak_memory_is_of_this_order():
    assert 50 < results.peak_memory_mib()['process'] < 100_000
