"""Our figures beside published ones, and those that are of a part of a data set."""

from mmseg_clipsurgery.leaderboard import tables
from mmseg_clipsurgery.leaderboard.cells import Cell
from mmseg_clipsurgery.leaderboard.completeness import figure_note, images_note
from mmseg_clipsurgery.leaderboard.published import published_rows, verdict
from mmseg_clipsurgery.leaderboard.suites import figure_line
from mmseg_clipsurgery.vocabulary import resource_names

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
            '2 of 200 images',
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
    assert 'voc21,,59.70,100 of 1449 images,,,\n' in tables.csv_table([part])
    assert '| CLIP | 59.70 (3 of 200 images) |' in tables.scenes_table([scenes])
    assert tables.panels([part])['VOC21']['SCLIP (100 of 1449 images)'] == (59.7, 59.63)
    assert '59.70,,59.63,+0.07,agrees\n' in tables.csv_table([result()])


def test_words_stand_beside_the_figures():
    found = [
        result(words='voc21'),
        result('sclip', 'sclip_names', words='voc21_names'),
        result('clip', words='voc21'),
        result('gem'),  # an older result, which does not say
        result('maskclip', words='21 given in the config'),
    ]
    text = tables.leaderboard_table(found)
    assert (
        'Words, by the names of the shipped vocabularies: '
        'VOC21 `voc21` (CLIP of ours, SCLIP of ours), `voc21_names` (SCLIP of ours); '
        'ADE20K-847 `ade20k_847_proxyclip` (CorrCLIP, CorrCLIPv2); Context459 `context459` (CorrCLIP, CorrCLIPv2).\n'
    ) in text
    assert '| SCLIP | this project | ' in text
    assert '| SCLIP | this project (sclip_names) | ' in text
    lines = tables.csv_table(found).splitlines()
    assert [line.split(',')[7:9] for line in lines[1:6]] == [
        ['voc21', 'voc21'],
        ['voc21', 'voc21_names'],
        ['voc21', 'voc21'],
        ['voc21', ''],
        ['voc21', '21 given in the config'],
    ]


def test_words_of_published_figures_are_shipped():
    stated = [row for row in published_rows() if row.words]
    assert {row.method for row in stated} == {'corrclip', 'corrclip_v2'}
    for row in stated:
        assert set(row.words) <= set(row.mIoU)
        assert set(row.words.values()) <= set(resource_names('vocabularies'))


@pytest.mark.parametrize(
    ('method', 'protocol', 'mean'),
    [
        ('SC-CLIP', 'scclip', '43.9'),  # the papers' own means
        ('SFP', 'sfp', '43.8'),
        ('ResCLIP', 'resclip', '41.4'),
        ('RF-CLIP', 'rfclip', '44.2'),
        ('RF-CLIP', 'rfclip_pamr', '45.5'),
        ('ProxyCLIP', 'proxyclip', '42.3'),
    ],
)
def test_means_of_published_figures(method, protocol, mean):
    (line,) = [
        line for line in tables.methods_table().splitlines() if line.startswith(f'| {method} | `{protocol}` ')
    ]
    assert line.endswith(f' | {mean} |')


PUBLIC_TABLES = {
    ('corrclip_v2', 'MetaCLIP ViT-B/16'): (82.2, 93.6, 50.8, 56.3, 54.6, 38.5, 33.2, 58.7, 11.7, 16.8),
    ('corrclip', 'MetaCLIP ViT-B/16'): (75.8, 89.9, 45.9, 50.8, 45.4, 32.6, 28.6, 53.7, 10.5, 11.8),
    ('sfp', 'ViT-B/16'): (62.9, 84.5, 37.2, 39.9, 37.9, 26.4, 20.8, 41.1),
    ('dih_clip', 'ViT-B/16'): (64.2, 84.9, 36.0, 39.7, 37.4, 26.7, 19.6, 40.2),
    ('resclip_clearclip', 'ViT-B/16'): (59.0, 87.1, 32.9, 36.4, 34.0, 24.3, 17.8, 34.5),
    ('resclip_sclip', 'ViT-B/16'): (60.7, 84.6, 32.9, 35.8, 34.3, 23.9, 17.6, 34.4),
}


@pytest.mark.parametrize(
    ('row', 'figures'), PUBLIC_TABLES.items(), ids=[method for method, _ in PUBLIC_TABLES]
)
def test_published_figures_are_those_of_the_public_tables(row, figures):
    order = (
        'voc21 voc20 context60 context59 coco_object coco_stuff164k ade20k cityscapes ade20k_847 context459'
    )
    (found,) = [given for given in published_rows() if (given.method, given.backbone) == row]
    assert dict(found.mIoU) == dict(zip(order.split(), figures, strict=False))
    assert found.source


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
