"""The heat-map hook: its pictures, their classes, its errors."""

from types import SimpleNamespace

from mmseg_clipsurgery.evaluation.hooks.heat_maps import HeatMapsHook
from mmseg_clipsurgery.visualization.palette import voc_palette
from mmseg_clipsurgery.visualization.panels import heat_colours

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from PIL import Image

pytestmark = pytest.mark.mmseg
CLASSES = ('grass', 'cat', 'dog')


class Backend:
    """Keeps what it is handed."""

    def __init__(self):
        self.images = {}

    def add_image(self, name, image, step):
        self.images[name] = (image, step)


def runner(backend) -> SimpleNamespace:
    dataset = SimpleNamespace(metainfo={'classes': CLASSES, 'palette': []})
    return SimpleNamespace(
        test_dataloader=SimpleNamespace(dataset=dataset),
        visualizer=SimpleNamespace(_vis_backends={'one': backend}),
    )


def sample(folder, name: str, maps: bool = True) -> SegDataSample:
    path = folder / f'{name}.png'
    Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(path)
    found = SegDataSample(metainfo=dict(img_path=str(path)))
    labels = torch.zeros(1, 20, 30, dtype=torch.long)
    labels[:, 5:10, :5] = 2
    found.set_data({'pred_sem_seg': PixelData(data=labels)})
    if maps:
        ramp = torch.linspace(0, 1, 30).expand(3, 20, 30).contiguous()
        found.set_data({'class_maps': PixelData(data=ramp)})
    return found


def run(hook, folder, count: int = 3) -> Backend:
    backend = Backend()
    its_runner = runner(backend)
    hook.before_test_epoch(its_runner)
    for i in range(count):
        hook.after_test_iter(its_runner, i, outputs=[sample(folder, f'photo{i}')])
    return backend


def test_pictures_go_to_the_backends(tmp_path):
    backend = run(HeatMapsHook(classes=['cat'], interval=2), tmp_path)
    assert {name: step for name, (_, step) in backend.images.items()} == {
        'heat_maps/photo0': 0,
        'heat_maps/photo2': 2,
    }
    assert all(image.dtype == np.uint8 and image.ndim == 3 for image, _ in backend.images.values())


def test_a_picture_shows_photo_labels_heat_and_the_key_of_classes(tmp_path):
    image = run(HeatMapsHook(classes=['cat'], opacity=1.0), tmp_path, 1).images['heat_maps/photo0'][0]
    colours = {name: np.array(colour) for name, colour in zip(CLASSES, voc_palette(3), strict=True)}
    panel = 256 * 384  # of 20 x 30 pixels, enlarged
    assert (image == 90).all(-1).sum() == pytest.approx(
        panel, rel=0.01
    )  # the photo and edges of letters, grey
    dog = (image == colours['dog']).all(-1)
    assert panel / 24 < dog.sum() < panel / 24 + 1000  # 25 of 600 pixels, and its box in the key
    assert dog[-100:].any()
    assert not (image == colours['cat']).all(-1).any()  # no pixel has this label
    cold, hot = ((image == heat_colours()[end]).all(-1) for end in (0, -1))
    assert (
        np.flatnonzero(cold.any(0)).min() < np.flatnonzero(hot.any(0)).min()
    )  # the ramp, from left to right


def test_without_classes_the_largest_are_drawn(tmp_path):
    hook = HeatMapsHook(most=2)
    run(hook, tmp_path, 1)
    assert hook.shown(sample(tmp_path, 'a').pred_sem_seg.data[0].numpy()) == [0, 2]


def test_an_unknown_class_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"no class 'cow'; there are grass, cat, dog"):
        run(HeatMapsHook(classes=['cow']), tmp_path)


def test_a_model_without_maps_is_an_error(tmp_path):
    hook = HeatMapsHook()
    hook.before_test_epoch(runner(Backend()))
    with pytest.raises(ValueError, match=r'test_cfg\.maps=True'):
        hook.draw(sample(tmp_path, 'a', maps=False))


@pytest.mark.parametrize('settings', [{'interval': 0}, {'most': 0}, {'opacity': 2}])
def test_illegal_settings_are_errors(settings):
    with pytest.raises(ValueError, match='got'):
        HeatMapsHook(**settings)
