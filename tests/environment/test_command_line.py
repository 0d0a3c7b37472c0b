"""The parser of every command: whole options, given once, and mistakes that name them."""

from mmseg_clipsurgery.environment.command_line import CommandParser

import pytest


@pytest.fixture
def parser() -> CommandParser:
    made = CommandParser(prog='it')
    made.add_argument('photos', nargs='*')
    made.add_argument('--word')
    made.add_argument('--opacity', type=float)
    made.add_argument('--quick-gelu', choices=('yes', 'no'))
    group = made.add_argument_group('more')
    group.add_argument('--against', nargs='+')
    group.add_argument('--at', nargs=2, type=int)
    group.add_argument('--prob-thd', type=float)
    group.add_argument('--set', nargs='+', action='extend')
    made.inner_names = {'among': '--against'}
    return made


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--words', 'fish'], 'error: there is no option --words; did you mean --word; see --help'),
        (['--wor', 'fish'], 'error: there is no option --wor; did you mean --word; see --help'),
        (['--opacty=1'], 'error: there is no option --opacty; did you mean --opacity; see --help'),
        (['--zzz'], 'error: there is no option --zzz; see --help'),
        (['--against', 'a', '--against', 'b'], 'error: --against is given twice; give it once, with all its'),
        (['--at', '1', '2', '--at', '1', '2'], 'error: --at is given twice'),
    ],
    ids=['other', 'abbreviated', 'with a value', 'strange', 'twice', 'a pair twice'],
)
def test_options_that_are_refused(parser, capsys, words, message):
    with pytest.raises(SystemExit) as refused:
        parser.parse_args(words)
    assert refused.value.code == 2
    assert message in capsys.readouterr().err


def test_what_is_taken(parser):
    words = ['p', '--opacity', '1', '--opacity', '0.5', '--set', 'a', '--set', 'b', '--word=--x y']
    for _ in range(2):  # what was given once is forgotten with the call
        found = parser.parse_args([*words, '--against', 'c', 'd', '--at', '3', '-4'])
        assert (found.opacity, found.set, found.word) == (0.5, ['a', 'b'], '--x y')
        assert (found.against, found.at, found.photos) == (['c', 'd'], [3, -4], ['p'])
    assert parser.parse_args(['--', '--zzz']).photos == ['--zzz']


@pytest.mark.parametrize(
    ('said', 'typed'),
    [
        ('test_cfg.prob_thd must lie between', '--prob-thd must lie between'),
        ('opacity must lie', '--opacity must lie'),
        (
            'say quick_gelu=True or quick_gelu=False (others)',
            'say --quick-gelu yes or --quick-gelu no (others)',
        ),
        ("use word='cat'", 'use --word cat'),
        ('set prob_thd to None', 'set --prob-thd to None'),
        ('give guide=dict(type=1), among=dict(a=1)', 'give guide=dict(type=1), among=dict(a=1)'),
        ('the word at the opacity', 'the word at the opacity'),
        ('in my_prob_thd.py and my.prob_thd', 'in my_prob_thd.py and my.prob_thd'),
    ],
)
def test_mistakes_name_options(parser, said, typed):
    assert parser.as_typed(said) == typed
    for kind in (ValueError, FileNotFoundError):
        with pytest.raises(kind) as raised, parser.naming_options():
            raise kind(said)
        assert str(raised.value) == typed


def test_errors_of_the_system_stay_as_they_are(parser):
    given = FileNotFoundError(2, 'opacity must', 'prob_thd')
    with pytest.raises(FileNotFoundError) as raised, parser.naming_options():
        raise given
    assert raised.value is given
