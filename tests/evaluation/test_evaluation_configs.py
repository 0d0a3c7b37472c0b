"""Reading configs: names of surgeries and archs as dicts that fields merge into."""

import inspect
import sys

import mini_voc
from cases import slow_but
from mmseg_clipsurgery.evaluation.configs import parse_options, read_config
from mmseg_clipsurgery.evaluation.fitting import fits
from mmseg_clipsurgery.surgery import SURGERIES, Surgery

import pytest

pytestmark = pytest.mark.mmseg


def surgery_of(cfg) -> Surgery:
    return Surgery.read(cfg.model.backbone.surgery)


def test_names_become_dicts_and_stay_the_same():
    cfg = read_config(mini_voc.config('root', model__backbone__surgery='sclip'))
    assert cfg.model.backbone.surgery == dict(name='sclip')
    assert cfg.model.backbone.arch == dict(name='ViT-B-16')
    assert surgery_of(cfg) == SURGERIES['sclip']


def test_another_models_arch_is_left_alone():
    cfg = mini_voc.config('root', model=dict(type='EncoderDecoder', backbone=dict(type='ViT', arch='b')))
    assert read_config(cfg).model.backbone.arch == 'b'


@pytest.mark.parametrize('given', ['clipsurgery_voc', 'object with a string'])
@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        ({'model.backbone.surgery.last_blocks': 3}, Surgery(3, 'vv', position='bilinear')),
        ({'model.backbone.surgery': 'sclip'}, SURGERIES['sclip']),
        ({'model.backbone.surgery': {'name': 'sclip', 'last_blocks': 2}}, Surgery(2, 'qq+kk', ffn=True)),
        ({'model.backbone.surgery': {'_delete_': True, 'last_blocks': 2}}, Surgery(2)),
    ],
    ids=['one field', 'name', 'name and field', 'fields alone'],
)
def test_options_over_any_config(given, options, expected):
    given = mini_voc.config('root') if given.startswith('object') else given
    assert surgery_of(read_config(given, options)) == expected


def test_a_dict_over_a_shipped_config(tmp_path):
    base = read_config('clipsurgery_voc').filename
    path = tmp_path / 'mine.py'
    path.write_text(
        f'_base_ = {base!r}\n'
        "model = dict(backbone=dict(surgery=dict(last_blocks=2, affinity='kk'), arch=dict(quick_gelu=True)))\n"
    )
    cfg = read_config(path)
    assert surgery_of(cfg) == Surgery(2, 'kk', position='bilinear')
    assert cfg.model.backbone.arch == dict(name='ViT-B-16', quick_gelu=True)


def test_options_within_test_time_augmentation():
    cfg = mini_voc.config('root')
    cfg.model = dict(type='CLIPSurgeryTTAModel', module=cfg.model)
    read = read_config(cfg, {'model.module.backbone.surgery.last_blocks': 1})
    assert read.model.module.backbone.surgery == dict(name='clip_surgery', last_blocks=1)


def test_no_weights_as_an_option_is_refused():
    """It would leave the towers' own as they are."""
    with pytest.raises(
        ValueError, match=r'model\.pretrained=None changes nothing.*write model.pretrained=random'
    ):
        read_config('clipsurgery_voc', {'model.pretrained': None})


@pytest.mark.parametrize('part', ['model', 'test_dataloader'])
def test_a_part_that_is_no_dict_is_named(part, tmp_path):
    (tmp_path / 'own.py').write_text(f'{part} = 5')
    with pytest.raises(ValueError, match=rf'own\.py has {part} = 5; it must be a dict'):
        read_config(tmp_path / 'own.py')


OWN_BASES = {'surgery': "'clip'", 'arch': "'RN50'"}


@pytest.mark.parametrize('setting', OWN_BASES)
def test_a_dict_over_a_name_in_an_own_base_says_how_to_write_it(setting, tmp_path):
    (tmp_path / 'base.py').write_text(f'model = dict(backbone=dict({setting}={OWN_BASES[setting]}))')
    child = tmp_path / 'child.py'
    child.write_text(f"_base_ = 'base.py'\nmodel = dict(backbone=dict({setting}=dict(layers=2)))")
    with pytest.raises(
        ValueError, match=r'child\.py can not be read: .*write a name in the base as a dict, such as'
    ) as said:
        read_config(child)
    assert '_delete_' not in str(said.value)


@pytest.mark.parametrize(
    ('error', 'message'),
    [
        (KeyError('NoHead is not in the registry. Please check'), 'KeyError: NoHead is not in the registry'),
        (TypeError("got an unexpected\nkeyword 'foo'"), "TypeError: got an unexpected keyword 'foo'"),
        (AttributeError("'int' object has no attribute 'get'"), 'AttributeError: .int. object has no'),
        (AssertionError(), 'AssertionError: '),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else '',
)
def test_what_a_config_can_not_be_built_into(error, message):
    with pytest.raises(ValueError, match=f'the config mine does not fit: {message}'), fits('mine'):
        raise error


@pytest.mark.parametrize('error', [ValueError('a'), FileNotFoundError('b'), ImportError('c')], ids=repr)
def test_sentences_pass(error):
    with pytest.raises(type(error)) as said, fits('mine'):
        raise error
    assert said.value is error


@pytest.mark.parametrize(
    'name', ['', 'a\0b', '~nobody-of-that-name/x', 'x' * 5000], ids=lambda name: name[:3]
)
def test_paths_that_are_none(name):
    with pytest.raises(ValueError, match=r"got '' where|null character|names the home|5000 characters"):
        read_config(name)


UNREADABLE = {
    'leaves Python': ('own.py', b'import sys\nsys.exit(3)', 'SystemExit: 3'),
    'no Python': ('own.py', b'a = (', 'SyntaxError'),
    'no UTF-8': ('own.py', b'a = "\xff"', 'UnicodeDecodeError'),
    'no JSON': ('own.json', b'{', 'JSONDecodeError'),
    'its own base': ('own.py', b"_base_ = 'own.py'", 'RecursionError'),
}


@pytest.mark.parametrize('case', slow_but(UNREADABLE.keys() - {'its own base'}, UNREADABLE))
def test_a_config_that_can_not_be_read(case, tmp_path):
    name, content, message = UNREADABLE[case]
    deep = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 120)  # MMEngine copies the file once a level
    (tmp_path / name).write_bytes(content)
    try:
        with pytest.raises(ValueError, match=rf'{name} can not be read: {message}'):
            read_config(tmp_path / name)
    finally:
        sys.setrecursionlimit(deep)


def test_a_model_that_is_no_dict():
    with pytest.raises(ValueError, match='does not fit: AttributeError'):
        read_config(mini_voc.config('root'), {'model.backbone': 3})


def test_options_whose_brackets_do_not_close_are_refused():
    with pytest.raises(ValueError, match=r'--cfg-options a=.* can not be parsed .*: check its brackets'):
        parse_options(['a="[dict(type=\'Hook\',interval=0)]"'])


def test_a_setting_that_is_no_text_is_refused_by_name():
    """MMEngine writes every setting to its log and to the work folder."""
    options = {'test_dataloader.dataset.data_root': 'photos \udcff'}
    with pytest.raises(
        ValueError, match=r"the setting test_dataloader.dataset.data_root is 'photos \\udcff', which"
    ):
        read_config('clipsurgery_scenes', options)
    with pytest.raises(ValueError, match=r"the setting model.data_preprocessor is '\\ud800', which"):
        read_config('clipsurgery_scenes', {'model.data_preprocessor': ['a', '\ud800']})
