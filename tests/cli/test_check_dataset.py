"""The check of a data set: right ones pass, and each way to be wrong is named with its remedy."""

import re

import mini_datasets
from mmseg_clipsurgery.cli import calibrate, faithfulness
from mmseg_clipsurgery.cli.check_dataset import main
from mmseg_clipsurgery.datasets import mask_encodings as encodings
from mmseg_clipsurgery.datasets.mask_labels import judge
from mmseg_clipsurgery.evaluation import preflight
from mmseg_clipsurgery.evaluation.audit import audit
from mmseg_clipsurgery.protocols.settings import entry, table
from mmseg_clipsurgery.resources import config as shipped_config

import numpy as np
import pytest
from mmengine.config import Config
from mmseg.registry import DATASETS

pytestmark = pytest.mark.mmseg

REAL = [name for name in table()['data_sets'] if not name.startswith('scenes')]


def run(name: str, root, *options: str) -> int:
    return main([entry('data_sets', name)['config'], '--data-root', str(root), *options])


def remask(root, pattern: str, *labels: int) -> None:
    """The miniature's masks with other labels, of their own sizes."""
    masks = sorted(root.glob(pattern))
    assert len(masks) == 2
    for path, size in zip(masks, mini_datasets.SIZES, strict=True):
        mini_datasets.mask(path, mini_datasets.labels(size, *labels))


@pytest.fixture(params=REAL)
def name(request):
    return request.param


@pytest.fixture
def made(name, tmp_path):
    return mini_datasets.make(name, tmp_path)


def test_a_miniature_is_right_but_for_its_count(name, made, capsys):
    assert run(name, made, '--subset') == 0
    assert '2 images and 2 masks are right' in capsys.readouterr().out
    assert run(name, made) == 1
    assert re.search(r'there are 2 images and .* has \d+', capsys.readouterr().err)


def test_an_image_without_a_mask(name, made, capsys):
    for path in made.rglob('*.png'):
        if 'mask' not in path.name and 'leftImg8bit' not in path.name:
            path.unlink()
    assert run(name, made, '--subset') == 1
    assert re.search(r'2 of 2 listed masks do not exist: .*; (make|take) .*', capsys.readouterr().err)


def test_a_config_without_data_is_told_so(tmp_path, capsys):
    path = tmp_path / 'model_alone.py'
    path.write_text("model = dict(type='CLIPSurgerySegmentor')\n")
    assert main([str(path)]) == 1
    assert 'has no test_dataloader: it is not a config of a test run' in capsys.readouterr().err
    with_split = ['--config', str(path), '--split', 'x.txt']
    assert calibrate.main(with_split) == 1
    assert 'has no test_dataloader: it is not a config of a test run' in capsys.readouterr().err
    assert faithfulness.main(['--config', str(path)]) == 1
    assert 'has no test_dataloader: it is not a config of a test run' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('name', 'masks', 'labels', 'message'),
    [
        pytest.param(
            *('coco_stuff164k', 'annotations/val2017/*_labelTrainIds.png', (0, 89, 181, 255)),
            r"holds label 181 .*look like COCO-Stuff's label ids, not train ids; make them with .*convert coco",
            id='COCO-Stuff label ids',
        ),
        pytest.param(
            *('coco_object', 'annotations/val2017/*_instanceTrainIds.png', (0, 80, 170, 255)),
            r"holds label 170 .*COCO-Stuff's train ids; .*convert coco",
            id='COCO-Object with train ids',
        ),
        pytest.param(
            *('coco_object', 'annotations/val2017/*_instanceTrainIds.png', (0, 80, 255)),
            r'holds label 255 \(81 classes are 0\.\.80, none is ignored\): .*unlabelled pixels are 255 instead of 0.*'
            r'convert again: delete \*_instanceTrainIds\.png and make them with .*convert coco',
            id='COCO-Object made before',
        ),
        pytest.param(
            *('cityscapes', 'gtFine/val/*/*_labelTrainIds.png', (7, 11, 33)),
            r'holds label 33 .*label ids, not train ids; .*convert cityscapes',
            id='Cityscapes label ids',
        ),
        pytest.param(
            *('context60', 'SegmentationClassContext/*.png', (1, 59, 459)),
            r'holds label 459 .*all 459 classes of PASCAL Context; .*convert context',
            id='Context with all classes',
        ),
        pytest.param(
            *('context459', 'SegmentationClassContext459/*.png', (1, 459)),
            r'holds label 459 .*classes counted from 1; .*convert context',
            id='Context-459 counted from 1',
        ),
        pytest.param(
            *('ade20k_847', 'annotations_847/validation/*.png', (312, 3148)),
            r'holds label 3148 .*object numbers of the full ADE20K; .*convert ade20k-847',
            id='ADE20K-847 object numbers',
        ),
        pytest.param(
            *('ade20k', 'annotations/validation/*.png', (0, 149, 255)),
            r'no mask of ADE20K validation holds label 150.*counted from 0 already.*reduce_zero_label=False',
            id='ADE20K moved down',
        ),
        pytest.param(
            *('voc21', 'SegmentationClass/*.png', (0, 21)),
            r'holds label 21 \(21 classes are 0\.\.20.*another encoding or of another data set',
            id='nothing known',
        ),
    ],
)
def test_another_encoding_is_named(tmp_path, capsys, name, masks, labels, message):
    root = mini_datasets.make(name, tmp_path)
    remask(root, masks, *labels)
    assert run(name, root, '--subset') == 1
    assert re.search(message, capsys.readouterr().err)


def test_colours_are_no_labels(tmp_path, capsys):
    root = mini_datasets.make('voc21', tmp_path)
    mini_datasets.photo(root / 'SegmentationClass/2007_000033.png', mini_datasets.SIZES[0])
    assert run('voc21', root, '--subset') == 1
    assert 'has 3 channels and a mask has one: colours are no labels' in capsys.readouterr().err


def test_several_data_sets_at_once(tmp_path, capsys):
    root = mini_datasets.make('voc21', tmp_path)
    assert main(['voc', 'voc20', 'cityscapes', '--data-root', str(root), '--subset']) == 1
    printed = capsys.readouterr()
    assert [line.split(':')[0] for line in printed.out.splitlines()] == ['voc', 'voc20']
    assert printed.err.startswith('cityscapes: ')


def test_what_is_known_fits_the_data_sets(name):
    kind = Config.fromfile(
        shipped_config(f'clipsurgery_{entry("data_sets", name)["config"]}')
    ).test_dataloader.dataset.type
    known = encodings.KNOWN[kind]
    classes = len(DATASETS.get(kind).METAINFO['classes'])
    assert known.last in (classes - 1, classes)  # with reduce_zero_label the last class is k
    for other in known.mistaken:
        assert encodings.mistaken_for(kind, other.labels) is not None or other.labels < encodings.own(kind)


@pytest.mark.parametrize(
    ('kind', 'found', 'images', 'suspected'),
    [
        pytest.param('PascalVOC20Dataset', (0, 19, 255), 1449, True, id='complete, last class missing'),
        pytest.param('PascalVOC20Dataset', (0, 19, 255), 100, False, id='a part may lack a class'),
        pytest.param('PascalVOC20Dataset', (0, 20, 255), 1449, False, id='complete'),
        pytest.param('ADE20KDataset', (0, 149), 10, False, id='no sign'),
        pytest.param('ADE20KDataset', (0, 149, 255), 10, True, id='ignored by 255'),
        pytest.param('COCOObjectDataset', (0, 79), 5000, True, id='things from 0'),
        pytest.param('Unknown', (0, 1), 5, False, id='unknown data set'),
    ],
)
def test_signs_of_another_encoding(kind, found, images, suspected):
    assert (encodings.suspected(kind, frozenset(found), images) is not None) is suspected


@pytest.mark.parametrize(
    ('name', 'masks', 'labels', 'note'),
    [
        pytest.param(*('voc21', '', ()), 'there are 2 images and PASCAL VOC 2012 val has 1449', id='count'),
        pytest.param(
            *('ade20k', 'annotations/validation/*.png', (0, 149, 255)),
            'these look like classes counted from 0 already',
            id='encoding',
        ),
    ],
)
def test_the_preflight_notes_what_the_check_refuses(tmp_path, name, masks, labels, note):
    root = mini_datasets.make(name, tmp_path)
    if masks:
        remask(root, masks, *labels)
    cfg = Config.fromfile(shipped_config(f'clipsurgery_{entry("data_sets", name)["config"]}'))
    cfg.test_dataloader.dataset.data_root = str(root)
    lines = []
    lines += judge([preflight.check(cfg, report=lines.append)])
    assert any(note in line for line in lines)


def binary_config(root, *labels: int, **settings) -> Config:
    """Two classes of a data set of one's own, its masks with these labels; more settings of the data set."""
    for number in range(6):
        mini_datasets.photo(root / f'images/{number}.png', (20, 24))
        mini_datasets.mask(root / f'masks/{number}.png', mini_datasets.labels((20, 24), *labels))
    cfg = Config.fromfile(shipped_config('clipsurgery_voc'))
    cfg.model.text_encoder.vocabulary = ['background', 'polyp']
    cfg.model.test_cfg.update(prob_thd=None, area_thd=None)
    cfg.test_dataloader.dataset = dict(
        type='BaseSegDataset',
        metainfo=dict(classes=('background', 'polyp')),
        data_root=str(root),
        data_prefix=dict(img_path='images', seg_map_path='masks'),
        img_suffix='.png',
        pipeline=[],
        **settings,
    )
    return cfg


@pytest.mark.parametrize(
    ('labels', 'noted'),
    [
        pytest.param((0, 255), True, id='0 and 255'),
        pytest.param((0, 1), False, id='0 and 1'),
        pytest.param((0, 1, 255), False, id='with a border'),
        pytest.param((0,), False, id='background alone'),
    ],
)
def test_a_class_that_never_occurs_while_255_does_is_named(tmp_path, labels, noted):
    lines = judge([preflight.check(binary_config(tmp_path, *labels))])
    note = (
        "no mask of BaseSegDataset holds 'polyp' (label 1), while label 255, which is ignored, occurs: write"
    )
    assert any(note in line for line in lines) is noted


@pytest.mark.parametrize(
    ('labels', 'reduced'),
    [((255,), False), ((0,), True), ((0, 255), True)],
    ids=['255 alone', '0 alone, reduced', '0 and 255, reduced'],
)
def test_masks_whose_every_pixel_is_ignored_are_refused(tmp_path, labels, reduced):
    cfg = binary_config(tmp_path, *labels, reduce_zero_label=reduced)
    with pytest.raises(
        ValueError, match=rf'every pixel .* is ignored: they hold \[{", ".join(map(str, labels))}\] alone'
    ):
        judge([preflight.check(cfg)])


def test_a_class_that_never_occurs_while_a_reduced_0_does_is_named(tmp_path):
    cfg = binary_config(tmp_path, 0, 1, reduce_zero_label=True)
    (note,) = judge([preflight.check(cfg)])
    assert (
        "no mask of BaseSegDataset holds 'polyp' (label 2), while label 0, which is ignored, occurs" in note
    )


def test_the_shares_of_several_processes_are_judged_together(tmp_path):
    """Each process sees masks of one label, all of them of both."""
    cfg = binary_config(tmp_path, 0, 255)
    for number in range(6):
        mini_datasets.mask(tmp_path / f'masks/{number}.png', np.full((20, 24), 255 * (number % 2), np.uint8))
    shares = [preflight.check(cfg, rank, 2) for rank in range(2)]
    assert "holds 'polyp' (label 1), while label 255" in ' '.join(judge(shares))


def test_an_image_that_is_listed_twice_is_refused(tmp_path):
    cfg = binary_config(tmp_path, 0, 1)
    (tmp_path / 'list.txt').write_text('0\n1\n0\n')
    cfg.test_dataloader.dataset.ann_file = 'list.txt'
    with pytest.raises(
        ValueError, match=r'1 of 2 images are listed more than once: .*0\.png; list each once'
    ):
        preflight.check(cfg)


def test_the_check_refuses_masks_of_0_and_255(tmp_path):
    with pytest.raises(
        ValueError, match=r"no mask of BaseSegDataset holds 'polyp' \(label 1\), while label 255"
    ):
        audit(binary_config(tmp_path, 0, 255))


def test_voc_masks_of_0_and_255_are_noted_and_a_part_of_voc_is_not(tmp_path, capsys):
    root = mini_datasets.make('voc21', tmp_path)
    assert run('voc21', root, '--subset') == 0
    remask(root, 'SegmentationClass/*.png', 0, 255)
    assert run('voc21', root, '--subset') == 1
    assert re.search(
        r"holds 'aeroplane' \(label 1\) nor 'bicycle' \(label 2\) nor 'bird' \(label 3\) nor 17 more classes, while",
        capsys.readouterr().err,
    )
