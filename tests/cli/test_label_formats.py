"""`segment --format`: files of other tools beside the label maps, whole after any stop, refused early."""

import json
import sys
from pathlib import Path

import photos
import tiny
from mmseg_clipsurgery.__main__ import main
from mmseg_clipsurgery.cli import photo_loop

import numpy as np
import pytest
from PIL import Image

ARCH = tiny.changed(photos.ARCH, vision_cfg={'layers': 6, 'image_size': 24})
WORDS = ('--words', 'background: sky, wall', 'cat', 'dog, puppy')
FORMATS = ('--format', 'palette', 'labelme', 'coco', 'label_studio')
OF_RUN = ('coco', 'label_studio')


@pytest.fixture(scope='module')
def clip(tmp_path_factory) -> Path:
    return photos.folder(tmp_path_factory.mktemp('clip'), ARCH)


@pytest.fixture
def ask(clip, tmp_path, monkeypatch):
    """Runs `segment` on three photos; the exit code."""
    monkeypatch.setenv('MMSEG_CLIPSURGERY_CACHE', str(tmp_path / 'cache'))
    for seed, name in enumerate(('a.jpg', 'b.png', 'below/c.jpg')):
        photos.save(tmp_path / 'photos' / name, photos.photo(20, 26, seed))
    common = ['--device', 'cpu', '--arch', str(clip), '--templates', 'bare', '--no-figures']

    def run(*words, out='out') -> int:
        return main(['segment', str(tmp_path / 'photos'), '--out', str(tmp_path / out), *common, *words])

    return run


def files(folder: Path) -> dict[str, bytes]:
    """Name -> bytes of all files but the notes of what results came from."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob('*') if path.is_file()}
    return {
        name: path.read_bytes()
        for name, path in found.items()
        if not name.endswith(('.origin.json', '.settings.json'))
    }


@pytest.mark.slow
def test_every_format_holds_the_labels(ask, tmp_path):
    coco_tools = pytest.importorskip('pycocotools.coco')
    out = tmp_path / 'out'
    assert ask(*WORDS, *FORMATS) == 0
    kinds = ('labels.png', 'palette.png', 'labelme.json')
    assert set(files(out)) == {f'{name}_{kind}' for name in ('a', 'b', 'below/c') for kind in kinds} | {
        f'{name}.json' for name in OF_RUN
    }
    coco = coco_tools.COCO(str(out / 'coco.json'))
    names = [category['name'] for category in coco.cats.values()]
    assert names == ['cat', 'dog']
    assert [image['file_name'] for image in coco.imgs.values()] == ['a.jpg', 'b.png', 'below/c.jpg']
    for image in coco.imgs.values():
        stem = image['file_name'].rpartition('.')[0]
        labels = np.asarray(Image.open(out / f'{stem}_labels.png'))
        assert np.array_equal(Image.open(out / f'{stem}_palette.png'), labels)
        polygons = json.loads((out / f'{stem}_labelme.json').read_text())
        assert (out / stem).parent.joinpath(polygons['imagePath']).resolve().is_file()
        assert {shape['label'] for shape in polygons['shapes']} == {
            names[k - 1] for k in np.unique(labels) if k
        }
        for one in coco.loadAnns(coco.getAnnIds(imgIds=image['id'])):
            assert np.array_equal(coco.annToMask(one), labels == one['category_id'])


@pytest.mark.slow
def test_a_stopped_run_ends_in_the_same_bytes(ask, tmp_path, monkeypatch):
    pytest.importorskip('pycocotools')
    assert ask(*WORDS, *FORMATS, out='whole') == 0
    write, calls = photo_loop.Writer.write, iter((False, True))

    def stop_at_the_second(*given):
        if next(calls):
            raise KeyboardInterrupt
        return write(*given)

    monkeypatch.setattr(photo_loop.Writer, 'write', stop_at_the_second)
    assert ask(*WORDS, *FORMATS) == 130
    assert not {f'{name}.json' for name in OF_RUN} & set(files(tmp_path / 'out'))
    monkeypatch.setattr(photo_loop.Writer, 'write', write)
    assert ask(*WORDS, *FORMATS) == 0
    assert files(tmp_path / 'out') == files(tmp_path / 'whole')


@pytest.mark.slow
def test_a_format_can_be_added_to_a_run_that_is_done(ask, tmp_path, capsys):
    pytest.importorskip('pycocotools')
    assert ask(*WORDS) == 0
    assert ask(*WORDS, '--format', 'coco') == 0
    assert '0 photos answered' in capsys.readouterr().out.splitlines()[-1]
    assert set(files(tmp_path / 'out')) == {'a_labels.png', 'b_labels.png', 'below/c_labels.png', 'coco.json'}


@pytest.mark.slow
def test_several_surgeries_have_files_of_their_own(ask, tmp_path):
    pytest.importorskip('pycocotools')
    assert ask(*WORDS, *FORMATS, '--surgery', 'clip', 'clip_surgery') == 0
    found = {name for name in files(tmp_path / 'out') if '/' not in name and not name.startswith('b')}
    kinds = ('labels_{}.png', 'palette_{}.png', 'labelme_{}.json')
    surgeries = ('clip', 'clip_surgery')
    assert found == {f'a_{kind.format(name)}' for kind in kinds for name in surgeries} | {
        f'{kind}_{name}.json' for kind in OF_RUN for name in surgeries
    }


def test_what_a_format_cannot_do_is_said_before_the_first_photo(ask, tmp_path, monkeypatch, capsys):
    many = [f'word{number}' for number in range(256)]
    assert ask('--words', *many, '--format', 'palette') == 1
    assert 'error: a palette PNG holds up to 255 classes, got 256' in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, 'pycocotools', None)
    assert ask(*WORDS, '--format', 'coco') == 1
    assert 'pip install "mmseg_clipsurgery[coco]"' in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / 'out').exists()
