"""Protocols as data: the facts they carry, how they combine, and configs that differ in a line."""

import ast
import json
import os
import re
from pathlib import Path

from mmseg_clipsurgery.compatibility import check_feedback, reads_guide
from mmseg_clipsurgery.inference.settings import InferenceSettings
from mmseg_clipsurgery.leaderboard.published import published_data_sets, published_rows
from mmseg_clipsurgery.protocols.settings import (
    OWN_DATA_SETS,
    entry,
    method_settings,
    protocol_of,
    protocol_settings,
    settings,
    table,
    usual_methods,
    words,
)
from mmseg_clipsurgery.resources import config
from mmseg_clipsurgery.surgery import SURGERIES, Surgery
from mmseg_clipsurgery.vocabulary import Vocabulary, read_templates

import pytest
from mmengine.config import Config
from mmseg.registry import MODELS

pytestmark = pytest.mark.mmseg

METHODS, DATA_SETS, PROTOCOLS = (list(table()[kind]) for kind in ('methods', 'data_sets', 'protocols'))
PUBLIC = ['voc21', 'context60', 'coco_object', 'voc20', 'cityscapes', 'context59', 'ade20k', 'coco_stuff164k']


def shared(name: str) -> dict:
    here = Path(__file__).resolve().parents[2]
    path = Path(os.environ.get('MMSEG_CLIPSURGERY_SHARED', here.parent / 'shared')) / 'facts' / name
    if not path.is_file():
        pytest.skip('no shared facts here')
    return json.loads(path.read_text())


def stated(method: str, data_set: str) -> tuple:
    """What decides labels: resize, windows, scale, thresholds, padding, PAMR, words."""
    found = settings(method, data_set)
    cfg, resize = found['model']['test_cfg'], found['test_pipeline'][1]
    crop, stride = (pair and pair[0] for pair in (cfg['crop_size'], cfg['stride']))
    return (
        *(
            resize['scale'][1],
            cfg['mode'],
            crop,
            stride,
            cfg['logit_scale'],
            cfg['prob_thd'],
            cfg['area_thd'],
        ),
        *(cfg['pad_windows'], 'pamr' in cfg, found['model']['text_encoder']['vocabulary']),
    )


@pytest.mark.parametrize(
    ('method', 'data_set', 'expected'),
    [
        ('clip_surgery', 'voc21', (336, 'slide', 224, 112, 65, 0.1, 0.1, False, False, 'voc21')),
        ('sclip', 'context60', (336, 'slide', 224, 112, 50, 0.1, None, False, False, 'context60')),
        ('gem', 'coco_object', (336, 'slide', 224, 112, 50, 0.1, None, False, False, 'coco_object')),
        ('clip', 'coco_stuff164k', (448, 'slide', 224, 112, 40, None, None, False, False, 'coco_stuff164k')),
        ('maskclip', 'cityscapes', (560, 'slide', 224, 112, 40, None, None, False, False, 'cityscapes')),
        ('naclip', 'voc21', (336, 'whole', None, None, 40, 0.1, None, False, True, 'voc21')),
        ('naclip', 'voc20', (336, 'whole', None, None, 40, None, None, False, True, 'voc20')),
        ('naclip', 'coco_stuff164k', (336, 'slide', 224, 112, 40, None, None, False, True, 'coco_stuff164k')),
        ('clearclip', 'voc21', (448, 'slide', 448, 224, 50, 0.5, None, True, False, 'voc21_plain')),
        (
            'clearclip',
            'coco_object',
            (448, 'slide', 448, 224, 50, 0.4, None, True, False, 'coco_object_names'),
        ),
        ('clearclip', 'cityscapes', (448, 'slide', 224, 224, 50, None, None, True, False, 'cityscapes')),
        ('scclip', 'voc21', (336, 'slide', 224, 112, 50, 0.15, 0.1, False, False, 'voc21')),
        ('scclip', 'coco_object', (336, 'slide', 224, 112, 55, 0.35, None, False, False, 'coco_object')),
        ('sfp', 'voc21', (336, 'slide', 224, 112, 50, 0.15, 0.1, False, False, 'voc21_people')),
        ('sfp', 'ade20k', (384, 'slide', 224, 112, 40, None, None, False, False, 'ade20k')),
        ('sfp', 'cityscapes', (560, 'slide', 224, 112, 40, None, None, False, False, 'cityscapes_people')),
        ('resclip', 'voc20', (336, 'whole', None, None, 40, None, None, False, False, 'voc20')),
        ('resclip', 'context60', (336, 'slide', 224, 112, 40, 0.1, None, False, False, 'context60')),
        ('rfclip', 'voc21', (336, 'whole', None, None, 40, 0.1, None, False, False, 'voc21')),
        ('rfclip', 'voc20', (336, 'slide', 224, 112, 40, None, None, False, False, 'voc20')),
        ('proxyclip', 'voc21', (336, 'slide', 336, 112, 40, 0.2, None, 56, False, 'voc21_proxyclip')),
        (
            'proxyclip',
            'ade20k_847',
            (448, 'slide', 336, 112, 40, None, None, 56, False, 'ade20k_847_proxyclip'),
        ),
        ('proxyclip', 'cityscapes', (448, 'slide', 224, 112, 40, None, None, 56, False, 'cityscapes')),
        ('proxyclip', 'ade20k', (448, 'slide', 336, 112, 40, None, None, 56, False, 'ade20k')),
    ],
)
def test_settings_of_methods(method, data_set, expected):
    assert stated(method, data_set) == expected


def test_pamr_is_that_of_the_protocol():
    cfg = settings('naclip', 'ade20k')['model']['test_cfg']
    assert cfg['pamr'] == dict(iterations=10, dilations=(8, 16))
    assert 'pamr' not in settings('naclip', 'ade20k', 'naclip_plain')['model']['test_cfg']


@pytest.mark.parametrize(
    ('protocol', 'size', 'templates', 'vocabulary'),
    [('clip_surgery_paper', 512, 85, 'voc21_names'), ('gem', 448, 1, 'voc21_names')],
)
def test_protocols_of_papers(protocol, size, templates, vocabulary):
    found = settings('clip_surgery', 'voc21', protocol)
    resize = dict(scale=(size, size), keep_ratio=False, interpolation='bicubic', backend='pillow')
    assert found['test_pipeline'][1] == dict(type='Resize', **resize)
    text = found['model']['text_encoder']
    assert (text['vocabulary'], len(read_templates(text['templates']))) == (vocabulary, templates)
    test_cfg = found['model']['test_cfg']
    assert (test_cfg['mode'], test_cfg['prob_thd'], test_cfg['area_thd']) == ('whole', None, None)


def test_literal_names_where_no_list_of_them_is_shipped():
    found = settings('gem', 'cityscapes', 'gem')['model']['text_encoder']['vocabulary']
    assert found == list(Vocabulary.read('cityscapes').classes)
    assert 'traffic light' in found


@pytest.mark.parametrize(
    ('kind', 'expected'), [('names', ['sofa', 'cat']), ('proxyclip', [['sofa', 'couch'], 'cat'])]
)
def test_own_data_sets_have_words_of_every_kind(monkeypatch, kind, expected):
    given = dict(title='Mine', config='mine.py', words=dict(leaderboard=[['sofa', 'couch'], 'cat']))
    monkeypatch.setitem(OWN_DATA_SETS, 'mine', given)
    assert words('mine', kind) == expected


@pytest.mark.parametrize('method', ['sclip', 'naclip', 'clearclip'])
@pytest.mark.parametrize('data_set', PUBLIC)
def test_settings_are_the_shared_facts(method, data_set):
    facts = shared('protocols.json')['methods'][method]
    expected = {**facts['default'], **facts.get(data_set, {})}
    found = protocol_settings(method, data_set)
    assert found['resize'] == {'short_side': expected['S']}
    whole = expected.get('mode') == 'whole'
    assert found['mode'] == ('whole' if whole else 'slide')
    for key in ('crop', 'stride', 'logit_scale', 'prob_thd', 'area_thd'):
        assert found.get(key) == expected.get(key), key
    assert (found.get('pamr') is not None) is expected.get('pamr', False)
    assert found.get('pad_windows', False) is ('window_padding' in expected)


def plain(name: str) -> str:
    """A name without hyphens, which names of methods here do not have."""
    return name.replace('-', '').replace('_', '')


def test_published_figures_are_the_shared_facts():
    facts = shared('published.json')
    sources = {fact['source'] for fact in facts['rows']}
    rows = [row for row in published_rows() if row.source in sources]
    for row, fact in zip(rows, facts['rows'], strict=True):
        assert row.mIoU == {name: fact[name] for name in facts['order'] if fact[name] is not None}
        assert (plain(row.method), row.source) == (plain(fact['method']), fact['source'])
        assert (row.other_models or 'none', row.post_processing or 'none') == (
            *(fact['extra_models'], fact['post_processing']),
        )


def test_published_rows_name_what_is_there():
    for row in published_rows():
        assert row.protocol is None or row.protocol in PROTOCOLS
        assert (row.protocol is None) is (row.method not in METHODS)
        assert set(row.mIoU) <= set(published_data_sets())


def test_methods_are_the_surgeries():
    rows = {name: entry('methods', name)['surgery'] for name in METHODS}
    assert set(rows.values()) == set(SURGERIES)
    assert {name for name, row in rows.items() if name != row} == {'resclip_clearclip', 'resclip_sclip'}


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('data_set', DATA_SETS)
def test_what_is_a_methods_own_is_legal(method, data_set):
    own = method_settings(method, data_set)
    surgery = Surgery.read(own['surgery'])
    assert set(own) <= {'surgery', 'test_cfg', 'decode_head', 'guide'}
    assert ('guide' in own) is reads_guide(surgery)
    MODELS.build(dict(type='SurgeryHead', **own.get('decode_head', {})))
    feedback = own.get('test_cfg', {}).get('feedback')
    check_feedback(feedback, surgery)
    InferenceSettings.read(dict(feedback=feedback), patch=16)


@pytest.mark.parametrize(
    ('data_set', 'cross', 'feedback'),
    [
        ('voc21', (2.0, 0.3), (2.2, 0.7, 0.5)),
        ('context60', (2.0, 0.3), (1.8, 0.7, 0.3)),
        ('coco_object', (2.0, 0.4), (1.8, 0.7, 0.11)),
        ('voc20', (2.0, 0.6), (2.1, 0.6, 0.1)),
        ('context59', (2.0, 0.4), (1.8, 0.7, 0.25)),
        ('coco_stuff164k', (2.0, 0.4), (1.8, 0.7, 0.11)),
        ('cityscapes', (2.0, 0.2), (2.1, 0.6, 0.1)),
        ('ade20k', (2.0, 0.3), (2.1, 0.7, 0.25)),
    ],
)
@pytest.mark.parametrize(
    ('method', 'affinity', 'residual'),
    [
        ('resclip', 'kk+gauss&cross', False),
        ('resclip_clearclip', 'qq&cross', False),
        ('resclip_sclip', 'qq+kk&cross', True),
    ],
)
def test_resclip_on_its_bases(method, affinity, residual, data_set, cross, feedback):
    model = settings(method, data_set)['model']
    row = Surgery.read(model['backbone']['surgery'])
    assert (row.affinity, row.residual, row.ffn, row.constants['cross']) == (
        affinity,
        residual,
        residual,
        cross,
    )
    assert tuple(model['test_cfg']['feedback'].values()) == feedback


@pytest.mark.parametrize(
    ('data_set', 'share', 'shift', 'height', 'view'),
    [
        ('voc21', 0.1, 0.03, 0.1, 'window'),
        ('context60', 0.25, 0.04, 0.09, 'image'),
        ('coco_object', 0.25, 0.01, 0.1, 'image'),
        ('voc20', 0.4, 0.02, 0.1, 'image'),
        ('context59', 0.25, 0.04, 0.09, 'image'),
        ('coco_stuff164k', 0.2, 0.02, 0.02, 'image'),
        ('cityscapes', 0.1, 0.03, 0.14, 'window'),
        ('ade20k', 0.3, 0.05, 0.06, 'image'),
    ],
)
def test_text_side_of_rfclip(data_set, share, shift, height, view):
    head = settings('rfclip', data_set)['model']['decode_head']
    assert (head['global_share'], head['prompt_shift']) == (share, dict(share=shift, height=height))
    assert head.get('global_view', 'image') == view


def test_people_stand_where_sfp_asks_for_them():
    for data_set in ('voc21', 'voc20', 'cityscapes'):
        mine, usual = (Vocabulary.read(words(data_set, kind)) for kind in ('people', 'leaderboard'))
        assert mine.classes == usual.classes
        differing = [pair for pair in zip(mine.queries, usual.queries, strict=True) if pair[0] != pair[1]]
        assert differing == [('people', 'person')]
    assert settings('sfp', 'ade20k')['model']['text_encoder']['vocabulary'] == 'ade20k'


@pytest.mark.parametrize(
    ('protocol', 'data_set', 'expected'),
    [
        ('sclip', 'context459', 'context459'),
        ('sclip_names', 'context459', 'context459_names'),
        ('sclip_names', 'voc21', 'voc21_names'),
        ('sclip', 'ade20k_847', 'ade20k_847'),
        ('sclip_synonyms', 'ade20k_847', 'ade20k_847_synonyms'),
        ('sclip_synonyms', 'voc21', 'voc21'),
        ('sclip_proxyclip_words', 'ade20k_847', 'ade20k_847_proxyclip'),
        ('sclip_proxyclip_words', 'coco_object', 'coco_object_proxyclip'),
        ('sclip_proxyclip_words', 'voc20', 'voc20_plain'),
        ('sclip_proxyclip_words', 'context459', 'context459'),
    ],
)
def test_protocols_differ_in_words_alone(protocol, data_set, expected):
    found, usual = (protocol_settings(name, data_set) for name in (protocol, 'sclip'))
    assert words(data_set, found.pop('words')) == expected
    assert found.items() <= usual.items()


@pytest.mark.parametrize('protocol', PROTOCOLS)
@pytest.mark.parametrize('data_set', DATA_SETS)
def test_every_combination_is_legal(data_set, protocol):
    from mmseg_clipsurgery.inference.settings import InferenceSettings, check_thresholds

    found = settings('clip', data_set, protocol)['model']
    vocabulary = Vocabulary.read(found['text_encoder']['vocabulary'])
    assert read_templates(found['text_encoder']['templates'])
    check_thresholds(InferenceSettings.read(found['test_cfg'], patch=16), vocabulary)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('clip', 'voc12'), r"unknown data set 'voc12'; take one of: voc21, "),
        (('clips', 'voc21'), r"unknown method 'clips'; take one of: clip, "),
        (('clip', 'voc21', 'mine'), r"unknown protocol 'mine'; take one of: sclip, "),
    ],
)
def test_unknown_names(arguments, message):
    with pytest.raises(ValueError, match=message):
        settings(*arguments)


def test_a_data_sets_own_protocol_wins():
    assert protocol_of('naclip', 'voc21') == 'naclip'
    assert {protocol_of(method, 'scenes') for method in METHODS} == {'scenes'}


@pytest.mark.parametrize(
    ('method', 'data_set', 'protocol'),
    [
        ('naclip', 'voc21', None),
        ('clearclip', 'coco_object', None),
        ('gem', 'ade20k', 'gem'),
        ('resclip', 'voc21', None),
        ('rfclip', 'ade20k', 'rfclip_pamr'),
        ('proxyclip', 'voc20', None),
    ],
)
def test_another_method_and_protocol_are_one_line(tmp_path, method, data_set, protocol):
    base = config(f'clipsurgery_{entry("data_sets", data_set)["config"]}')
    (tmp_path / 'mine.py').write_text(
        f'_base_ = {base!r}\n'
        'from mmseg_clipsurgery.protocols.settings import settings\n'
        f'globals().update(settings({method!r}, {data_set!r}, {protocol!r}))\n'
    )
    from mmseg_clipsurgery.leaderboard.cells import Cell, run_config

    mine = Config.fromfile(tmp_path / 'mine.py')
    expected = run_config(Cell(method, data_set, protocol or protocol_of(method, data_set)))
    assert mine.to_dict() == expected.to_dict()
    assert mine.model.backbone.surgery == method_settings(method, data_set)['surgery']


@pytest.mark.parametrize('data_set', DATA_SETS)
def test_shipped_configs_are_cells(data_set):
    from mmseg_clipsurgery.leaderboard.cells import Cell, run_config

    if data_set == 'scenes_heldout':
        pytest.skip('the config of scenes with another split')
    shipped = Config.fromfile(config(f'clipsurgery_{entry("data_sets", data_set)["config"]}'))
    assert (
        shipped.to_dict()
        == run_config(Cell('clip_surgery', data_set, protocol_of('clip_surgery', data_set))).to_dict()
    )


@pytest.mark.parametrize('data_set', PUBLIC)
def test_figures_in_config_headers_are_the_published_ones(data_set):
    text = Path(config(f'clipsurgery_{entry("data_sets", data_set)["config"]}')).read_text()
    header = ast.get_docstring(ast.parse(text)).split('Expected mIoU')[1]
    stated = {float(value) for value in re.findall(r'^ +(\d+\.\d+) ', header, re.MULTILINE)}
    published = {
        row.mIoU[data_set]
        for row in published_rows()
        if row.method == 'clip_surgery' and data_set in row.mIoU
    }
    # The paper does not say which PASCAL Context its figure is of.
    unsaid = {29.3} if data_set == 'context59' else set()
    assert stated == published | unsaid


@pytest.mark.parametrize(
    ('data_set', 'backbone', 'every'),
    [('voc21', '', True), ('scenes', '', False), ('scenes', 'ViT-B-16:openai', True)],
)
def test_methods_where_none_is_named(data_set, backbone, every):
    found = usual_methods(data_set, backbone)
    assert found == (METHODS if every else [name for name in METHODS if name != 'proxyclip'])
