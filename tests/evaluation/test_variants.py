"""Many surgeries in one run: the results of each are those of a run alone, and each has a folder of its own."""

import json
from copy import deepcopy
from pathlib import Path

import mini_voc
import tiny
from mmseg_clipsurgery.evaluation import evaluate
from mmseg_clipsurgery.evaluation.variants import combined, share_a_pass, surgeries_to_variants, variants_of
from mmseg_clipsurgery.leaderboard import processes

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

pytestmark = pytest.mark.mmseg

ARCH = dict(mini_voc.TINY_CLIP, quick_gelu=False)
METHODS = ['clip', 'maskclip', 'clip_surgery', 'sclip', 'clearclip', 'naclip', 'gem']
OWN = {
    'clip_surgery': dict(prob_thd=0.06, area_thd=0.05),
    'naclip': dict(pamr=dict(iterations=1, dilations=(1,)), logit_scale=7.0),
}
THE_SAME = ('metrics', 'per_class', 'per_image', 'images', 'protocol')


@pytest.fixture
def cfg(tmp_path, monkeypatch) -> Config:
    monkeypatch.setenv('MMSEG_CLIPSURGERY_CACHE', str(tmp_path / 'cache'))
    made = mini_voc.tiny_config(mini_voc.make(tmp_path / 'voc', mini_voc.NAMES[:3]))
    for tower in (made.model.backbone, made.model.text_encoder):
        tower.update(arch=ARCH, pretrained=str(tiny.weights_file(ARCH)))
    made.test_evaluator.per_image = True
    return made


def configs(cfg: Config) -> dict[str, Config]:
    """A config for each method, with settings of its own."""
    made = {name: deepcopy(cfg) for name in METHODS}
    for name, one in made.items():
        one.model.backbone.surgery = dict(name=name)
        one.model.test_cfg.update(OWN.get(name, {}))
    return made


def pixels(folder: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(path)) for path in sorted(folder.rglob('*.png'))]


@pytest.mark.slow
@pytest.mark.parametrize('tta', [False, True], ids=['', 'tta'])
def test_results_and_label_maps_are_those_of_runs_alone(cfg, tmp_path, tta):
    each = configs(cfg)
    found = evaluate(combined(each), work_dir=tmp_path / 'all', out=tmp_path / 'masks', tta=tta, quiet=True)
    assert list(found) == METHODS
    for name in METHODS if not tta else METHODS[2:6:3]:
        alone = evaluate(
            each[name], work_dir=tmp_path / name, out=tmp_path / 'alone' / name, tta=tta, quiet=True
        )
        for part in THE_SAME:
            assert found[name][part] == alone[part], (name, part)
        assert found[name] == json.loads((tmp_path / 'all' / name / 'results.json').read_text())
        assert found[name]['one_pass'] == METHODS
        masks = pixels(tmp_path / 'masks' / name)
        assert len(masks) == 3
        assert all(map(np.array_equal, masks, pixels(tmp_path / 'alone' / name)))
    assert len({json.dumps(one['per_class']) for one in found.values()}) > 4  # the methods do differ


def test_processes_of_their_own_know_a_list_of_surgeries(cfg, tmp_path, monkeypatch):
    """`test_newest_methods_run` starts real ones."""

    def ended(command, output):
        written = Config.fromfile(command[command.index('mmseg_clipsurgery.test') + 1])
        for name in written.model.variants:
            path = tmp_path / 'work' / name / 'results.json'
            path.parent.mkdir()
            path.write_text(json.dumps({'of': name}))
        return 0

    monkeypatch.setattr(processes, 'run_to_end', ended)
    cfg.model.backbone.surgery = ['sclip', 'gem']
    found = processes.evaluate_in_processes(cfg, tmp_path / 'work', 2)
    assert found == {name: {'of': name} for name in ('sclip', 'gem')}
    assert cfg.model.backbone.surgery == ['sclip', 'gem']  # what was given stays as it is


@pytest.mark.slow
def test_a_list_of_surgeries_in_the_backbone(cfg, tmp_path, capfd):
    options = {'model.backbone.surgery': ['clip', dict(name='sclip', last_blocks=3)]}
    pictures = tmp_path / 'pictures'
    found = evaluate(cfg, options=options, work_dir=tmp_path / 'work', show_dir=pictures)
    assert list(found) == ['clip', 'sclip_last_blocks-3']
    surgery = found['sclip_last_blocks-3']['protocol']['surgery']
    assert (surgery['name'], surgery['last_blocks']) == ('sclip', 3)
    assert found['clip']['protocol']['surgery']['last_blocks'] == 0
    for name in found:
        assert len(list((pictures / name).glob('*.jpg'))) == 3
    printed = capfd.readouterr().out
    for line in ('3/3 images', 'results of clip\n', 'results of sclip_last_blocks-3\n'):
        assert printed.count(line) == 1


@pytest.mark.slow
def test_metrics_write_scores_into_folders_of_their_own(cfg, tmp_path):
    cfg.model.test_cfg.scores = True
    cfg.test_evaluator.scores_dir = str(tmp_path / 'scores')
    cfg.model.backbone.surgery = ['clip', 'sclip']
    evaluate(cfg, work_dir=tmp_path / 'work', quiet=True)
    assert [len(list((tmp_path / 'scores' / name).glob('*.npz'))) for name in ('clip', 'sclip')] == [3, 3]


def test_only_surgery_and_settings_after_the_windows_may_differ(cfg):
    each = configs(cfg)
    assert len({share_a_pass(one) for one in each.values()}) == 1
    made = combined(each)
    assert variants_of(made)['clip_surgery'] == dict(
        surgery=dict(name='clip_surgery'), test_cfg=dict(logit_scale=40, prob_thd=0.06, area_thd=0.05)
    )
    assert set(each['naclip'].model.test_cfg) >= {'pamr', 'logit_scale'}  # what was given stays as it is
    for key, value in (
        ('model.test_cfg.stride', 4),
        ('model.test_cfg.precision', 'bf16'),
        ('model.text_encoder.templates', 'photo'),
        ('test_dataloader.dataset.pipeline', []),
    ):
        other = deepcopy(each['clip'])
        other.merge_from_dict({key: value})
        assert share_a_pass(other) != share_a_pass(each['clip']), key
    with pytest.raises(ValueError, match='clip, other: to share a pass, configs may differ in'):
        combined(dict(clip=each['clip'], other=other))
    with pytest.raises(ValueError, match='no config: to share a pass'):
        combined({})


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            {'model.variants': dict(a=dict(surgery='clip', similarity='sine'))},
            "similarity must be one of cosine, paper, released, got 'sine'",
        ),
        ({'model.backbone.surgery': ['clip', 'clip']}, 'got the surgeries clip, clip: give each once'),
        ({'model.backbone.surgery': []}, r'got the surgeries \[\]: give each once'),
        ({'model.backbone.surgery': ['clip', 'klip']}, "unknown surgery 'klip'"),
        ({'model.backbone.surgery': ['clip', dict(last_blocks=9)]}, 'the variant last_blocks-9: .* 9'),
        (
            {'model.variants': dict(a=dict(surgery='clip', test_cfg=dict(stride=3)))},
            'the variant a has a test_cfg.stride of its own; variants share all but logit_scale',
        ),
        ({'model.variants': dict(a=dict(last_blocks=3))}, r'the variant a must be dict\(surgery='),
        (
            {'model.variants': dict(a=dict(surgery='clip', test_cfg=dict(prob_thd=2)))},
            'prob_thd must lie between 0 and 1',
        ),
    ],
    ids=[
        'unknown similarity',
        'twice',
        'none',
        'unknown',
        'too deep',
        'shared setting',
        'no surgery',
        'illegal setting',
    ],
)
@pytest.mark.parametrize('preflight', [True, False], ids=['preflight', 'no preflight'])
def test_mistakes(cfg, tmp_path, change, message, preflight):
    with pytest.raises(ValueError, match=message):
        evaluate(cfg, options=change, work_dir=tmp_path, preflight=preflight, quiet=True)


@pytest.mark.parametrize('surgery', ['sclip', dict(name='sclip'), dict(last_blocks=2, affinity='kk')])
def test_one_surgery_is_left_as_it_is(cfg, surgery):
    cfg.model.backbone.surgery = surgery
    before = deepcopy(cfg.to_dict())
    surgeries_to_variants(cfg)
    assert cfg.to_dict() == before
