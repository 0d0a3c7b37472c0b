"""Our figures beside published ones, and those that are of a part of a data set."""

from mmseg_clipsurgery.leaderboard import tables
from mmseg_clipsurgery.leaderboard.cells import Cell
from mmseg_clipsurgery.leaderboard.completeness import figure_note, images_note
from mmseg_clipsurgery.leaderboard.published import published_rows, verdict
from mmseg_clipsurgery.leaderboard.suites import figure_line

import pytest

pytestmark = pytest.mark.mmseg


def result(
    method='sclip', protocol='sclip', mIoU=59.7, images=1449, data_set='voc21', backbone='', **stated
) -> dict:
    return {
        'cell': dict(method=method, data_set=data_set, protocol=protocol, backbone=backbone),
        'metrics': {'mIoU': mIoU},
        'protocol': {'dataset': 'PascalVOCDataset', 'images': images, **stated},
    }


@pytest.mark.parametrize(
    ('given', 'said'),
    [
        (result(mIoU=59.7), '+0.07, agrees'),
        (result(mIoU=59.98), '+0.35, agrees'),
        (result(mIoU=59.99), '+0.36, differs'),  # a third party was within 0.35
        (result('naclip', 'naclip_plain', 58.4), '-0.50, agrees'),
        (result('naclip', 'naclip_plain', 58.39), '-0.51, differs'),
        (result('naclip', 'naclip', 58.4), '-5.67, differs'),  # with PAMR
        (result('clip_surgery', 'sclip'), 'None'),  # published for orientation only
        (result('gem', 'gem'), 'None'),  # nothing published by this protocol
        (result(backbone='ViT-L-14:openai'), 'None'),
        (result(images=100), 'None'),
    ],
)
def test_verdict(given, said):
    (row,) = tables.own_rows([given])
    assert str(verdict(row, 'voc21')) == said
    shown = tables.figure(row, 'voc21')
    if said != 'None':
        assert shown == f'{given["metrics"]["mIoU"]:.2f} ({said})'
        difference, word = said.split(', ')
        assert tables.verdict_columns(row, 'voc21')[1:] == [difference, word]


@pytest.mark.parametrize(
    ('stated', 'note'),
    [
        (dict(dataset='PascalVOCDataset', images=1449), None),
        (dict(dataset='PascalVOCDataset', images=100), '100 of 1449 images'),
        (dict(dataset='PascalVOCDataset', images=2913), '2913 images in place of 1449'),
        (dict(dataset='PascalContextDataset', images=5105), None),
        (dict(dataset='PascalContextDataset', images=5103), '5103 of 5104 images'),
        (dict(dataset='ScenesDataset', images=200, split='ImageSets/Segmentation/val.txt'), None),
        (
            dict(dataset='ScenesDataset', images=2, split='ImageSets/Segmentation/heldout.txt'),
            '2 of 100 images',
        ),
        (dict(dataset='MyDataset', images=2), None),
        ({}, None),
    ],
)
def test_images_note(stated, note):
    assert images_note({'protocol': stated}) == note


def test_calibrated_figures_are_marked():
    calibrated = {'protocol': {'calibrated on': '10 images of dev.txt'}}
    assert figure_note(calibrated) == 'calibrated on 10 images of dev.txt'
    few = {'dataset': 'ScenesDataset', 'split': 'ImageSets/Segmentation/val.txt', 'images': 5}
    assert figure_note({'protocol': few}) == '5 of 200 images'
    both = figure_note({'protocol': {**few, **calibrated['protocol']}})
    assert both == '5 of 200 images; calibrated on 10 images of dev.txt'


def test_a_part_of_the_images_is_marked_in_every_table():
    part = result(images=100)
    scenes = result('clip', 'scenes', data_set='scenes', images=3, dataset='ScenesDataset', split='x/val.txt')
    assert '| 59.70 (100 of 1449 images) |' in tables.leaderboard_table([part])
    assert '59.70,100 of 1449 images,,,\n' in tables.csv_table([part])
    assert '| CLIP | 59.70 (3 of 200 images) |' in tables.scenes_table([scenes])
    assert tables.panels([part])['VOC21']['SCLIP (100 of 1449 images)'] == (59.7, 59.63)
    assert '59.70,,59.63,+0.07,agrees\n' in tables.csv_table([result()])


def test_line_of_a_cell():
    cell = Cell('sclip', 'voc21', 'sclip')
    assert figure_line(cell, result()) == (
        'mIoU 59.70, published 59.63 by: SCLIP repository README; four cells re-run by a third party within 0.35: '
        '+0.07, agrees (within 0.35)'
    )
    assert figure_line(cell, result(images=100)) == 'mIoU 59.70 (100 of 1449 images)'
    assert figure_line(Cell('gem', 'voc21', 'gem'), result('gem', 'gem')) == 'mIoU 59.70'


def test_one_published_row_for_a_figure():
    seen = [
        (row.method, row.protocol, row.backbone, name)
        for row in published_rows()
        if row.protocol
        for name in row.mIoU
    ]
    assert len(set(seen)) == len(seen)
