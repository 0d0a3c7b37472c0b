"""Own files: what they add, that they are imported once, and what is said of those that can't be used."""

import re
import sys

import own_files
from mmseg_clipsurgery.environment import extensions
from mmseg_clipsurgery.environment.extensions import digest_of, import_file, import_files
from mmseg_clipsurgery.surgery import SURGERIES, Surgery

import pytest


@pytest.fixture(autouse=True)
def forgotten():
    with own_files.forgotten():
        yield


@pytest.fixture
def method(tmp_path):
    return own_files.write(tmp_path / 'my_method.py', own_files.METHOD)


def test_a_file_adds_a_row(method):
    before = dict(SURGERIES)
    import_file(method)
    assert {**before, 'mine': Surgery(2, 'kk')} == SURGERIES
    assert Surgery.read('mine') == Surgery(2, 'kk')
    assert Surgery.read(dict(name='mine', last_blocks=3)) == Surgery(3, 'kk')


def test_a_file_is_imported_once(method, monkeypatch):
    method.write_text(method.read_text() + "import sys\nsys.counted = getattr(sys, 'counted', 0) + 1\n")
    monkeypatch.setattr(sys, 'counted', 0, raising=False)
    monkeypatch.chdir(method.parent)
    import_files([method, 'my_method.py', './my_method.py'])
    import my_method  # what a config's custom_imports does

    assert my_method.Surgery is Surgery
    assert sys.counted == 1


def test_a_file_may_import_its_neighbours_and_have_any_name(tmp_path):
    own_files.write(tmp_path / 'my_neighbour.py', 'BLOCKS = 3')
    text = """
        from mmseg_clipsurgery import SURGERIES, Surgery
        from my_neighbour import BLOCKS
        SURGERIES['mine'] = Surgery(BLOCKS)
    """
    import_file(own_files.write(tmp_path / 'my method-2.py', text))
    assert SURGERIES['mine'].last_blocks == 3


def test_a_name_that_a_module_has_is_left_to_it(tmp_path):
    import_file(own_files.write(tmp_path / 'json.py', own_files.METHOD))
    import json

    assert 'mine' in SURGERIES
    assert json.loads('1') == 1


def test_a_row_is_traced_to_the_source_that_added_it(method, tmp_path):
    import_file(method)
    first = digest_of('surgery', 'mine')
    with own_files.forgotten():
        extensions.IMPORTED.clear()
        del SURGERIES['mine'], sys.modules['my_method']
        method.write_text(method.read_text() + '# edited\n')
        import_file(method)
        assert digest_of('surgery', 'mine') != first
    assert re.fullmatch('[0-9a-f]{64}', first)
    assert digest_of('surgery', 'clip_surgery') is None


@pytest.mark.parametrize(
    ('name', 'text', 'error', 'message'),
    [
        ('none.py', None, FileNotFoundError, r'the file \S+none\.py to import does not exist'),
        ('mine.txt', '', ValueError, r'mine\.txt can not be imported: give a Python file'),
        ('raises.py', 'x = 1\ny = x / 0\n', ValueError, r'raises\.py raises .* in line 2: ZeroDivisionError: div'),
        ('syntax.py', 'x = 1\n\ny = = 2\n', ValueError, r'syntax\.py raises .* in line 3: SyntaxError: '),
        ('exits.py', 'import sys\nsys.exit(3)\n', ValueError, r'in line 2: SystemExit: 3'),
        ('deep.py', 'def f():\n    import json\n    json.loads("{")\nf()\n', ValueError, r'in line 3: JSONDecodeError'),
        ('absent.py', 'import no_such_module\n', ValueError, r"in line 1: ModuleNotFoundError: No module named"),
        ('taken.py', "from mmseg_clipsurgery import SURGERIES, Surgery\nSURGERIES['mine'] = Surgery(1)\n"
         "SURGERIES['clip_surgery'] = Surgery(1)\n", ValueError, r"taken\.py replaces the surgery 'clip_surgery'"),
        ('removes.py', "from mmseg_clipsurgery import SURGERIES\ndel SURGERIES['gem']\n", ValueError,
         r"removes\.py removes the surgery 'gem'"),
        ('illegal.py', "from mmseg_clipsurgery import SURGERIES, Surgery\nSURGERIES['mine'] = Surgery(1, 'no')\n",
         ValueError, r"in line 2: ValueError: affinity must be one of"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.endswith('.py') else '',
)  # fmt: skip
def test_a_file_that_cannot_be_used(tmp_path, name, text, error, message):
    before = dict(SURGERIES)
    path = tmp_path / name if text is None else own_files.write(tmp_path / name, text)
    for _ in range(2):  # nothing of it stays: the second time says the same
        with pytest.raises(error, match=message) as raised:
            import_file(path)
        assert '\n' not in str(raised.value)
        assert before == SURGERIES


def test_a_table_that_opens_with_the_file_is_guarded_too(tmp_path):
    text = """
        from mmseg_clipsurgery.environment.extensions import open_table
        TABLE = {'first': object()}
        open_table('thing', TABLE)
        TABLE['first'] = object()
    """
    with pytest.raises(ValueError, match=r"opens\.py replaces the thing 'first'"):
        import_file(own_files.write(tmp_path / 'opens.py', text))


def test_a_second_file_may_not_take_the_name_of_the_first(method, tmp_path):
    import_file(method)
    other = own_files.write(tmp_path / 'other.py', own_files.METHOD.replace('2', '3'))
    with pytest.raises(ValueError, match=r"other\.py replaces the surgery 'mine', which is there already"):
        import_file(other)
    assert SURGERIES['mine'] == Surgery(2, 'kk')


def test_an_error_whose_text_raises_is_named(tmp_path):
    text = """
        class Odd(Exception):
            def __str__(self):
                raise ValueError
        raise Odd
    """
    with pytest.raises(ValueError, match='in line 5: Odd: it has no text'):
        import_file(own_files.write(tmp_path / 'mine.py', text))


def test_a_row_that_is_no_surgery_is_refused_where_it_is_used(tmp_path):
    text = "from mmseg_clipsurgery import SURGERIES\nSURGERIES['mine'] = 3\n"
    import_file(own_files.write(tmp_path / 'mine.py', text))
    with pytest.raises(ValueError, match="the row 'mine' of SURGERIES is of type int; make it a Surgery"):
        Surgery.read('mine')


def test_a_home_of_nobody_is_named():
    with pytest.raises(ValueError, match='names the home of a user who is not known'):
        import_file('~nobody-there/mine.py')
