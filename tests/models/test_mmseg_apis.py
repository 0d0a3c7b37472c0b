"""MMSeg's own entry points on our segmentor: init_model, inference_model, MMSegInferencer, visualiser.

The config is a file outside the repository that knows the package by one `custom_imports` line.
"""

import copy
import os
import subprocess
import sys
from pathlib import Path

import mmseg_clipsurgery
import segmentors

import cv2
import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.apis import MMSegInferencer, inference_model, init_model, show_result_pyplot
from mmseg.visualization import SegLocalVisualizer
from PIL import Image

pytestmark = pytest.mark.mmseg

NAMES = ('background', 'cat', 'dog', 'red car')
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(64, 48), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]


def write_config(folder: Path, **model) -> str:
    """A user's own config file."""
    config = Config(
        dict(
            default_scope='mmseg',
            custom_imports=dict(imports=['mmseg_clipsurgery'], allow_failed_imports=False),
            model=segmentors.word_config() | model,
            test_pipeline=copy.deepcopy(PIPELINE),
            test_dataloader=dict(dataset=dict(type='PascalVOCDataset', pipeline=copy.deepcopy(PIPELINE))),
            visualizer=dict(
                type='SegLocalVisualizer', name='visualizer', vis_backends=[dict(type='LocalVisBackend')]
            ),
        )
    )
    path = folder / 'own_config.py'
    config.dump(path)
    return str(path)


@pytest.fixture
def config(tmp_path) -> str:
    return write_config(tmp_path)


@pytest.fixture
def model(config):
    return init_model(config, device='cpu')


@pytest.fixture
def photo(tmp_path) -> str:
    return write_image(tmp_path / 'photo.png', pixels())


def pixels(height: int = 40, width: int = 60) -> np.ndarray:
    """A random image (H, W, BGR)."""
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def write_image(path: Path, image: np.ndarray) -> str:
    assert cv2.imwrite(str(path), image)
    return str(path)


def checkpoint(folder: Path, seed: int, **meta) -> str:
    """A checkpoint of the segmentor with other weights than the config's."""
    path = folder / f'seed{seed}.pth'
    torch.save(dict(state_dict=segmentors.word_segmentor(seed=seed).state_dict(), meta=meta), path)
    return str(path)


def labels_of(result) -> np.ndarray:
    return result.pred_sem_seg.data[0].numpy()


def by_hand(image: np.ndarray, seed: int = 1) -> np.ndarray:
    """Labels of an image (H, W, BGR) without MMSeg's entry points."""
    resized = mmcv.imrescale(image, (64, 48))
    model = segmentors.word_segmentor(seed=seed)
    samples = segmentors.samples(dict(ori_shape=image.shape[:2]))
    inputs = [torch.from_numpy(resized.transpose(2, 0, 1).copy())]
    return labels_of(model.test_step(dict(inputs=inputs, data_samples=samples))[0])


# init_model and inference_model.


def test_without_a_checkpoint(model, photo):
    """The config's `pretrained` weights serve; `init_model` sets no names, ours are there."""
    result = inference_model(model, photo)
    assert np.array_equal(labels_of(result), by_hand(pixels()))
    assert len(np.unique(labels_of(result))) > 1
    assert model.dataset_meta['classes'] == NAMES
    assert len(model.dataset_meta['palette']) == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    'meta',
    [
        dict(),
        dict(dataset_meta=dict(classes=('road', 'sidewalk'), palette=[[1, 2, 3], [4, 5, 6]])),
        dict(CLASSES=('road', 'sidewalk'), PALETTE=[[1, 2, 3], [4, 5, 6]]),
    ],
    ids=['no names', 'other names', 'names of old releases'],
)
@pytest.mark.filterwarnings('ignore')
def test_a_checkpoint_brings_weights_and_no_names(config, photo, tmp_path, meta):
    model = init_model(config, checkpoint(tmp_path, 2, **meta), device='cpu')
    assert np.array_equal(labels_of(inference_model(model, photo)), by_hand(pixels(), seed=2))
    assert not np.array_equal(by_hand(pixels(), seed=2), by_hand(pixels(), seed=1))
    assert model.dataset_meta['classes'] == NAMES


def test_a_checkpoint_of_another_model(config, tmp_path):
    torch.save(dict(state_dict={'backbone.conv1.weight': torch.zeros(1)}), tmp_path / 'resnet.pth')
    with pytest.raises(ValueError, match=r"not this model's.*unexpected backbone\.conv1\.weight"):
        init_model(config, str(tmp_path / 'resnet.pth'), device='cpu')


def test_options_over_the_config(config, photo):
    model = init_model(
        config,
        device='cpu',
        cfg_options={'model.text_encoder.vocabulary': ['cat'], 'model.test_cfg.scores': True},
    )
    result = inference_model(model, photo)
    assert model.dataset_meta['classes'] == ('background', 'cat')
    assert result.seg_logits.data.shape == (1, 40, 60)
    assert set(np.unique(labels_of(result))) <= {0, 1}


@pytest.mark.slow
def test_arrays_and_lists(model, photo, tmp_path):
    """A list may hold images of different sizes. (After an array, MMSeg's function takes no path.)"""
    other = pixels(33, 21)
    paths = [photo, write_image(tmp_path / 'other.png', other)]
    from_paths = inference_model(model, paths)
    from_arrays = inference_model(model, [pixels(), other])
    for image, *results in zip((pixels(), other), from_paths, from_arrays, strict=True):
        assert all(np.array_equal(labels_of(result), by_hand(image)) for result in results)
    assert np.array_equal(labels_of(inference_model(model, pixels())), by_hand(pixels()))


GREY = pixels()[..., 0]
GREY_AS_COLOUR = np.repeat(GREY[..., None], 3, axis=2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('stored', 'read'),
    [
        (GREY, GREY_AS_COLOUR),
        (np.dstack([pixels(), GREY]), pixels()),
        (pixels().astype(np.uint16) * 257, pixels()),
        (GREY.astype(np.uint16) * 257, GREY_AS_COLOUR),
    ],
    ids=['grey', 'RGBA', '16 bit', '16 bit grey'],
)
def test_kinds_of_png(model, tmp_path, stored, read):
    """MMSeg's loader repeats grey, drops alpha and keeps the high byte of 16 bits."""
    path = write_image(tmp_path / 'kind.png', stored)
    assert np.array_equal(labels_of(inference_model(model, path)), by_hand(read))


@pytest.mark.parametrize(
    ('array', 'complaint'),
    [
        (GREY, r'three channels.*\(1, '),
        (np.dstack([pixels(), GREY]), r'three channels.*\(4, '),
        (pixels().astype(np.uint16) * 257, 'uint8 or floating point.*uint16'),
    ],
    ids=['grey', 'RGBA', '16 bit'],
)
def test_kinds_of_arrays_that_are_refused(model, array, complaint):
    with pytest.raises(ValueError, match=complaint):
        inference_model(model, array)


def test_a_file_that_is_no_image(model, tmp_path):
    (tmp_path / 'broken.png').write_bytes(b'no image')
    with pytest.raises(AssertionError, match=r'failed to load image: .*broken\.png'):
        inference_model(model, str(tmp_path / 'broken.png'))


@pytest.mark.slow
def test_a_fresh_interpreter_outside_the_repository(config, photo, tmp_path):
    """Nothing but the config's line imports the package, and it is in time for `mmseg.apis`."""
    code = (
        'import sys; from mmengine.config import Config\n'
        'config = Config.fromfile(sys.argv[1])\n'
        'from mmseg.apis import inference_model, init_model\n'
        "result = inference_model(init_model(config, device='cpu'), sys.argv[2])\n"
        "import numpy; numpy.save('labels.npy', result.pred_sem_seg.data[0].numpy())\n"
    )
    root = str(Path(mmseg_clipsurgery.__file__).parents[1])
    environment = os.environ | {'PYTHONPATH': root}
    done = subprocess.run(
        [sys.executable, '-c', code, config, photo],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert np.array_equal(np.load(tmp_path / 'labels.npy'), by_hand(pixels()))


# Pictures.


@pytest.fixture
def written(monkeypatch) -> list[str]:
    """Texts that MMSeg's visualiser writes into pictures."""
    texts: list[str] = []
    put_text = cv2.putText

    def spy(image, text, *args, **kwargs):
        texts.append(text)
        return put_text(image, text, *args, **kwargs)

    monkeypatch.setattr(cv2, 'putText', spy)
    return texts


def colours(labels: np.ndarray, palette: list[list[int]]) -> np.ndarray:
    return np.array(palette, np.uint8)[labels]


def own_names(labels: np.ndarray) -> set[str]:
    return {NAMES[label] for label in np.unique(labels)}


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('with_checkpoint', [False, True], ids=['weights=None', 'checkpoint'])
def test_inferencer(config, photo, tmp_path, written, with_checkpoint):
    """Names and colours on the pictures are the vocabulary's: Cityscapes is what the inferencer would take."""
    weights = checkpoint(tmp_path, 1) if with_checkpoint else None
    inferencer = MMSegInferencer(config, weights=weights, device='cpu')
    result = inferencer(photo, return_vis=True, out_dir=str(tmp_path / 'out'))
    labels = result['predictions']
    assert np.array_equal(labels, by_hand(pixels()))
    assert set(written) == own_names(labels)
    assert inferencer.model.dataset_meta['classes'] == NAMES
    assert tuple(inferencer.visualizer.dataset_meta['classes']) == NAMES
    assert np.array_equal(np.array(Image.open(tmp_path / 'out/pred/00000000_pred.png')), labels)
    assert (tmp_path / 'out/vis/photo.png').is_file()
    plain = inferencer([photo, photo], return_vis=True, opacity=1.0, with_labels=False, batch_size=2)
    palette = inferencer.model.dataset_meta['palette']
    assert all(np.array_equal(picture, colours(labels, palette)) for picture in plain['visualization'])


@pytest.mark.filterwarnings('ignore')
def test_inferencer_on_images_of_different_sizes_and_arrays(config):
    images = [pixels(), pixels(33, 21)]
    inferencer = MMSegInferencer(config, device='cpu')
    found = inferencer(images, batch_size=2)['predictions']
    assert all(np.array_equal(labels, by_hand(image)) for labels, image in zip(found, images, strict=True))


@pytest.mark.filterwarnings('ignore')
def test_inferencer_with_one_word(tmp_path, photo, written):
    text_encoder = segmentors.word_config(['cat'])['text_encoder']
    inferencer = MMSegInferencer(write_config(tmp_path, text_encoder=text_encoder), device='cpu')
    labels = inferencer(photo, return_vis=True)['predictions']
    assert set(written) == {('background', 'cat')[label] for label in np.unique(labels)}


@pytest.mark.filterwarnings('ignore:Failed to add:UserWarning')  # the visualiser without a folder
def test_show_result(model, photo, written):
    result = inference_model(model, photo)
    picture = show_result_pyplot(model, photo, result, opacity=1.0, show=False, with_labels=False)
    assert np.array_equal(picture, colours(labels_of(result), model.dataset_meta['palette']))
    show_result_pyplot(model, photo, result, show=False)
    assert set(written) == own_names(labels_of(result))


def test_visualiser(model, photo, tmp_path, written):
    """As a user's own code calls it."""
    visualizer = SegLocalVisualizer(vis_backends=[dict(type='LocalVisBackend')], save_dir=str(tmp_path))
    visualizer.dataset_meta = model.dataset_meta
    result = inference_model(model, photo)
    visualizer.add_datasample('photo', pixels(), result, draw_gt=False, out_file=str(tmp_path / 'drawn.png'))
    assert cv2.imread(str(tmp_path / 'drawn.png')).shape == (40, 60, 3)
    assert set(written) == own_names(labels_of(result))
