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
def tools():
    """Import a module of tools: tools('scenes_clip.model')."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / 'tools')
        yield importlib.import_module


@pytest.fixture
def tiny(tools, monkeypatch):
    """Models of width 64."""
    monkeypatch.setitem(tools('scenes_clip.model').MODEL_CFG['vision_cfg'], 'width', 64)


@pytest.fixture
def start(tools, tiny, tmp_path, monkeypatch):
    """Start a run of four tiny steps: start(work_dir, ...); `stop` interrupts it after so many steps."""
    training, main = tools('scenes_clip.training'), tools('train_scenes_clip').main
    step = training.Run.train_step

    def run(name, *arguments, stop=None):
        def train_step(self, batch):
            if self.step == stop:
                raise KeyboardInterrupt
            step(self, batch)

        monkeypatch.setattr(training.Run, 'train_step', train_step)
        settings = (
            '--steps 4 --batch-size 4 --dev-scenes 4 --evaluate-every 2 --save-every 1 --precision float32'
        )
        places = ['--work-dir', str(tmp_path / name), '--out', str(tmp_path / name / 'out')]
        main([*places, *settings.split(), '--device', 'cpu', '--debug', *arguments])
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


@pytest.fixture
def choose(tools, tmp_path):
    """Choose among runs on a few scenes: choose(folder, ...)."""

    def run(*folders):
        main = tools('choose_scenes_clip').main
        main([*map(str, folders), '--out', str(tmp_path / 'chosen'), '--scenes', '12', '--debug'])
        return tmp_path / 'chosen'

    return run


@pytest.mark.slow
def test_the_best_seed_on_dev_is_chosen_and_its_card_tells_of_all(start, choose):
    runs = [start(f'seed {seed}', '--seed', str(seed)) for seed in (0, 1)]
    cards = [json.loads((run / 'card.json').read_text()) for run in runs]
    best = int(cards[1]['chosen_on_dev']['miou'] > cards[0]['chosen_on_dev']['miou'])
    chosen = choose(*runs)
    assert (chosen / 'open_clip_model.safetensors').read_bytes() == (
        runs[best] / 'open_clip_model.safetensors'
    ).read_bytes()
    card = json.loads((chosen / 'card.json').read_text())
    assert card['command'] == cards[best]['command']
    assert card['chosen']['seed'] == best
    assert len(set(card['sinks'])) == 8
    assert [each['seed'] for each in card['all_seeds']] == [0, 1]
    for split in ('dev', 'val', 'heldout'):
        values = [each[split]['miou'] for each in card['all_seeds']]
        found = card['mean_and_spread'][split]['miou']
        assert found['mean'] == pytest.approx(np.mean(values), abs=0.01)
        assert found['deviation'] == pytest.approx(np.std(values, ddof=1), abs=0.01)


@pytest.mark.slow
def test_runs_that_differ_in_more_than_their_seed_are_refused(start, choose):
    one, other = start('one'), start('other', '--seed', '1', '--learning-rate', '0.01')
    for folders in ((one, other), (one, one)):
        with pytest.raises(ValueError, match='one seed each'):
            choose(*folders)


def test_a_model_of_earlier_scenes_is_named(choose, tmp_path):
    (tmp_path / 'card.json').write_text(json.dumps({'scenes_version': 2, 'settings': {'seed': 0}}))
    with pytest.raises(ValueError, match=r'on scenes of versions \[2\]; give runs .* on version 3'):
        choose(tmp_path)


def test_passing_by_what_sleeps_is_the_same_function(tools, tiny):
    model = tools('scenes_clip.model')
    clip = model.build_model().eval()
    images = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        whole = clip.encode_image(images)
        model.skip_sleepers(clip, True)
        assert torch.equal(clip.encode_image(images), whole)
        for last in model.sleepers(clip):
            last.bias.fill_(1.0)
        assert torch.equal(clip.encode_image(images), whole)
        model.skip_sleepers(clip, False)
        assert not torch.allclose(clip.encode_image(images), whole)


def test_while_most_attention_sleeps_a_patch_depends_on_itself_alone(tools, tiny):
    """Up to the last block, which is where the class token reads the patches."""
    model = tools('scenes_clip.model')
    assert (model.MODEL_CFG['vision_cfg']['layers'] - 1,) == model.ATTENTION_AWAKE
    clip = model.build_model().eval()
    model.skip_sleepers(clip, True)
    seen = []
    clip.visual.transformer.resblocks[-1].ln_1.register_forward_hook(lambda *call: seen.append(call[1][0]))
    images = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        clip.encode_image(images)
        images[..., :8, :8] += 1
        clip.encode_image(images)
    changed = (seen[0] != seen[1]).any(dim=-1)[0].nonzero().flatten()
    assert changed.tolist() == [1]


@pytest.mark.slow
def test_sleepers_wake_after_their_share_of_the_steps(tools, start, monkeypatch):
    model = tools('scenes_clip.model')
    monkeypatch.setattr(tools('scenes_clip.training'), 'ASLEEP_UNTIL', 1.0)
    assert not any(last.weight.any() for last in model.sleepers(model.read_model(start('asleep'))))
    monkeypatch.undo()
    assert all(last.weight.any() for last in model.sleepers(model.read_model(start('woken'))))


@pytest.mark.slow
def test_patches_are_dropped_as_the_step_wants(tools, start, monkeypatch):
    training = tools('scenes_clip.training')
    monkeypatch.setattr(training, 'PATCH_DROPOUT', {0.25: 0.5, 0.75: 0.8, 1.0: 0.0})
    seen = []
    loss = training.Run.loss

    def spy(self, batch):
        seen.append(self.model.visual.patch_dropout.prob)
        return loss(self, batch)

    monkeypatch.setattr(training.Run, 'loss', spy)
    start('run')
    assert seen == [0.5, 0.8, 0.8, 0.0]


@pytest.mark.slow
def test_a_run_with_other_settings_is_not_resumed(start):
    start('run')
    with pytest.raises(ValueError, match='name another --work-dir'):
        start('run', '--seed', '1')


def test_sinks_are_the_channels_in_which_single_tokens_stand_out(tools, tiny):
    model = tools('scenes_clip.model').build_model().eval()
    images = torch.randn(3, 3, 96, 96)
    with torch.no_grad():
        for channel in (5, 40):
            model.visual.positional_embedding[7, channel] += 30  # one patch's
        model.visual.positional_embedding[0, 20] += 30  # the class token's, which is no patch
    sinks = tools('scenes_clip.sinks')
    assert sinks.sink_channels(model, images.split(2), count=2) == [5, 40]
    even = sinks.largest_shares(torch.tensor([[[0.0, 1.0, 2.0, 1.0], [0.0, 3.0, 0.0, 1.0]]]))
    assert even.tolist() == [[0.0, 3.0, 2.0, 1.0]]


@pytest.mark.parametrize('data_set', ['scenes', 'scenes_heldout'])
def test_rf_clip_reads_the_sinks_of_the_shipped_model(data_set):
    from mmseg_clipsurgery.protocols.settings import method_settings

    card = json.loads((SHIPPED / 'card.json').read_text())
    assert method_settings('rfclip', data_set)['surgery']['constants']['sinks'] == card['sinks']


def test_captions_that_say_the_same_share_the_target(tools):
    tool = tools('scenes_clip.training')
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
def test_learning_rate(tools, step, expected):
    assert tools('scenes_clip.training').rate(step, 1000) == pytest.approx(expected)


def test_the_shipped_model_is_small_and_what_the_tool_makes(tools):
    tool = tools('scenes_clip.model')
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
def test_the_shipped_model_does_on_dev_what_its_card_says(tools, tmp_path):
    tool = tools('scenes_clip.model')
    model, card = tool.read_model(SHIPPED), tool.read_card(SHIPPED)
    tokenizer = tool.make_tokenizer(tmp_path)
    dev = tools('scenes_clip.scores').ScenesOfSplit('dev', tokenizer, spec.SCENES['dev'], 'cpu')
    for name, value in dev.scores(model).items():
        assert value == pytest.approx(card['chosen_on_dev'][name], abs=0.5), (
            name
        )  # half precision moves it a little
