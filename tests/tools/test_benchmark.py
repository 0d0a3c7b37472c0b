"""The benchmark: what it compares agrees, its figures and verdicts are right, its page follows from its file."""

import json
import multiprocessing
import os
import platform
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import forked
import mini_voc
import pretend_gpu
import tiny
import tools.benchmark as command
from benchmarks import (
    MODULES,
    SECTIONS,
    elsewhere,
    measure,
    memory,
    processes,
    published,
    report,
    run,
    scaling,
)
from benchmarks.workload import Workload
from mmseg_clipsurgery.leaderboard import processes as launcher
from mmseg_clipsurgery.similarity import feature_surgery, normalize

import numpy as np
import pytest
import torch

pytestmark = pytest.mark.mmseg

ARCH = {**mini_voc.TINY_CLIP, 'vision_cfg': {**mini_voc.TINY_CLIP['vision_cfg'], 'patch_size': 16}}
IN_THIS_PROCESS = [*MODULES['prediction'], 'tokens', 'classes', 'templates']
RESULTS = report.ROOT / 'results' / 'performance_cpu.json'


@pytest.fixture(scope='module')
def load(tmp_path_factory) -> Workload:
    photos = mini_voc.make(tmp_path_factory.mktemp('voc') / 'VOC2012')
    return Workload(ARCH, torch.device('cpu'), photos, rounds=1, quick=True)


@pytest.fixture(scope='module')
def measured(load, tmp_path_factory) -> dict:
    """What the sections that need no other process give with a tiny CLIP, as it is read from their file."""
    path = tmp_path_factory.mktemp('out') / 'performance.json'
    run.measure_all(load, IN_THIS_PROCESS, path)
    return json.loads(path.read_text())


def committed() -> dict:
    return json.loads(RESULTS.read_text())


def in_forks(function, *tasks) -> list:
    """In place of `measure.in_fresh_processes`."""
    with ProcessPoolExecutor(len(tasks), multiprocessing.get_context('fork')) as pool:
        return list(pool.map(function, *zip(*tasks, strict=True)))


def pytorch_twice(encoders) -> dict:
    """In place of `elsewhere.both_ways`, whose export takes long; tests/export has its own."""
    side = encoders.tower.trained_grid[0] * encoders.tower.patch
    logits = encoders.tower(torch.zeros(1, 3, side, side)).patch_tokens
    return {'PyTorch': lambda r: logits + 0, 'onnxruntime': lambda r: [logits.numpy()]}


@pytest.mark.slow
def test_a_quick_run_measures_every_section_and_reports_every_table(load, tmp_path, monkeypatch):
    boards = []

    def python(words, tree=processes.ROOT):
        if words[0] == 'tools/leaderboard.py':  # takes minutes; the command has tests of its own
            boards.append((words, tree))
        else:
            done = forked.run(list(words), tree, os.environ)
            assert done.returncode == 0, done.stdout

    # Forks in place of new processes, which would all import the same: it is no figure that is looked at here.
    monkeypatch.setattr(processes, 'python', python)
    monkeypatch.setattr(launcher, 'run_to_end', forked.launched)
    for module in (memory, scaling):
        monkeypatch.setattr(module, 'in_fresh_processes', in_forks)
    monkeypatch.setattr(elsewhere, 'both_ways', pytorch_twice)
    path = tmp_path / 'performance.json'
    measured = run.measure_all(load, SECTIONS, path)
    assert json.loads(path.read_text()) == measured
    assert set(measured['sections']) == set(SECTIONS)
    page = report.filled(report.PAGE.read_text(), measured)
    assert 'Not measured.' not in page
    assert page.count('not measured') == 0, 'a target finds its figure'
    rows = {name: section['rows'] for name, section in measured['sections'].items()}
    assert rows['text']['one class, at full length']['largest difference'] < 1e-5
    assert (
        rows['processes']['1 process']['mIoU']['median'] == rows['processes']['2 processes']['mIoU']['median']
    )
    assert set(rows['start']) == set(processes.COMMANDS)
    assert rows['memory']['847 classes']['weights'] > 0
    assert rows['onnx']['scenes, onnxruntime']['largest difference'] == 0
    assert rows['page']['labels, 14 words']['seconds']['median'] > 0
    assert rows['one_pass']['all in one pass']['share of equal label maps'] == 1
    assert {'--one-by-one' in words for words, tree in boards if tree == processes.ROOT} == {True, False}


@pytest.mark.slow
def test_variants_have_seconds_ratios_and_counts(measured):
    for name in MODULES['prediction']:
        rows = measured['sections'][name]['rows']
        assert rows["open_clip's own forward"]['ratio']['median'] == 1
        assert all({'seconds', 'wall', 'ratio', 'GFLOP', 'GB'} <= set(row) for row in rows.values())


@pytest.mark.slow
def test_what_is_compared_agrees(measured):
    rows = {name: section['rows'] for name, section in measured['sections'].items()}
    assert rows['image']['our tower, patches only']['difference to published tokens'] < 1e-5
    assert rows['slide']['to labels, one window at a time']['share of equal labels'] > 0.999
    assert rows['read_many']['seven surgeries at once']['share equal to the bit'] == 1


@pytest.mark.slow
def test_no_name_of_a_machine_and_no_path_is_written(measured, load):
    written = json.dumps(measured)
    assert str(load.folder) not in written
    assert str(Path.home()) not in written
    assert (platform.node() or 'no name') not in written


def test_a_section_that_fails_is_named_and_the_others_go_on(load, tmp_path, monkeypatch):
    monkeypatch.setitem(SECTIONS, 'no_such', 'scaling')
    path = tmp_path / 'performance.json'
    with pytest.raises(ValueError, match=r'1 sections failed, .* no_such \(AttributeError'):
        run.measure_all(load, ['no_such', 'templates'], path)
    assert set(json.loads(path.read_text())['sections']) == {'templates'}


@pytest.mark.slow
def test_a_section_measured_again_leaves_the_others_as_they_were(measured, load, tmp_path):
    path = tmp_path / 'performance.json'
    path.write_text(json.dumps(measured))
    again = run.measure_all(load, ['templates'], path)['sections']
    assert {name: again[name] for name in again if name != 'templates'} == {
        name: section for name, section in measured['sections'].items() if name != 'templates'
    }


@pytest.mark.slow
def test_a_file_of_another_setting_is_not_added_to(measured, load, tmp_path):
    path = tmp_path / 'performance.json'
    path.write_text(json.dumps({**measured, 'setting': {**measured['setting'], 'cores': 64}}))
    with pytest.raises(ValueError, match='name another --out'):
        run.measure_all(load, ['templates'], path)


@pytest.mark.parametrize(
    ('at', 'value', 'verdict'),
    [
        ('most', 1.04, 'reached'),
        ('most', 1.05, 'reached'),
        ('most', 1.06, '**not reached**'),
        ('least', 1.04, '**not reached**'),
        ('least', 1.05, 'reached'),
        ('least', 1.06, 'reached'),
    ],
)
@pytest.mark.parametrize('as_figure', [False, True], ids=['number', 'figure'])
def test_a_figure_beyond_its_limit_is_not_reached(tmp_path, monkeypatch, at, value, verdict, as_figure):
    target = dict(what='w', section='image', row='r', statistic='ratio', at=at, limit=1.05, unit='x')
    monkeypatch.setattr(report, 'TARGETS', tmp_path / 'targets.json')
    report.TARGETS.write_text(json.dumps([target, {**target, 'what': 'on a GPU', 'device': 'cuda'}]))
    found = dict(median=value, low=0.1, high=9.0, rounds=3) if as_figure else value
    measured = {'setting': {'device': 'cpu'}, 'sections': {'image': {'rows': {'r': {'ratio': found}}}}}
    assert {what: row['verdict'] for what, row in report.targets(measured).items()} == {'w': verdict}
    assert report.targets({**measured, 'sections': {}})['w']['verdict'] == 'not measured'


@pytest.mark.slow
def test_targets_name_sections_and_rows_that_there_are(measured):
    targets = json.loads(report.TARGETS.read_text())
    assert len({target['what'] for target in targets}) == len(targets)
    for target in targets:
        assert target['section'] in SECTIONS
        if target['section'] in measured['sections']:
            assert target['statistic'] in measured['sections'][target['section']]['rows'][target['row']]


def test_the_page_is_that_of_the_committed_file():
    page = report.PAGE.read_text()
    assert report.filled(page, committed()) == page, f'run tools/benchmark.py --report {RESULTS.name}'


@pytest.mark.slow
def test_the_plot_is_reproducible(tmp_path):
    report.draw(committed()['sections'], tmp_path / 'one.svg')
    report.draw(committed()['sections'], tmp_path / 'two.svg')
    assert (tmp_path / 'one.svg').read_bytes() == (tmp_path / 'two.svg').read_bytes()
    report.draw({}, tmp_path / 'none.svg')
    assert (tmp_path / 'one.svg').stat().st_size > (tmp_path / 'none.svg').stat().st_size


@pytest.mark.slow
def test_what_was_measured_on_a_gpu_fills_its_block(measured, tmp_path, monkeypatch):
    monkeypatch.setattr(report, 'ON_GPU', tmp_path / 'cuda.json')
    report.ON_GPU.write_text(json.dumps({**measured, 'setting': {**measured['setting'], 'device': 'A GPU'}}))
    page = report.filled(report.PAGE.read_text(), measured)
    assert page.count('on the GPU\n') == len(SECTIONS) + 3
    assert 'A GPU' in page
    assert 'bf16' in page, 'the targets of a GPU'


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['--rounds', '-1'], '--rounds must be at least 1, got -1'),
        (
            ['--photos', 'nowhere'],
            '--photos nowhere has no ImageSets/Segmentation/val.txt; give a VOC folder',
        ),
        (['--device', 'cuda'], '--device cuda, but torch finds no CUDA device here'),
    ],
    ids=['rounds', 'photos', 'device'],
)
def test_mistakes_end_in_a_sentence(arguments, sentence, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert command.main(arguments) == 1
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ('count', 'ranks'), [(1, (1, 1)), (3, (1, 3)), (6, (1, 6)), (15, (4, 12)), (25, (8, 18))]
)
def test_intervals_are_those_of_the_binomial(count, ranks):
    """The 95 % interval of a median by order statistics, as tables give it."""
    figure = measure.figure([float(value) for value in range(count, 0, -1)])
    assert (figure['low'], figure['high']) == ranks
    assert figure['median'] == (count + 1) / 2


def test_rounds_interleave_and_turn():
    calls = []
    variants = {name: lambda r, name=name: calls.append(name) or r for name in 'abc'}
    assert measure.take_turns(variants, 3) == {name: [0, 1, 2] for name in 'abc'}
    assert ''.join(calls) == 'abc' + 'bca' + 'cab'


def test_a_ratio_is_taken_within_a_round():
    measured = object.__new__(measure.Measured)
    measured.costs = {
        'one': [(1.0, 0.0), (20.0, 0.0), (4.0, 0.0)],
        'other': [(2.0, 0.0), (10.0, 0.0), (2.0, 0.0)],
    }
    assert measured.ratio('one', 'other') == dict(median=2.0, low=0.5, high=2.0, rounds=3)
    assert measured.ratio('one', 'other', per=10) == dict(median=20.0, low=5.0, high=20.0, rounds=3)


def test_counts_are_those_of_a_product_and_of_attention():
    a, b = torch.ones(3, 5), torch.ones(5, 7)
    assert measure.count(lambda r: a @ b) == (2 * 3 * 5 * 7, 4 * (3 * 5 + 5 * 7 + 3 * 7))
    q = torch.ones(1, 2, 6, 4)
    with torch.inference_mode():
        flop, _ = measure.count(lambda r: torch.nn.functional.scaled_dot_product_attention(q, q, q))
    assert flop == 2 * 2 * 2 * 6 * 6 * 4


def test_the_plain_tower_is_counted_in_full(load):
    """All of its products: per block of n tokens of width d, 24 n d^2 and attention's 4 n^2 d; no norms."""
    n, d, layers, patch = 5, 32, 6, 16
    expected = layers * (24 * n * d**2 + 4 * n**2 * d) + 2 * (n - 1) * 3 * patch**2 * d + 2 * d * 16
    with torch.inference_mode():
        plain = load.plain((32, 32))
        assert measure.count(lambda r: plain(torch.zeros(1, 3, 32, 32)))[0] == expected


def test_published_tokens_are_those_of_our_tower(load):
    """Grids other than the trained one, and not square."""
    images = tiny.images(2, 3, 40, 56)
    with torch.inference_mode():
        ours, theirs = load.tower(images), published.surgery_tokens(load.tower, images)
    patches = normalize(ours.patch_tokens.flatten(2).transpose(1, 2))
    torch.testing.assert_close(theirs[:, 1:], patches, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(theirs[:, 0], normalize(ours.cls_token), rtol=1e-4, atol=1e-5)


def test_published_feature_surgery_is_the_released_form():
    tokens, words = normalize(torch.randn(2, 7, 5)), normalize(torch.randn(4, 5))
    expected = feature_surgery(tokens[:, 0], tokens, words, 'released')
    torch.testing.assert_close(published.feature_surgery(tokens, words), expected)


@pytest.mark.slow
def test_scenes_serve_where_there_are_no_photos(tmp_path, monkeypatch):
    monkeypatch.setenv('MMSEG_CLIPSURGERY_CACHE', str(tmp_path))
    load = Workload(ARCH, torch.device('cpu'))
    assert {file.suffix for file in load.files} == {'.png'}
    first, again = load.image(0, (16, 24)), load.image(len(load.files), (16, 24))
    assert first.shape == (1, 3, 16, 24)
    np.testing.assert_array_equal(first, again)


@pytest.mark.slow
@pytest.mark.skipif(not pretend_gpu.AVAILABLE, reason='this torch has no Python backends')
@pytest.mark.parametrize('section', ['image', 'slide', 'classes', 'templates'])
def test_sections_run_on_a_gpu(load, section):
    """A pretended one, which refuses to mix devices."""
    with pretend_gpu.PretendGpu() as gpu:
        found = run.section(section, Workload(load.arch, gpu.device, load.folder, 1, True))
    assert all(row['wall']['median'] > 0 for row in found['rows'].values())
