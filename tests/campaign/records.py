"""The package's own files, found again damaged: settings, origins and results of photos, results of the leaderboard,
and tables of labels that a user made.

Oracle: a second start over damaged records leaves the results of an undisturbed run, or refuses in a sentence; figures
in tables are those of the results; labels are those that were written.
"""

import csv
import io
import json
import math
import shutil
from pathlib import Path
from typing import Any

import photos
import tiny
from campaign.inputs import Input, altered, damaged, quietly, require
from mmseg_clipsurgery.__main__ import main
from mmseg_clipsurgery.cli.photo_labels import read_labels
from mmseg_clipsurgery.leaderboard import tables
from mmseg_clipsurgery.leaderboard.cells import read_cells
from mmseg_clipsurgery.vocabulary import Vocabulary

WORDS = ['cat', 'dog', 'grass']
FIGURES = {'clip': 12.34, 'clip_surgery': 56.78}


def prepare() -> tuple[Path, dict[str, bytes]]:
    """A folder with photos, a model and the results of a run, and the bytes of these results."""
    data = tiny.folder() / 'records'
    if not data.exists():
        photos.folder(data / 'clip', tiny.changed(photos.ARCH, vision_cfg={'layers': 6}))
        for number in range(2):
            photos.save(data / f'photos/{number}.png', photos.photo(20, 24, number))
    code, said = segment(data, data / 'out')
    require(code == 0, said)
    return data, {path.name: path.read_bytes() for path in (data / 'out').iterdir()}


def segment(data: Path, out: Path) -> tuple[int, str]:
    words = ['--templates', 'bare', '--device', 'cpu', '--json', '--out', out, '--words', *WORDS]
    return quietly(main, 'segment', data / 'photos', '--arch', data / 'clip', *words)


def trial(sound: tuple[Path, dict[str, bytes]], given: Input) -> None:
    given.kind(of_photos, of_the_board, labels)(*sound, given)


def of_photos(data: Path, expected: dict[str, bytes], given: Input) -> None:
    """One file of a finished run is damaged; the run is started again."""
    out = given.folder / 'out'
    shutil.copytree(data / 'out', out)
    name = given.random.choice(sorted(expected))
    harm(out / name, given)
    given.label += f' {name}'
    code, said = segment(data, out)
    require(code in (0, 1, 3) and 'Traceback' not in said, f'exit code {code}: {said[-300:]}')
    if code:
        raise ValueError(said)
    found = {path.name: path.read_bytes() for path in out.iterdir()}
    results = [
        name for name in expected if not name.endswith(('origin.json', 'settings.json'))
    ]  # and not their records
    wrong = [name for name in results if found.get(name) != expected[name]]
    require(not wrong, f'{wrong} are not those of an undisturbed run')


def harm(path: Path, given: Input) -> None:
    """Damage a file, change its JSON, take it away, or put a folder or a link in its place."""
    ways = {
        'bytes': damaged(path.read_bytes(), given.random), 'empty': b'', 'gone': None, 'folder': None, 'link': None,
    }  # fmt: skip
    if path.suffix == '.json':
        ways['JSON'] = json.dumps(altered(json.loads(path.read_bytes()), given.random)).encode()
        ways['other JSON'] = json.dumps(given.random.choice([[], {}, 3, None, 'x', [{}]])).encode()
    data = given.one_of(ways)
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    elif given.label.endswith('folder'):
        path.mkdir()
    elif given.label.endswith('link'):
        path.symlink_to('/nowhere/at/all')


def of_the_board(data: Path, expected: dict[str, bytes], given: Input) -> None:
    """Results of two cells, one of them damaged; the figures of the tables are those of the files."""
    for method, figure in FIGURES.items():
        path = given.folder / 'scenes' / f'{method}.json'
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(result(method, figure)))
    harm(given.folder / 'scenes/clip.json', given)
    cells = read_cells(given.folder)
    lines = tables.csv_table(cells)
    text = lines + tables.leaderboard_table(cells) + tables.scenes_table(cells)
    tables.panels(cells)
    for path in (given.folder / 'scenes').glob('*.json'):
        content = json.loads(path.read_text())
        require(f'{content["metrics"]["mIoU"]:.2f}' in text, 'a figure is missing')
    figures = [line['mIoU'] for line in csv.DictReader(io.StringIO(lines))]  # a data set may be called 'nan'
    require(all(math.isfinite(float(figure)) for figure in figures), 'a figure that is no number')


def result(method: str, figure: float) -> dict[str, Any]:
    cell = {
        'method': method, 'data_set': 'scenes', 'protocol': 'sclip', 'backbone': '', 'settings': 'x',
        'data': {'images': 200},
    }  # fmt: skip
    metrics = {'mIoU': figure, 'mIoU_objects': figure / 2, 'mIoU_grounds': figure / 4}
    return {
        'cell': cell, 'metrics': metrics, 'images': 200, 'protocol': {'surgery': method, 'images': 200},
        'per_class': [],
    }  # fmt: skip


def labels(data: Path, expected: dict[str, bytes], given: Input) -> None:
    """A table of labels in some form and encoding, perhaps damaged."""
    wanted = {
        f'{number}.png': sorted(given.random.sample(WORDS, given.random.randrange(4))) for number in range(3)
    }
    listed = [['image', 'labels'], *([name, '; '.join(words)] for name, words in wanted.items())]
    columns = [[name, *(str(int(word in words)) for word in WORDS)] for name, words in wanted.items()]
    rows, stream = given.one_of({'a list': listed, 'columns': [['image', *WORDS], *columns]}), io.StringIO()
    csv.writer(stream, delimiter=given.pick(*',,,;\t'), lineterminator=given.pick('\n', '\r\n')).writerows(
        rows
    )
    text = stream.getvalue().encode(given.pick('utf-8', 'utf-8-sig', 'utf-16', 'utf-16-le'))
    whole, path = given.chance(0.5), given.folder / 'labels.csv'
    path.write_bytes(text if whole else damaged(text, given.random))
    found = read_labels(path, Vocabulary.of([(word, [word]) for word in WORDS]))
    read = {
        name: [word for word, there in zip(WORDS, one, strict=True) if there] for name, one in found.items()
    }
    require(not whole or read == wanted, f'{read} from {wanted}')
