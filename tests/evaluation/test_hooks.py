"""Progress and pictures of a test run (the rest is tested where the tools run: test_tools)."""

import pickle

import mini_voc
from mmseg_clipsurgery.evaluation.hooks import test_loop as hooks
from mmseg_clipsurgery.evaluation.preflight import build_dataset

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from PIL import Image

pytestmark = pytest.mark.mmseg


class Runner:
    """What a hook asks of MMEngine's."""

    def __init__(self, dataset):
        self.test_dataloader = type('Loader', (), dict(dataset=dataset))


def sample(path, labels, truth=None) -> SegDataSample:
    made = SegDataSample(metainfo=dict(img_path=str(path)))
    made.pred_sem_seg = PixelData(data=torch.from_numpy(labels)[None])
    if truth is not None:
        made.gt_sem_seg = PixelData(data=torch.from_numpy(truth)[None])
    return made


def test_speed_tells_the_first_batch_apart():
    progress = hooks.ProgressHook()
    progress.seconds, progress.first_batch_seconds, progress._first_batch, progress._done = 12.0, 10.0, 2, 6
    assert progress.speed(6) == dict(
        seconds=12.0, images_per_second=0.5, first_batch_seconds=10.0, images_per_second_after_first_batch=2.0
    )


@pytest.mark.parametrize('truth', [True, False], ids=['with truth', 'without'])
def test_picture(tmp_path, truth):
    root = mini_voc.make(tmp_path / 'voc')
    dataset = build_dataset(mini_voc.config(root).test_dataloader.dataset)
    image = root / f'JPEGImages/{mini_voc.NAMES[0]}.jpg'
    labels = np.full((20, 31), 15)
    hook = hooks.SavePicturesHook(str(tmp_path / 'pictures'), opacity=1.0)
    hook.before_test_epoch(Runner(dataset))
    hook.after_test_iter(Runner(dataset), 0, outputs=[sample(image, labels, labels if truth else None)])
    pixels = np.asarray(Image.open(tmp_path / 'pictures' / f'{mini_voc.NAMES[0]}.jpg')).astype(int)
    person = np.array(dataset.metainfo['palette'][15])
    coloured = np.abs(pixels - person).max(-1) < 30
    panel = 20 * 31 * 10**2  # enlarged tenfold
    assert coloured.sum() > panel * (2 if truth else 1)
    assert coloured.sum() < panel * (2.2 if truth else 1.2)


def test_a_process_saves_its_own_images_only(tmp_path, monkeypatch):
    root = mini_voc.make(tmp_path / 'voc')
    dataset = build_dataset(mini_voc.config(root).test_dataloader.dataset)
    monkeypatch.setattr(hooks, 'get_dist_info', lambda: (1, 2))
    hook = hooks.SavePicturesHook(str(tmp_path / 'pictures'))
    hook.before_test_epoch(Runner(dataset))
    for index in (1, 3, 0):  # its share of five images, then what the sampler repeats
        image = Image.open(root / f'JPEGImages/{mini_voc.NAMES[index]}.jpg')
        labels = np.zeros(image.size[::-1], np.int64)
        hook.after_test_iter(Runner(dataset), index, outputs=[sample(image.filename, labels)])
    saved = sorted(path.stem for path in (tmp_path / 'pictures').iterdir())
    assert saved == [mini_voc.NAMES[1], mini_voc.NAMES[3]]


def broken(info):
    raise OSError('first line\nsecond line')


def test_naming_pipeline():
    pipeline = pickle.loads(pickle.dumps(hooks.NamingPipeline(broken)))
    with pytest.raises(
        hooks.UnreadableFile, match=r'^a\.jpg could not be loaded: OSError: first line second line$'
    ):
        pipeline(dict(img_path='a.jpg'))
