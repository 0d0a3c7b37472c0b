"""A user's own Python files (--import): his own code, so it runs; what it breaks is put back and said.

Oracle: after a refusal all tables are as before; after a success they have new rows and all old ones, and a new surgery
can be read or is refused by name.
"""

from typing import Any

import own_files
from campaign.inputs import ODD, Input, damaged, require
from mmseg_clipsurgery.environment import extensions
from mmseg_clipsurgery.environment.extensions import import_file
from mmseg_clipsurgery.surgery import SURGERIES, Surgery

NUMBERS = 'nan = inf = float("nan")\n'
HEAD = (
    'from mmseg_clipsurgery import SURGERIES, Surgery\nfrom mmseg_clipsurgery.affinities import AFFINITIES\n'
)


def prepare() -> None:
    import mmseg_clipsurgery.affinities  # noqa: F401 - its table


def trial(_: None, given: Input) -> None:
    data = given.one_of(SOURCES)(given)
    path = given.folder / given.pick(
        'mine.py', 'my-file.py', 'json.py', 'torch.py', 'mine.txt', 'мой.py', '__main__.py'
    )
    if data is not None:
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
    before = {kind: dict(table) for kind, table in extensions.TABLES.items()}
    with own_files.forgotten():
        try:
            import_file(path)
            added = set(SURGERIES) - set(before['surgery'])
            for name in added:
                require(isinstance(Surgery.read(name), Surgery), f'the row {name!r} is no surgery')
        except BaseException:
            require(
                {kind: dict(table) for kind, table in extensions.TABLES.items()} == before
                or path in extensions.IMPORTED,
                'a refused file left rows behind',
            )
            raise
        for kind, rows in before.items():
            require(rows.items() <= extensions.TABLES[kind].items(), f'a {kind} was changed or removed')


def odd_row(given: Input) -> str:
    return f'{HEAD}{NUMBERS}SURGERIES[{given.pick("mine", "", "a:b", 3, None)!r}] = {given.random.choice(ODD)!r}\n'


def odd_field(given: Input) -> str:
    one, other = given.random.choices(ODD, k=2)
    return f'{HEAD}{NUMBERS}SURGERIES["mine"] = Surgery({one!r}, {other!r})\n'


# fmt: off
SOURCES: dict[str, Any] = {
    'method': lambda given: own_files.METHOD,
    'affinity': lambda given: own_files.AFFINITY,
    'damaged': lambda given: damaged(own_files.METHOD.encode(), given.random),
    'damaged affinity': lambda given: damaged(own_files.AFFINITY.encode(), given.random),
    'odd row': odd_row,
    'odd field': odd_field,
    'replaced': lambda given: f'{HEAD}SURGERIES["clip"] = Surgery(1)\n',
    'removed': lambda given: f'{HEAD}SURGERIES["mine"] = Surgery(1); del AFFINITIES["vv"]\n',
    'cleared': lambda given: f'{HEAD}SURGERIES.clear()\n',
    'half': lambda given: f'{HEAD}SURGERIES["mine"] = Surgery(1)\n1 / 0\n',
    'exit': lambda given: 'import sys; sys.exit(3)\n',
    'recursion': lambda given: 'def f(): f()\nf()\n',
    'memory': lambda given: 'x = bytearray(1 << 40)\n',
    'syntax': lambda given: 'def f(:\n',
    'indentation': lambda given: 'if 1:\nx = 1\n',
    'no such module': lambda given: 'import no_such_module\n',
    'no such name': lambda given: 'from mmseg_clipsurgery import nothing\n',
    'empty': lambda given: '',
    'null': lambda given: 'x = 1\0\n',
    'latin-1': lambda given: b'x = "\xe9"\n',
    'coding': lambda given: b'# -*- coding: nothing -*-\n',
    'deep': lambda given: '(' * 2000 + ')' * 2000,
    'random': lambda given: given.random.randbytes(500),
    'missing': lambda given: None,
    'strange error': lambda given: 'class E(Exception):\n    def __str__(self): raise ValueError\nraise E\n',
    'lines in an error': lambda given: 'raise ValueError("one\\ntwo\\n")\n',
    'a group': lambda given: 'raise ExceptionGroup("two", [ValueError(1), TypeError(2)])\n',
}
# fmt: on
