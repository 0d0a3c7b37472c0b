"""The tools, run as a user runs them, on a mini VOC and a tiny CLIP: results, checkpoints, processes, mistakes."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import mini_voc
from mmseg_clipsurgery.cli import export
from mmseg_clipsurgery.environment import launchers
from mmseg_clipsurgery.environment.mistakes import sentence
from mmseg_clipsurgery.evaluation.configs import read_config
from mmseg_clipsurgery.evaluation.preparation import prepare
from mmseg_clipsurgery.test import main

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from safetensors import safe_open

pytestmark = pytest.mark.mmseg

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture
def voc(tmp_path, monkeypatch):
    monkeypatch.setenv('MMSEG_CLIPSURGERY_CACHE', str(tmp_path / 'cache'))
    monkeypatch.delenv('MMSEG_CLIPSURGERY_DEBUG', raising=False)
    return mini_voc.make(tmp_path / 'voc')


@pytest.fixture
def write_config(voc, tmp_path):
    def write(**changes) -> str:
        path = tmp_path / f'{tmp_path.name}.py'  # MMEngine names its logger by file and second
        mini_voc.tiny_config(voc, **changes).dump(path)
        return str(path)

    return write


@pytest.fixture
def checkpoint(write_config, tmp_path) -> str:
    path = tmp_path / 'model.pth'
    torch.manual_seed(0)
    assert export.main([write_config(), str(path)]) == 0
    return str(path)


def results_of(folder: Path) -> dict:
    return json.loads((folder / 'results.json').read_text())


def run(*arguments) -> int:
    return main([str(argument) for argument in arguments])


@pytest.mark.slow
def test_main_job(write_config, checkpoint, tmp_path, capfd):
    work, masks, pictures = (tmp_path / name for name in ('work', 'masks', 'pictures'))
    assert run(write_config(), checkpoint, '--work-dir', work, '--out', masks, '--show-dir', pictures) == 0
    output = ''.join(capfd.readouterr())
    for line in ('preflight: 5 images checked', 'queries  ', 'surgery  ', '5/5 images', '|  background'):
        assert line in output
    results = results_of(work)
    assert set(results['metrics']) == {'mIoU', 'aAcc', 'mAcc'}
    assert len(results['per_class']) == 21
    assert results['metrics']['mIoU'] == pytest.approx(
        np.mean([row['IoU'] for row in results['per_class']]), abs=0.01
    )
    expected = dict(
        dataset='PascalVOCDataset', images=5, classes=21, queries=56, words='voc21', templates='bare'
    )
    expected |= dict(mode='slide', crop=[16, 24], device='cpu', dtype='float32', processes=1)
    expected['surgery'] = dict(
        name='clip_surgery', last_blocks=6, affinity='vv', residual=True, ffn=False, position='bilinear'
    )
    assert {key: results['protocol'][key] for key in expected} == expected
    assert results['images'] == 5
    assert results['seconds'] > 0
    assert results['peak_memory_mib']['process'] > 0
    assert {'torch', 'mmseg', 'open_clip', 'mmseg_clipsurgery'} <= set(results['versions'])
    with (work / 'per_class.csv').open() as file:
        assert [row['class'] for row in csv.DictReader(file)][:2] == ['background', 'aeroplane']
    assert (
        {path.stem for path in masks.iterdir()}
        == {path.stem for path in pictures.iterdir()}
        == set(mini_voc.NAMES)
    )
    assert Image.open(masks / f'{mini_voc.NAMES[0]}.png').size == (31, 20)


@pytest.mark.slow
def test_the_config_decides_without_a_checkpoint(write_config, tmp_path):
    evaluators = [dict(type='IoUMetric', prefix='stock'), dict(type='SegmentationMetric', per_image=True)]
    config = write_config(test_evaluator=evaluators)
    options = ('--cfg-options', 'model.backbone.surgery=clip', 'test_dataloader.num_workers=1')
    assert run(config, '--work-dir', tmp_path / 'work', '--out', tmp_path / 'masks', *options) == 0
    results = results_of(tmp_path / 'work')
    assert results['protocol']['surgery']['last_blocks'] == 0
    assert results['metrics']['stock/mIoU'] == pytest.approx(results['metrics']['mIoU'], abs=0.011)
    assert (tmp_path / 'work/per_image.csv').read_text().count('.jpg') == 5
    assert len(results_of(tmp_path / 'work')['per_image']) == 5
    assert len(list((tmp_path / 'masks').iterdir())) == 5


@pytest.mark.parametrize(
    ('gpu', 'options'), [(False, {}), (True, {}), (True, {'test_dataloader.pin_memory': False})]
)
def test_memory_is_pinned_where_there_is_a_gpu(write_config, monkeypatch, gpu, options):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: gpu)
    cfg = read_config(write_config(), options)
    prepare(cfg)
    assert cfg.test_dataloader.pin_memory is (gpu and not options)


@pytest.mark.slow
def test_data_root_and_equal_names_in_two_folders(write_config, voc, checkpoint, tmp_path):
    for folder in ('a', 'b'):
        mini_voc.make(tmp_path / 'other' / folder, ('same',))
    part = mini_voc.config('nowhere').test_dataloader.dataset
    for root in ('JPEGImages', 'SegmentationClass'):
        for folder in ('a', 'b'):
            (tmp_path / 'other' / root).mkdir(exist_ok=True)
            (tmp_path / 'other' / folder / root).rename(tmp_path / 'other' / root / folder)
    (tmp_path / 'other/val.txt').write_text('a/same\nb/same\n')
    config = write_config(test_dataloader__dataset=dict(part, data_root='nowhere', ann_file='val.txt'))
    out = ('--out', tmp_path / 'masks', '--show-dir', tmp_path / 'pictures')
    assert (
        run(config, checkpoint, '--data-root', tmp_path / 'other', '--work-dir', tmp_path / 'work', *out) == 0
    )
    for kind, suffix in (('masks', 'png'), ('pictures', 'jpg')):
        assert {path.parent.name for path in (tmp_path / kind).glob(f'*/same.{suffix}')} == {'a', 'b'}


@pytest.mark.slow
def test_time_augmentation(write_config, checkpoint, tmp_path):
    assert run(write_config(), checkpoint, '--tta', '--work-dir', tmp_path / 'work') == 0
    assert results_of(tmp_path / 'work')['protocol']['test-time augmentation'] is True
    assert results_of(tmp_path / 'work')['protocol']['queries'] == 56


@pytest.mark.slow
def test_checkpoint_is_what_runs(write_config, checkpoint, tmp_path):
    for name in ('one', 'two'):
        assert run(write_config(), checkpoint, '--work-dir', tmp_path / name) == 0
    assert results_of(tmp_path / 'one')['per_class'] == results_of(tmp_path / 'two')['per_class']


def processes(command: list, folder: Path, **variables: str) -> subprocess.CompletedProcess:
    """Run a command elsewhere than in the checkout, without a GPU and with the package importable."""
    environment = dict(
        os.environ, CUDA_VISIBLE_DEVICES='', OMP_NUM_THREADS='1', PYTHON=sys.executable, **variables
    )
    environment['PYTHONPATH'] = os.pathsep.join([str(TOOLS.parent), os.environ.get('PYTHONPATH', '')])
    command = [str(word) for word in command]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_two_processes_equal_one(write_config, checkpoint, tmp_path):
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.mkdir()
    config = write_config()
    name = f'work_dirs/{Path(config).stem}'
    assert run(config, checkpoint, '--work-dir', elsewhere / 'one') == 0
    script = [TOOLS / 'dist_test.sh', config, checkpoint, '2', '--show-dir', 'pictures', '--out', 'masks']
    done = processes(script, elsewhere, PORT='29517')
    assert done.returncode == 0, done.stderr
    two, one = results_of(elsewhere / name), results_of(elsewhere / 'one')
    assert two['protocol']['processes'] == 2
    assert two['metrics'] == one['metrics']
    assert two['per_class'] == one['per_class']
    assert sorted(path.stem for path in (elsewhere / 'pictures').iterdir()) == sorted(mini_voc.NAMES)
    assert sorted(path.stem for path in (elsewhere / 'masks').iterdir()) == sorted(mini_voc.NAMES)


@pytest.mark.slow
def test_a_mistake_ends_all_processes_with_one_sentence(write_config, voc, tmp_path):
    (voc / f'JPEGImages/{mini_voc.NAMES[1]}.jpg').write_bytes(b'no image')
    script = [TOOLS / 'dist_test.sh', write_config(), '2']
    done = processes(script, tmp_path, PORT='29518')
    assert done.returncode != 0
    assert done.stderr.count('error: 1 of ') == 1


@pytest.mark.slow
def test_slurm_script(tmp_path):
    srun = tmp_path / 'srun'
    srun.write_text('#!/bin/sh\necho "$@"\n')
    srun.chmod(0o755)
    script = [TOOLS / 'slurm_test.sh', 'part', 'job', 'clipsurgery_voc', '--tta']
    path = f'{tmp_path}{os.pathsep}{os.environ["PATH"]}'
    words = processes(script, tmp_path, PATH=path, GPUS='16', GPUS_PER_NODE='8').stdout
    for part in (
        '--partition part --job-name job --ntasks 16 --gres gpu:8 --ntasks-per-node 8 ',
        '--kill-on-bad-exit=1',
    ):
        assert part in words
    assert words.strip().endswith('tools/test.py clipsurgery_voc --tta --launcher slurm')
    assert '--gres' not in processes(script, tmp_path, PATH=path, GPUS='2', GPUS_PER_NODE='0').stdout


@pytest.mark.parametrize('script', ['dist_test.sh', 'slurm_test.sh'])
def test_scripts_say_how_they_are_used(script, tmp_path):
    done = processes([TOOLS / script, 'only_one'], tmp_path)
    assert done.returncode != 0
    assert f'usage: tools/{script}' in done.stderr


@pytest.mark.slow
def test_mmseg_s_own_tool_takes_the_export(write_config, checkpoint, tmp_path):
    import mmseg

    stock = Path(mmseg.__file__).parent / '.mim/tools/test.py'
    if not stock.is_file():
        pytest.skip('this MMSegmentation is installed without its tools')
    config = write_config()
    assert run(config, checkpoint, '--work-dir', tmp_path / 'ours') == 0
    done = processes([sys.executable, stock, config, checkpoint, '--work-dir', tmp_path / 'stock'], tmp_path)
    assert done.returncode == 0, done.stderr
    assert 'The model and loaded state dict do not match' not in done.stdout + done.stderr
    (log,) = (tmp_path / 'stock').glob('*/2*.json')
    assert json.loads(log.read_text())['mIoU'] == results_of(tmp_path / 'ours')['metrics']['mIoU']


def test_export_says_what_it_wrote(checkpoint):
    loaded = torch.load(checkpoint, weights_only=True)
    assert loaded['meta']['dataset_meta']['classes'][:2] == ['background', 'aeroplane']
    assert len(loaded['meta']['dataset_meta']['palette']) == 21


@pytest.mark.slow
def test_a_checkpoint_without_pickle_gives_the_same_results(write_config, tmp_path):
    metrics = []
    for name in ('model.pth', 'model.safetensors'):
        torch.manual_seed(0)
        assert export.main([write_config(), str(tmp_path / name)]) == 0
        assert run(write_config(), tmp_path / name, '--work-dir', tmp_path / name[-3:]) == 0
        metrics.append(results_of(tmp_path / name[-3:])['metrics'])
    assert metrics[0] == metrics[1]
    with safe_open(tmp_path / 'model.safetensors', 'pt') as file:
        assert json.loads(file.metadata()['dataset_meta'])['classes'][:2] == ['background', 'aeroplane']


@pytest.mark.slow
def test_a_damaged_checkpoint_without_pickle(write_config, tmp_path, capfd):
    (tmp_path / 'model.safetensors').write_bytes(b'\x08' + bytes(20))
    assert run(write_config(), tmp_path / 'model.safetensors', '--work-dir', tmp_path / 'work') == 1
    assert 'model.safetensors is not a readable safetensors file' in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize('workers', [0, 1])
def test_an_image_that_cannot_be_read_in_the_loop(write_config, voc, tmp_path, capfd, workers):
    name = mini_voc.NAMES[3]
    (voc / f'JPEGImages/{name}.jpg').write_bytes(b'no image')
    arguments = ('--no-preflight', '--work-dir', tmp_path / 'work')
    assert run(write_config(test_dataloader__num_workers=workers), *arguments) == 1
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith('error: ')]
    assert line.startswith(f'error: {voc}/JPEGImages/{name}.jpg (with mask ')
    assert 'could not be loaded' in line


@pytest.mark.slow
@pytest.mark.parametrize(
    ('change', 'message'),
    [
        pytest.param(
            lambda state: state.pop('backbone.visual.conv1.weight'),
            'missing backbone.visual.conv1.weight',
            id='missing',
        ),
        pytest.param(lambda state: state.update(extra=torch.zeros(1)), 'unexpected extra', id='unexpected'),
        pytest.param(
            lambda state: state.update({'backbone.visual.conv1.weight': torch.zeros(1)}),
            'of another shape backbone.visual.conv1.weight',
            id='shape',
        ),
    ],
)
def test_checkpoint_of_another_model(write_config, checkpoint, tmp_path, capfd, change, message):
    loaded = torch.load(checkpoint, weights_only=True)
    change(loaded['state_dict'])
    torch.save(loaded, checkpoint)
    assert run(write_config(), checkpoint, '--work-dir', tmp_path / 'work') == 1
    error = capfd.readouterr().err
    assert "is not this model's" in error
    assert message in error


def test_a_checkpoint_without_tensors(write_config, tmp_path, capfd):
    torch.save({'state_dict': {}}, tmp_path / 'model.pth')
    assert run(write_config(), tmp_path / 'model.pth', '--work-dir', tmp_path / 'work') == 1
    assert 'model.pth holds no state dict' in capfd.readouterr().err


class Malicious:
    """Unpickling it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.slow
@pytest.mark.parametrize('content', ['text', 'pickle'])
def test_not_a_checkpoint(write_config, tmp_path, capfd, content):
    path = tmp_path / 'model.pth'
    if content == 'text':
        path.write_text('no tensors')
    else:
        torch.save({'state_dict': Malicious(tmp_path / 'executed')}, path)
    assert run(write_config(), path, '--work-dir', tmp_path / 'work') == 1
    assert 'is not a readable file of tensors' in capfd.readouterr().err
    assert not (tmp_path / 'executed').exists()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        pytest.param(['missing.py'], 'the config missing.py does not exist', id='config file'),
        pytest.param(['clipsurgery_vok'], "no config 'clipsurgery_vok' is shipped", id='config name'),
        pytest.param(['RUN', 'missing.pth'], 'checkpoint missing.pth does not exist', id='checkpoint'),
        pytest.param(['RUN', '--data-root', 'missing'], 'the data root missing of PascalVOCDataset', id='data root'),
        pytest.param(['RUN', '--cfg-options', 'model.backbone.surgery=knife'], "unknown surgery 'knife'", id='surgery'),
        pytest.param(['RUN', '--cfg-options', 'test_evaluator=None'], 'has no test_evaluator', id='no evaluator'),
        pytest.param(['RUN', '--tta', '--cfg-options', 'tta_model=None'], '--tta needs tta_model', id='tta'),
        pytest.param(['RUN', '--launcher', 'slurm'], 'SLURM_PROCID', id='launcher'),
        pytest.param(['RUN', '--out', 'x', '--cfg-options', 'test_evaluator.type=DumpResults'],
                     '--out needs an evaluator', id='out'),
        pytest.param(['RUN', '--out', ''], "got '' where a path is expected", id='no path'),
        pytest.param(['RUN', '--show-dir', 'file'], '--show-dir file: file is no folder', id='a file as folder'),
        pytest.param(['RUN', '--work-dir', 'file/deep'], 'file is no folder; give a folder', id='a file in the path'),
        pytest.param(['RUN', '--data-root', '~nobody-here/x'], 'names the home of a user', id='a home of nobody'),
        pytest.param(['RUN', '--cfg-options', 'test_dataloader.dataset.foo=1'], "not fit: TypeError", id='keyword'),
        pytest.param(['RUN', '--cfg-options', 'custom_hooks=3'], 'does not fit: TypeError', id='a type'),
        pytest.param(['RUN', '--no-preflight', '--cfg-options', 'model.backbone.surgery=knife'],
                     "error: unknown surgery 'knife'", id='surgery, said by the model'),
    ],
)  # fmt: skip
def test_mistakes(write_config, tmp_path, monkeypatch, capfd, arguments, message):
    monkeypatch.chdir(tmp_path)
    Path('file').write_text('')
    config = write_config()
    assert run(*[config if word == 'RUN' else word for word in arguments]) == 1
    error = capfd.readouterr().err
    assert message in error
    assert 'Traceback' not in error


def test_debug_shows_where_it_came_from(write_config, monkeypatch):
    with pytest.raises(ValueError, match='no config'):
        run('clipsurgery_vok', '--debug')
    monkeypatch.setenv('MMSEG_CLIPSURGERY_DEBUG', '1')
    with pytest.raises(ValueError, match='no config'):
        run('clipsurgery_vok')


def test_export_of_a_mistake(tmp_path, capfd):
    Config(dict(x=1)).dump(tmp_path / 'none.py')
    assert export.main([str(tmp_path / 'none.py'), str(tmp_path / 'out.pth')]) == 1
    assert 'has no model' in capfd.readouterr().err


@pytest.mark.parametrize(
    ('launcher', 'environment', 'expected'),
    [
        ('pytorch', dict(RANK='1', WORLD_SIZE='4', LOCAL_RANK='1', MASTER_ADDR='a', MASTER_PORT='7'), '1 4 1 a 7'),
        ('mpi', dict(OMPI_COMM_WORLD_RANK='2', OMPI_COMM_WORLD_SIZE='4', OMPI_COMM_WORLD_LOCAL_RANK='0'),
         '2 4 0 127.0.0.1 29500'),
        ('slurm', dict(SLURM_PROCID='3', SLURM_NTASKS='4', SLURM_LOCALID='1', MASTER_ADDR='b'), '3 4 1 b 29500'),
    ],
)  # fmt: skip
def test_launchers(launcher, environment, expected):
    found = launchers.variables(launcher, environment)
    names = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT')
    assert [found[name] for name in names] == expected.split()


@pytest.mark.slow
def test_a_launcher_that_did_not_start_the_process():
    with pytest.raises(ValueError, match=r'RANK, WORLD_SIZE not set: start the processes with .*torchrun'):
        launchers.variables('pytorch', {'LOCAL_RANK': '0'})


def test_more_processes_than_gpus():
    with pytest.raises(ValueError, match='process 3 on this machine has no GPU, there are 2'):
        launchers.check_gpu(2, 2)


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('one\n  two', 'one two'),
        ('class `A` in a/b.py: class `B` in c.py: wrong', 'wrong'),
        ('Caught UnreadableFile in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n  x\n'
         'mmseg_clipsurgery.evaluation.hooks.unreadable_files.UnreadableFile: '
         'a.jpg could not be loaded: ValueError: no',
         'a.jpg could not be loaded: ValueError: no'),
    ],
    ids=['lines', 'registry', 'worker'],
)  # fmt: skip
def test_sentence(text, expected):
    assert sentence(ValueError(text)) == expected
