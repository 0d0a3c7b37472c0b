"""The training tool of the scenes CLIP, in tiny runs, and the model that ships."""

import importlib
import json
from pathlib import Path

import mmseg_clipsurgery
from mmseg_clipsurgery.scenes import spec

import numpy as np
import pytest
import torch
from open_clip.factory import create_model_and_transforms
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
SHIPPED = Path(mmseg_clipsurgery.__file__).parent / 'resources' / 'scenes'


@pytest.fixture(scope='module')
def tool():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / 'tools')
        yield importlib.import_module('scenes_training')


@pytest.fixture
def main(tool):
    return importlib.import_module('train_scenes_clip').main


@pytest.fixture
def start(tool, main, tmp_path, monkeypatch):
    """Start a run of four tiny steps: start(work_dir, ...); `stop` interrupts it after so many steps."""
    monkeypatch.setitem(tool.MODEL_CFG['vision_cfg'], 'width', 64)
    monkeypatch.setitem(tool.MODEL_CFG['vision_cfg'], 'layers', 6)
    step = tool.Run.train_step

    def run(name, *arguments, stop=None):
        def train_step(self, batch):
            if self.step == stop:
                raise KeyboardInterrupt
            step(self, batch)

        monkeypatch.setattr(tool.Run, 'train_step', train_step)
        settings = (
            '--steps 4 --batch-size 4 --dev-scenes 4 --evaluate-every 2 --save-every 1 --precision float32'
        )
        places = ['--work-dir', str(tmp_path / name), '--out', str(tmp_path / name / 'out')]
        main([*places, *settings.split(), '--device', 'cpu', *arguments])
        return tmp_path / name / 'out'

    return run


@pytest.mark.slow
def test_a_run_writes_a_model_that_open_clip_reads(start):
    out = start('run')
    model, _, preprocess = create_model_and_transforms(f'local-dir:{out}')
    assert preprocess.transforms[-1].mean == [0.5, 0.5, 0.5]
    weights = load_file(out / 'open_clip_model.safetensors')
    for name, value in model.state_dict().items():
        assert torch.equal(value.half(), weights[name]), name
    card = json.loads((out / 'card.json').read_text())
    assert [scores['step'] for scores in card['dev_history']] == [2, 4]
    assert card['chosen_on_dev']['step'] == 4
    assert card['settings']['steps'] == 4
    assert card['scenes_version'] == spec.VERSION


@pytest.mark.slow
def test_a_run_that_was_stopped_ends_as_one_that_was_not(start):
    whole = start('whole')
    with pytest.raises(KeyboardInterrupt):
        start('stopped', stop=2)
    resumed = start('stopped')
    one, other = (load_file(out / 'open_clip_model.safetensors') for out in (whole, resumed))
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


@pytest.mark.slow
def test_a_run_with_other_settings_is_not_resumed(start):
    start('run')
    with pytest.raises(ValueError, match='name another --work-dir'):
        start('run', '--seed', '1')


def test_captions_that_say_the_same_share_the_target(tool):
    image = text = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), dim=1)
    same = torch.tensor([[True, True, False], [True, True, False], [False, False, True]])
    scale = torch.tensor(100.0)
    assert tool.contrastive_loss(image, text, scale, same) == pytest.approx(2 / 3 * np.log(2), abs=1e-6)
    apart = tool.contrastive_loss(image, text, scale, torch.eye(3, dtype=torch.bool))
    plain = torch.nn.functional.cross_entropy(scale * image @ text.T, torch.arange(3))
    assert apart == pytest.approx(plain.item(), abs=1e-6)


@pytest.mark.parametrize(
    ('step', 'expected'), [(0, 1 / 60), (59, 1.0), (300, 1.0), (825, 0.5), (1000, 0.0)], ids=str
)
def test_learning_rate(tool, step, expected):
    assert tool.rate(step, 1000) == pytest.approx(expected)


def test_the_shipped_model_is_small_and_what_the_tool_makes(tool):
    config = json.loads((SHIPPED / 'open_clip_config.json').read_text())
    assert config == {'model_cfg': tool.MODEL_CFG, 'preprocess_cfg': tool.PREPROCESS_CFG}
    assert (SHIPPED / 'open_clip_model.safetensors').stat().st_size < 10e6
    weights = load_file(SHIPPED / 'open_clip_model.safetensors')
    tool.build_model().load_state_dict(weights)
    assert all(torch.isfinite(value).all() for value in weights.values())
    card = json.loads((SHIPPED / 'card.json').read_text())
    assert card['scenes_version'] == spec.VERSION
    assert card['command'].startswith('python tools/train_scenes_clip.py')


@pytest.mark.slow
def test_the_shipped_model_does_on_dev_what_its_card_says(tool, tmp_path):
    model = tool.build_model().eval()
    model.load_state_dict(load_file(SHIPPED / 'open_clip_model.safetensors'))
    dev = tool.DevSet(tool.make_tokenizer(tmp_path), spec.SCENES['dev'], 'cpu')
    card = json.loads((SHIPPED / 'card.json').read_text())
    for name, value in dev.scores(model).items():
        assert value == pytest.approx(card['chosen_on_dev'][name], abs=0.5), (
            name
        )  # half precision moves it a little
