"""The benchmark: what it compares with is right, its counts are, and a small run gives a file and a page."""

import json
import math
import os
import platform
from pathlib import Path

import mini_voc
import pretend_gpu
import tiny
from benchmarks import (
    aims,
    clock,
    counts,
    loop,
    memory,
    options,
    page,
    prediction,
    processes,
    published,
    report,
    run,
    scaling,
    text,
    yardstick,
)
from benchmarks.subjects import Photos, Subjects
from mmseg_clipsurgery.similarity import feature_surgery, normalize

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

pytestmark = [pytest.mark.mmseg, pytest.mark.slow]

ARCH = mini_voc.TINY_CLIP
SECTIONS = ('image', 'slide', 'memory', 'text', 'processes', 'loop', 'scaling')


@pytest.fixture(scope='module')
def photos(tmp_path_factory) -> Path:
    return mini_voc.make(tmp_path_factory.mktemp('voc') / 'VOC2012')


@pytest.fixture(scope='module')
def subjects(photos) -> Subjects:
    made = Subjects(ARCH, torch.device('cpu'), Photos(photos))
    assert made.tower  # not only in inference mode, whose tensors don't serve outside it
    return made


@pytest.fixture(scope='module')
def measured(photos, tmp_path_factory) -> dict:
    """A quick run of every section with a tiny CLIP; what would start processes runs in this one."""
    here = {'memory': memory.measure, 'text': text.second_start, 'scaling': scaling.follow}
    out = tmp_path_factory.mktemp('out') / 'performance.json'

    def in_this_process(module: str, task: dict) -> dict:
        return json.loads(json.dumps(here[module.removeprefix('benchmarks.')](task)))

    def one_run(photos, images, cores, folder, options):
        return dict(
            images_per_second=len(cores), metrics=dict(mIoU=1.0), peak_memory_mib=dict(process=1.0)
        ), 1.0

    with pytest.MonkeyPatch.context() as patch:
        for module in (memory, text, scaling):
            patch.setattr(module, 'in_fresh_process', in_this_process)
        patch.setattr(processes, 'run', one_run)
        patch.setattr(yardstick, 'rate', lambda task, cores: 1.5 * len(cores))
        patch.setattr(processes.os, 'sched_getaffinity', lambda _: {0, 1}, raising=False)
        run.run(
            options.parse(
                ['--quick', '--rounds', '1', '--photos', str(photos), '--threads', '1', '--out', str(out)]
            ),
            ARCH,
        )
    return json.loads(out.read_text())


def test_a_run_measures_every_section(measured):
    assert list(measured) == ['settings', 'machine', 'sections']
    assert set(measured['sections']) == set(SECTIONS)
    assert measured['settings']['rounds'] == 1
    assert measured['settings']['weights'] == 'random'
    assert all(0 <= section['others'] <= 1 for section in measured['sections'].values())
    assert {section['commit'] for section in measured['sections'].values()} == {measured['machine']['commit']}
    assert {'processor', 'cores', 'threads', 'versions', 'commit', 'peak_gflops'} <= set(measured['machine'])


def test_no_name_of_a_machine_and_no_path_is_written(measured, photos):
    written = json.dumps(measured)
    assert str(photos) not in written
    assert str(Path.home()) not in written
    assert (platform.node() or 'no name') not in written


@pytest.mark.parametrize('section', ['image', 'slide'])
def test_variants_have_seconds_ratios_and_counts(measured, section):
    found = measured['sections'][section]
    assert found['variants'][found['baseline']]['ratio']['median'] == 1
    for variant in found['variants'].values():
        assert set(variant) == {'seconds', 'wall', 'ratio', 'gflop', 'gbyte'}
        assert set(variant['seconds']) == {'median', 'low', 'high', 'rounds'}
        assert variant['seconds']['low'] <= variant['seconds']['median'] <= variant['seconds']['high']


def test_what_is_compared_agrees(measured):
    sections = measured['sections']
    assert sections['image']['agreement']['largest difference of tokens'] < 1e-5
    assert sections['slide']['agreement']['share of equal labels, window by window'] > 0.999
    assert sections['text']['largest difference'] < 1e-5
    assert sections['text']['second start']['largest difference'] < 1e-5


def test_every_aim_finds_its_figure(measured):
    rows = [*aims.rows(measured['sections'], 'cpu'), *aims.rows(measured['sections'], 'cuda')]
    assert len(rows) == len(aims.AIMS)


def test_aims_say_whether_they_are_kept():
    sections = {'text': {'faster': {'median': 6.4}, 'largest difference': 1e-7}}
    rows = {what: (wanted, found, kept) for what, wanted, found, kept in aims.rows(sections)}
    assert rows['text, 85 templates: class by class at full length to ours'] == ('>= 6.5 x', '6.4 x', 'no')
    assert rows['text, largest difference to class by class'] == ('<= 1e-05', '1e-07', 'yes')
    assert len(rows) == 2


def test_page_and_figure_are_made_of_the_file(measured, tmp_path):
    report.write(measured, tmp_path / 'performance.md')
    written = (tmp_path / 'performance.md').read_text()
    assert written.count('\n## ') == len(SECTIONS) + 2  # aims and GPU
    assert page.GPU in written
    assert 'None' not in written
    assert (tmp_path / 'performance_scaling.svg').read_text().startswith('<?xml')


def test_what_was_measured_on_a_gpu_is_added(measured):
    on_gpu = {**measured, 'machine': {**measured['machine'], 'device': 'a GPU'}}
    written = report.text(measured, on_gpu)
    assert page.GPU not in written
    assert 'a GPU, torch' in written
    assert written.count('\n### ') == len(SECTIONS)
    assert 'to one window at a time' in report.table(on_gpu)


def test_the_loop_measures_three_ways(measured):
    found = measured['sections']['loop']
    assert set(found['images a second']) == {'the test tool', 'the plain tower', 'window by window'}
    rates = {name: rate['median'] for name, rate in found['images a second'].items()}
    assert found['to the tower']['median'] == pytest.approx(
        rates['the test tool'] / rates['the plain tower'], rel=1e-3
    )


def test_photos_are_resized_as_the_pipeline_does(subjects):
    for size, expected in (((375, 500), (336, 448)), ((500, 333), (505, 336)), ((50, 800), (128, 2048))):
        assert tuple(loop.resized(subjects, np.zeros((*size, 3), np.uint8)).shape[1:]) == expected


@pytest.mark.skipif(not hasattr(os, 'sched_getaffinity'), reason='processes can not be pinned here')
def test_a_yardstick_of_a_process_of_its_own():
    assert yardstick.rate({'arch': ARCH, 'times': 1}, sorted(os.sched_getaffinity(0))[:1]) > 0


def test_a_yardstick_waits_for_the_word(monkeypatch, capsys):
    words = iter(['go'])
    monkeypatch.setattr('sys.stdin.readline', lambda: next(words))
    assert yardstick.measure({'arch': ARCH, 'times': 2}) > 0
    assert capsys.readouterr().out == 'ready\n'
    assert list(words) == []


def test_the_table_names_every_variant(measured):
    table = report.table(measured)
    assert 'to labels, published steps, 171 classes' in table
    assert 'to labels, one window at a time' in table


@pytest.mark.skipif(not (report.ROOT / report.RESULTS).is_file(), reason='nothing measured yet')
def test_the_page_is_that_of_the_committed_file():
    found = json.loads((report.ROOT / report.RESULTS).read_text())
    assert report.PAGE.read_text() == report.text(found, report.measured_on_gpu()), (
        'run tools/benchmark.py --report'
    )


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
    assert run.start(options.parse(arguments)) == 1
    assert sentence in capsys.readouterr().err


def test_a_file_of_another_machine_is_not_added_to(measured, tmp_path):
    path = tmp_path / 'performance.json'
    path.write_text(json.dumps(measured))
    assert run.kept_file(path, measured['machine']) == measured
    assert run.kept_file(tmp_path / 'none.json', measured['machine'])['sections'] == {}
    with pytest.raises(ValueError, match='of a machine with another cores'):
        run.kept_file(path, {**measured['machine'], 'cores': 64})


@pytest.mark.parametrize(('count', 'ranks'), [(3, (1, 3)), (6, (1, 6)), (15, (4, 12)), (25, (8, 18))])
def test_intervals_are_those_of_the_binomial(count, ranks):
    """The 95 % interval of a median by order statistics, as tables give it."""
    assert clock.interval([float(value) for value in range(count, 0, -1)]) == ranks


def test_rounds_interleave_and_turn():
    calls = []
    variants = {name: lambda r, name=name: calls.append((name, r)) for name in 'abc'}
    costs = clock.Clock(torch.device('cpu')).rounds(variants, 3)
    assert ''.join(name for name, _ in calls) == 'cab' + 'abc' + 'bca' + 'cab'
    assert {name: len(of_one) for name, of_one in costs.items()} == {'a': 3, 'b': 3, 'c': 3}


def test_published_tokens_are_those_of_our_tower(subjects):
    """Grids other than the trained one, and not square."""
    images = tiny.images(2, 3, 40, 56)
    with torch.inference_mode():
        ours = subjects.tower(images)
        theirs = published.surgery_tokens(subjects.tower.visual, images, subjects.tower.heads)
    patches = normalize(ours.patch_tokens.flatten(2).transpose(1, 2))
    torch.testing.assert_close(theirs[:, 1:], patches, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(theirs[:, 0], normalize(ours.cls_token), rtol=1e-4, atol=1e-5)


def test_published_feature_surgery_is_the_released_form():
    tokens, words = normalize(torch.randn(2, 7, 5)), normalize(torch.randn(4, 5))
    expected = feature_surgery(tokens[:, 0], tokens, words, 'released')
    torch.testing.assert_close(published.feature_surgery(tokens, words), expected * 1.0)


@pytest.mark.parametrize('size', [(32, 32), (64, 48)])
def test_counted_operations_are_those_torch_counts(subjects, size):
    """All but what torch does not count: norms, activations, sums."""
    paper, image = counts.Tower.of(subjects.tower), torch.zeros(1, 3, *size)
    plain, tower = subjects.plain(size), subjects.tower
    calls = {
        paper.plain(size).flop: lambda: plain(image),
        paper.surgery(size, 6).flop: lambda: tower(image, class_token=False),
        paper.surgery(size, 6, class_token=True).flop: lambda: tower(image),
        paper.published(size, 6).flop: lambda: published.surgery_tokens(tower.visual, image, tower.heads),
    }
    for expected, call in calls.items():
        # Without gradients, attention takes kernels that torch has no count for.
        with FlopCounterMode(display=False) as counted, sdpa_kernel(SDPBackend.MATH):
            call()
        assert counted.get_total_flops() == pytest.approx(expected, rel=0.02)


def test_counted_operations_of_texts_are_those_torch_counts(subjects):
    encoder = subjects.text
    ids = text.token_ids(encoder, ['cat', 'a very long sofa', 'dog'], ['{}', 'a photo of the {}.'])
    batches = scaling.text_batches(encoder, ids)
    assert sum(texts for texts, _ in batches) == 6
    expected = counts.TextTower.of(encoder).encode(batches).flop
    with FlopCounterMode(display=False) as counted, sdpa_kernel(SDPBackend.MATH):
        encoder.encode_tokens(ids.flatten(0, 1))
    assert counted.get_total_flops() == pytest.approx(expected, rel=0.02)


def test_images_of_a_batch_share_the_weights(subjects):
    def labels(images: int) -> counts.Count:
        windows = (6 * images, 3, 224, 224)
        return prediction.slide_counts(subjects, windows, (375, 500), 56, images)['labels']

    weights = counts.Tower.of(subjects.tower).weights().bytes
    assert labels(2).flop == pytest.approx(2 * labels(1).flop)
    assert labels(2).bytes == pytest.approx(2 * labels(1).bytes - weights, rel=1e-3)
    assert labels(8).bytes == pytest.approx(
        8 * labels(1).bytes - (8 - 3) * weights, rel=1e-3
    )  # 48 windows, 16 at once


def test_peak_memory_sees_an_allocation():
    found: dict[str, float] = {}
    with memory.peak(torch.device('cpu'), found, 'ones'):
        torch.ones(64 << 18).sum()
    assert found['ones'] == pytest.approx(64, abs=8)


def test_scenes_serve_where_there_are_no_photos(tmp_path, monkeypatch):
    monkeypatch.setenv('MMSEG_CLIPSURGERY_CACHE', str(tmp_path))
    photos = Photos(None)
    assert photos.kind == f'{len(photos)} embedded scenes'
    assert photos[0].ndim == 3
    assert math.prod(photos[len(photos)].shape) > 0  # starts again behind the last one


GPU_SECTIONS = {
    'image': lambda subjects, timer: prediction.image(subjects, timer, 1, 64),
    'slide': lambda subjects, timer: prediction.slide(subjects, timer, 1, 240),
    'classes': lambda subjects, timer: scaling.classes(subjects, timer, 1, 64),
    'templates': lambda subjects, timer: scaling.templates(subjects, timer, 1, 2),
    'batches': lambda subjects, timer: scaling.batches(subjects, timer, 1),
    'loop': lambda subjects, timer: loop.section(subjects, loop.QUICK, 1),
}


@pytest.mark.skipif(not pretend_gpu.AVAILABLE, reason='this torch has no Python backends')
@pytest.mark.parametrize('section', GPU_SECTIONS)
def test_sections_run_on_a_gpu(photos, monkeypatch, section):
    """A pretended one, which refuses to mix devices."""
    monkeypatch.setattr(processes, 'run', lambda *_: (dict(images_per_second=1.0), 1.0))
    with pretend_gpu.PretendGpu() as gpu:
        found = GPU_SECTIONS[section](
            Subjects(ARCH, gpu.device, Photos(photos)), clock.Clock(torch.device('cpu'))
        )
    assert found
