"""The suite of explainability: its cells and their configs, one pass, what is there, what fails."""

import json
import re
from copy import deepcopy
from types import SimpleNamespace

import explained
from mmseg_clipsurgery.cli.explain import BASELINES, usual_explainers
from mmseg_clipsurgery.explainers.table import EXPLAINERS, explainer_named
from mmseg_clipsurgery.leaderboard import explain_data_sets, explainability
from mmseg_clipsurgery.protocols.settings import OWN_DATA_SETS
from mmseg_clipsurgery.surgery import SURGERIES

import pytest

pytestmark = pytest.mark.mmseg
SCENES = explain_data_sets.config_of('scenes')
NAMES = ['clip', 'clip_surgery:released', 'legrad', 'attention']


@pytest.mark.parametrize('name', ['legrad', 'sclip:released'])
def test_a_run_has_the_maps_of_its_explainer(name):
    cfg = explainability.run_config(name, 'scenes', SCENES)
    assert cfg.model.test_cfg.explainer == name
    assert cfg.model.test_cfg.maps
    assert cfg.test_evaluator == dict(type='ExplainabilityMetric')


def test_a_surgery_that_reads_a_second_tower_has_one():
    assert explainability.run_config('proxyclip', 'scenes', SCENES).model.guide.type == 'DINOViT'
    assert 'guide' not in explainability.run_config('legrad', 'scenes', SCENES).model


@pytest.mark.parametrize('similarity', ['cosine', 'released'])
def test_sink_channels_are_those_that_the_settings_state_for_the_tower(similarity, monkeypatch):
    sinks = (1, 5, 9, 14, 20, 23, 27, 30)
    stated = {'surgery': dict(name='rfclip', constants=dict(sinks=sinks))}
    monkeypatch.setattr(explainability, 'method_settings', lambda *_: stated)
    name = 'rfclip' if similarity == 'cosine' else f'rfclip:{similarity}'
    model = explainability.run_config(name, 'scenes', SCENES).model
    assert model.backbone.surgery.constants.sinks == sinks
    assert model.backbone.surgery.constants.moved == SURGERIES['rfclip'].constants['moved']
    assert model.decode_head.similarity == similarity
    assert 'explainer' not in model.test_cfg
    monkeypatch.undo()
    assert explainability.run_config('clip_surgery', 'scenes', SCENES).model.backbone.surgery == 'clip'


def test_the_tool_runs_every_explainer_that_is_no_surgery():
    assert set(BASELINES) == {'rclip', *(name for name, row in EXPLAINERS.items() if row.surgery is None)}
    assert all(explainer_named(name) for name in usual_explainers())


def test_cells_are_the_grid_and_their_files_have_no_colon(tmp_path):
    planned = explainability.plan(['legrad', 'clip:released', 'legrad'], ['scenes', 'scenes'])
    assert [str(run) for run in planned] == ['legrad on scenes', 'clip:released on scenes']
    assert planned[1].path(tmp_path) == tmp_path / 'scenes' / 'clip-released.json'


def test_a_data_set_of_ones_own_is_a_config_file(tmp_path):
    path = tmp_path / 'my_scenes.py'
    path.write_text(
        f"_base_ = '{explain_data_sets.shipped()['scenes']}'\ntest_dataloader = dict(batch_size=3)\n"
    )
    options = {'test_dataloader.dataset.indices': 2}
    (run,) = explainability.plan(['rclip'], [str(path)], ['my_scenes=elsewhere'], options)
    assert str(run) == 'rclip on my_scenes'
    loader = run.cfg.test_dataloader
    assert (loader.batch_size, loader.dataset.indices, loader.dataset.data_root) == (3, 2, 'elsewhere')


WORDS = """
words = ['cat', ['dog', 'puppy']]
test_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=['cat', 'dog']), data_root='mine'))
"""


def test_a_data_set_of_the_leaderboard_has_maps_too(tmp_path, monkeypatch):
    monkeypatch.setitem(OWN_DATA_SETS, 'my_words', {})  # taken out again
    path = tmp_path / 'my_words.py'
    path.write_text(WORDS)
    options = {'model.backbone.arch.name': 'scenes'}
    (run,) = explainability.plan(['legrad'], [str(path)], ['my_words=elsewhere'], options)
    model, shipped = run.cfg.model, explain_data_sets.config_of('voc').model
    assert model.text_encoder.vocabulary == [
        'cat',
        'dog',
    ]  # the class names, as the paper's protocol has them
    assert model.test_cfg.explainer == 'legrad'
    for name in ('maps', 'mode', 'logit_scale'):
        assert model.test_cfg[name] == shipped.test_cfg[name]
    assert run.cfg.test_evaluator.type == 'ExplainabilityMetric'
    assert run.cfg.test_dataloader.dataset.data_root == 'elsewhere'
    assert model.backbone.arch.name == 'scenes'
    assert model.data_preprocessor is None  # of any tower


def test_a_config_without_data_is_told_so(tmp_path):
    path = tmp_path / 'model_alone.py'
    path.write_text("model = dict(type='CLIPSurgerySegmentor')\n")
    with pytest.raises(ValueError, match=r'model_alone\.py has no test_dataloader'):
        explainability.plan(['legrad'], [str(path)])


@pytest.mark.parametrize(
    ('explainers', 'names', 'roots', 'message'),
    [
        (['legrod'], ['scenes'], [], "unknown explainer 'legrod'"),
        (['legrad'], ['scones'], [], "unknown data set 'scones'; take one of: .*scenes, voc"),
        (['legrad'], ['scenes'], ['data'], "got --data-root 'data'; write NAME=DIR"),
        (['legrad'], ['scenes'], ['scones=data'], "data set 'scones', which is not run; run are: scenes"),
        (['legrad'], ['./voc.py'], [], r'\./voc\.py has the name of a shipped one, voc: rename'),
    ],
    ids=[
        *('an explainer', 'a data set', 'a folder without a name', 'a folder of no data set'),
        'a name that is taken',
    ],
)
def test_mistakes(explainers, names, roots, message):
    with pytest.raises(ValueError, match=message):
        explainability.plan(explainers, names, roots)


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """Run the suite on some scenes by four explainers; printed lines are those of `capsys`."""
    few = deepcopy(SCENES)
    few.test_dataloader.dataset.indices = 3
    monkeypatch.setattr(explainability, 'config_of', lambda name, options=None: few)

    def call(name: str, **options) -> list[str]:
        planned = explainability.plan(NAMES, ['scenes'])
        return explainability.run_suite(planned, tmp_path / name, tmp_path / f'{name} logs', **options)

    return call


@pytest.mark.slow
def test_one_pass_gives_the_figures_of_one_by_one_and_goes_on_where_it_was(suite, tmp_path, capsys):
    assert suite('shared') == suite('single', one_by_one=True) == []
    shared, single = (
        {path.stem: json.loads(path.read_text()) for path in (tmp_path / name).rglob('*.json')}
        for name in ('shared', 'single')
    )
    assert sorted(shared) == sorted(single) == sorted(name.replace(':', '-') for name in NAMES)
    for name, result in shared.items():
        assert len(result['one_pass']) == 4
        assert 'one_pass' not in single[name]
        for part in ('run', 'cost', 'metrics', 'protocol', 'images'):
            assert result[part] == single[name][part], (name, part)
    assert len({json.dumps(one['metrics']) for one in shared.values()}) == 4  # the cells do differ
    (tmp_path / 'shared/scenes/legrad.json').write_text('{"run": {"explainer": "legrad"}}')  # damaged
    capsys.readouterr()
    assert suite('shared') == []
    said = capsys.readouterr().out.splitlines()
    (line,) = (line for line in said if 'there already' not in line)
    assert re.fullmatch(r'legrad on scenes: AP \d+\.\d\d \(3 of 200 images\)', line)
    again = json.loads((tmp_path / 'shared/scenes/legrad.json').read_text())
    assert again['metrics'] == shared['legrad']['metrics']


@pytest.fixture
def pretended(suite, monkeypatch):
    """The suite over results that are given by name, or made by `explained.result`."""

    def call(given: dict) -> list[str]:
        def run(cfgs, folder, processes, imports):
            for name in cfgs:
                if isinstance(given.get(name), Exception):
                    raise given[name]
            return {name: given.get(name, explained.result(name)) for name in cfgs}

        monkeypatch.setattr(explainability, 'run_together', run)
        return suite('out')

    monkeypatch.setattr(explainability, 'cost_on', lambda tower, name: None)
    monkeypatch.setattr(explainability, 'MODELS', SimpleNamespace(build=lambda config: 'a tower'))
    return call


@pytest.mark.slow
def test_a_run_that_fails_is_named_and_the_others_go_on(pretended, tmp_path):
    other = explained.result('legrad', metrics={'mIoU': 50.0})
    assert pretended({'clip': ValueError('no such\nmask'), 'legrad': other}) == [
        'clip on scenes: no such mask',
        'legrad on scenes: the evaluator gives mIoU and no AP: set test_evaluator to ExplainabilityMetric or '
        'PointExplainabilityMetric',
    ]
    assert len(list((tmp_path / 'out/scenes').iterdir())) == 2


@pytest.mark.slow
def test_a_run_whose_masks_all_fill_their_images_is_kept(pretended, capsys):
    assert pretended({'clip': explained.result('clip', None)}) == []
    assert 'clip on scenes: AP of no pair\n' in capsys.readouterr().out


def test_a_second_tower_has_no_cost():
    assert explainability.cost_on(None, explainer_named('proxyclip')) is None


def test_words_lie_in_the_folder_of_the_data(tmp_path):
    words = tmp_path / 'points_validation_classes.json'
    words.write_text('{"Tree": "Tree"}')
    (run,) = explainability.plan(['clip'], ['openimages_points'], [f'openimages_points={tmp_path}'])
    assert run.cfg.test_dataloader.dataset.data_root == str(tmp_path)
    assert run.cfg.model.text_encoder.vocabulary == str(words)
