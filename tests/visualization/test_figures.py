"""The layout of figures: columns of galleries, rows of tables, files."""

from mmseg_clipsurgery.visualization import figures

import numpy as np
import pytest
from PIL import Image


@pytest.mark.parametrize(
    ('size', 'count', 'columns'), [((500, 375), 6, 3), ((960, 100), 5, 1), ((60, 900), 5, 5)]
)
def test_gallery_makes_a_page(size, count, columns):
    panels = [(str(number), Image.new('RGB', size, (number, 0, 200))) for number in range(count)]
    picture = np.asarray(figures.gallery(panels))
    row = picture[picture.shape[0] // (2 * -(-count // columns)) + 30]
    shown = sorted({tuple(colour) for colour in row.tolist() if colour[2] == 200 and colour[1] == 0})
    assert shown == [(number, 0, 200) for number in range(columns)]


def test_low_rows_have_their_titles_above():
    images = [Image.new('RGB', (400, 40), 'blue')] * 2
    low = figures.table([('a rather long title', images)], ['one', 'two'])
    high = figures.table([('a title', [image.resize((400, 300)) for image in images])], ['one', 'two'])
    assert low.width < high.width  # no title at the left


def test_rows_of_different_sizes_are_aligned():
    rows = [
        ('', [Image.new('RGB', size, colour) for colour in ('red', 'blue')])
        for size in ((300, 200), (210, 300))
    ]
    pixels = np.asarray(figures.table(rows, ['one', 'two']))
    blue = (pixels == (0, 0, 255)).all(-1)
    assert blue.sum() == 300 * 200 + 210 * 300
    assert {int(line.argmax()) for line in blue if line.any()} == {320}  # 300 wide, 10 apart


@pytest.mark.parametrize('ending', ['.docx', '', '.pn'])
def test_an_ending_of_no_picture_is_refused(tmp_path, ending):
    with pytest.raises(ValueError, match=r'no ending of a picture; give one such as \.png'):
        figures.save_picture(tmp_path / f'a{ending}', Image.new('RGB', (4, 4)))
    assert not list(tmp_path.iterdir())
