"""Pictures of a test run: what they show, whose they are."""

import mini_voc
from mmseg_clipsurgery.datasets.on_disk import build_dataset
from mmseg_clipsurgery.evaluation.hooks import pictures as hooks

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


@pytest.mark.parametrize('truth', [True, False], ids=['with truth', 'without'])
def test_a_picture_shows_photo_truth_and_prediction(tmp_path, truth):
    root = mini_voc.make(tmp_path / 'voc')
    dataset = build_dataset(mini_voc.config(root).test_dataloader.dataset)
    image = root / f'JPEGImages/{mini_voc.NAMES[0]}.jpg'
    labels = np.full((20, 31), 15)
    hook = hooks.SavePicturesHook(str(tmp_path / 'pictures'), opacity=1.0)
    hook.before_test_epoch(Runner(dataset))
    hook.after_test_iter(Runner(dataset), 0, outputs=[sample(image, labels, labels if truth else None)])
    drawn = np.asarray(Image.open(tmp_path / 'pictures' / f'{mini_voc.NAMES[0]}.jpg')).astype(int)
    person = np.array(dataset.metainfo['palette'][15])
    coloured = np.abs(drawn - person).max(-1) < 30
    panel = 256 * 397  # of 20 x 31 pixels, enlarged
    maps = 2 if truth else 1
    assert coloured.sum() == pytest.approx(maps * panel, rel=0.05)  # and a few pixels of the photo
    assert drawn.shape[1] == 10 + (maps + 1) * (397 + 10)
    photo = np.asarray(Image.open(image).convert('RGB')).astype(int).mean((0, 1))
    assert drawn[-300:-44, 10:407].mean((0, 1)) == pytest.approx(photo, abs=12)  # the first panel


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


def test_an_opacity_beyond_1_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r'opacity must lie between 0 and 1, got 1.5'):
        hooks.SavePicturesHook(str(tmp_path), opacity=1.5)
