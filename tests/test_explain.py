"""Heat maps and points: golden numbers, rectangles, maps without contrast, ties, combined texts."""

import golden
from mmseg_clipsurgery import explain

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

POINT_CASES = [
    (name, index)
    for name in golden.names('cs_*')
    for index in (0, 1)
    if f'points{index}' in golden.load(name)
]
seeds = st.integers(0, 2**31)
grids = st.tuples(st.integers(2, 9), st.integers(2, 9))
image_sizes = st.tuples(st.integers(1, 700), st.integers(1, 700))
fast = settings(max_examples=20, deadline=None)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def square_grid(patches: int) -> tuple[int, int]:
    return round(patches**0.5), round(patches**0.5)


def plain_points(similarity: Tensor, size: tuple[int, int], threshold: float, factor: int):
    """The rule of `explain.points` cell by cell, in float32 as the published code computes."""
    rows, columns = (max(side // factor, 1) for side in similarity.shape)
    cells = functional.interpolate(similarity[None, None], (rows, columns), mode='bilinear').flatten().numpy()
    cells = (cells - cells.min()) / (cells.max() - cells.min())
    count = min(sum(cells >= np.float32(threshold)), len(cells) // 2)
    ranked = sorted(range(len(cells)), key=lambda cell: cells[cell])
    chosen = ranked[len(cells) - count :] + ranked[:count]
    xy = []
    for cell in chosen:
        x = np.float32(cell % columns + 0.5) * np.float32(size[1] / columns)
        y = np.float32(cell // columns + 0.5) * np.float32(size[0] / rows)
        xy.append([int(min(x, size[1] - 1)), int(min(y, size[0] - 1))])
    return xy, [1] * count + [0] * count


@pytest.mark.parametrize('name', golden.names('cs_*'))
def test_golden_map(name):
    reference = golden.load(name)
    patches = reference['similarity'][:, 1:]  # the class token is no place in the image
    maps = explain.similarity_map(patches, square_grid(patches.shape[1]), golden.size_of(name))
    golden.assert_close(maps.permute(0, 2, 3, 1)[:, ::4, ::4], reference['similarity_map'])


@pytest.mark.parametrize(('name', 'index'), POINT_CASES)
def test_golden_points(name, index):
    reference = golden.load(name)
    patches = reference['similarity'][0, 1:, index]
    xy, labels = explain.points(patches.unflatten(0, square_grid(len(patches))), golden.size_of(name))
    assert xy.dtype == torch.int64
    assert labels.dtype == torch.uint8
    assert torch.equal(xy, reference[f'points{index}'])
    assert torch.equal(labels, reference[f'labels{index}'])


@given(grid=grids, size=image_sizes, seed=seeds, positive=st.floats(0.01, 100), offset=st.floats(-100, 100))
@fast
def test_minmax_is_in_range_and_ignores_scale(grid, size, seed, positive, offset):
    similarity = noise(2, grid[0] * grid[1], 3, seed=seed).double()
    maps = explain.similarity_map(similarity, grid, size)
    assert maps.shape == (2, 3, *size)
    assert maps.min() >= 0
    assert maps.max() <= 1 + 1e-12
    torch.testing.assert_close(explain.similarity_map(positive * similarity + offset, grid, size), maps)


def test_minmax_reaches_both_ends_at_the_grid_size():
    maps = explain.similarity_map(noise(2, 12, 3), (3, 4), (3, 4)).flatten(2)
    assert torch.equal(maps.amin(dim=-1), torch.zeros(2, 3))
    assert torch.equal(maps.amax(dim=-1), torch.ones(2, 3))


def test_constant_map_is_zero():
    similarity = torch.cat([torch.full((1, 6, 1), 0.3), noise(1, 6, 1)], dim=-1)
    maps = explain.similarity_map(similarity, (2, 3), (8, 12))
    assert torch.equal(maps[0, 0], torch.zeros(8, 12))
    assert maps[0, 1].max() > 0.5


def test_absolute_scale_keeps_values():
    similarity = noise(2, 6, 4)
    maps = explain.similarity_map(similarity, (2, 3), (2, 3), scale='absolute')
    assert torch.equal(maps.flatten(2).mT, similarity)


@pytest.mark.parametrize('scale', ['minmax', 'absolute'])
def test_map_puts_rows_before_columns(scale):
    similarity = torch.zeros(1, 10, 1)
    similarity[0, 1 * 5 + 3] = 1  # row 1, column 3 of a grid of 2 rows and 5 columns
    maps = explain.similarity_map(similarity, (2, 5), (40, 100), scale=scale)
    row, column = divmod(int(maps[0, 0].argmax()), 100)
    assert (row // 20, column // 20) == (1, 3)


@given(seed=seeds, order=st.permutations(range(4)))
@fast
def test_map_of_batch_and_permuted_classes(seed, order):
    similarity = noise(3, 12, 4, seed=seed)
    maps = explain.similarity_map(similarity, (3, 4), (20, 24))
    singles = [explain.similarity_map(single, (3, 4), (20, 24)) for single in similarity.split(1)]
    torch.testing.assert_close(maps, torch.cat(singles))
    permuted = explain.similarity_map(similarity[..., order], (3, 4), (20, 24))
    torch.testing.assert_close(permuted, maps[:, order])


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_dtypes(dtype):
    similarity = noise(1, 16, 2).to(dtype)
    assert explain.similarity_map(similarity, (4, 4), (64, 64)).dtype == dtype
    xy, labels = explain.points(similarity[0, :, 0].unflatten(0, (4, 4)), (64, 64))
    assert (xy.dtype, labels.dtype) == (torch.int64, torch.uint8)


@given(
    grid=grids,
    size=image_sizes,
    seed=seeds,
    threshold=st.sampled_from([0.0, 0.5, 0.8, 0.95, 1.0]),
    factor=st.integers(1, 3),
)
@settings(max_examples=50, deadline=None)
def test_points_equal_the_plain_rule(grid, size, seed, threshold, factor):
    similarity = noise(*grid, seed=seed)
    xy, labels = explain.points(similarity, size, threshold, factor)
    if max(grid[0] // factor, 1) * max(grid[1] // factor, 1) == 1:  # one cell: no contrast
        assert len(labels) == 0
        return
    expected_xy, expected_labels = plain_points(similarity, size, threshold, factor)
    assert xy.tolist() == expected_xy
    assert labels.tolist() == expected_labels


@given(grid=grids, size=image_sizes, seed=seeds)
@fast
def test_points_are_balanced_and_inside(grid, size, seed):
    xy, labels = explain.points(noise(*grid, seed=seed), size, threshold=0.5)
    assert 2 * int(labels.sum()) == len(labels) == len(xy)
    assert (xy >= 0).all()
    assert (xy < torch.tensor([size[1], size[0]])).all()


def test_points_put_x_before_y_in_rectangles():
    similarity = torch.zeros(4, 12)
    similarity[2:, 8:10] = 1  # rows 2-3, columns 8-9: cell (1, 4) of a grid of 2 rows and 6 columns
    similarity[:2, :2] = -1
    xy, labels = explain.points(similarity, (64, 192))
    assert xy.tolist() == [[4 * 32 + 16, 1 * 32 + 16], [16, 16]]
    assert labels.tolist() == [1, 0]


def test_a_middle_on_a_pixel_edge_is_rounded_as_published():
    similarity = -torch.arange(49.0).reshape(7, 7)
    similarity[3, 3] = 1
    size = (230, 62)  # 3.5 * 230 / 7 = 115 and 3.5 * 62 / 7 = 31, but not in floating point
    published = [int((torch.tensor(3) + 0.5) * (side / 7)) for side in reversed(size)]
    xy, _ = explain.points(similarity, size, threshold=1.0, downsample=1)
    assert xy[0].tolist() == published == [30, 115]
    assert int(3.5 * (size[0] / 7)) == 114  # what double would give


def test_equal_cells_rank_in_reading_order():
    similarity = torch.tensor([[0.0, 1.0, 1.0], [0.0, 1.0, 0.0]])
    xy, labels = explain.points(similarity, (2, 3), downsample=1)
    assert xy.tolist() == [[1, 0], [2, 0], [1, 1], [0, 0], [0, 1], [2, 1]]
    assert labels.tolist() == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize(
    'similarity', [torch.full((4, 4), 0.3), torch.ones(1, 1)], ids=['constant', 'one patch']
)
@pytest.mark.parametrize('threshold', [0.0, 0.8])
def test_no_contrast_no_points(similarity, threshold):
    xy, labels = explain.points(similarity, (64, 64), threshold)
    assert (xy.shape, labels.shape) == ((0, 2), (0,))


def test_thin_grid_keeps_one_row():
    xy, labels = explain.points(torch.arange(8.0)[None], (16, 128))
    assert xy.tolist() == [[112, 8], [16, 8]]
    assert labels.tolist() == [1, 0]


def test_combined_texts_share_negatives():
    person, bench = torch.zeros(2, 4, 4)
    person[:2, :2], bench[2:, 2:] = 4, 7
    person[2:, :2], bench[2:, :2] = -4, -7  # the worst cell of both: bottom left
    xy, labels = explain.combined_points(torch.stack([person, bench]), (64, 64))
    assert labels.tolist() == [0, 0, 1, 1]
    assert xy[2:].tolist() == [[16, 16], [48, 48]]
    assert [16, 48] in xy[:2].tolist()


@given(grid=grids, seed=seeds, threshold=st.sampled_from([0.5, 0.8]))
@fast
def test_combined_equals_its_parts(grid, seed, threshold):
    maps = noise(3, *grid, seed=seed)
    xy, labels = explain.combined_points(maps, (100, 200), threshold)
    normalised = (maps - maps.amin((1, 2), keepdim=True)) / (
        maps.amax((1, 2), keepdim=True) - maps.amin((1, 2), keepdim=True)
    )
    shared, shared_labels = explain.points(normalised.mean(dim=0), (100, 200), threshold)
    parts = [shared[shared_labels == 0]]
    for single in maps:
        single_xy, single_labels = explain.points(single, (100, 200), threshold)
        parts.append(single_xy[single_labels == 1])
    assert torch.equal(xy, torch.cat(parts))
    assert labels.tolist() == [0] * len(parts[0]) + [1] * (len(xy) - len(parts[0]))


def test_one_combined_text_is_the_text_itself():
    similarity = noise(6, 8)
    xy, labels = explain.points(similarity, (96, 128))
    combined_xy, combined_labels = explain.combined_points(similarity[None], (96, 128))
    assert torch.equal(combined_xy, torch.cat([xy[labels == 0], xy[labels == 1]]))
    assert torch.equal(combined_labels, labels.flip(0))


MAPS, MAP = torch.zeros(1, 12, 2), noise(4, 4)
ERRORS = {
    'map: class token left in': (
        explain.similarity_map,
        (torch.zeros(1, 13, 2), (3, 4), (8, 8)),
        'no class token',
    ),
    'map: no batch': (explain.similarity_map, (MAPS[0], (3, 4), (8, 8)), r'"b n k".*\(12, 2\)'),
    'map: unknown scale': (explain.similarity_map, (MAPS, (3, 4), (8, 8), 'max'), "got 'max'"),
    'map: no size': (explain.similarity_map, (MAPS, (3, 4), (0, 8)), r'got \(0, 8\)'),
    'points: map with classes': (explain.points, (MAPS, (8, 8)), '"h w"'),
    'points: threshold in per cent': (
        explain.points,
        (MAP, (8, 8), 80),
        'threshold must lie between 0 and 1, got 80',
    ),
    'points: no down-sampling': (
        explain.points,
        (MAP, (8, 8), 0.8, 0),
        'downsample must be a whole number',
    ),
    'points: NaN': (explain.points, (MAP * torch.nan, (8, 8)), 'NaN or infinity'),
    'points: empty': (explain.points, (MAP[:0], (8, 8)), 'empty'),
    'points: one number as size': (explain.points, (MAP, (8,)), r'\(height, width\)'),
    'combined: map of one text': (explain.combined_points, (MAP, (8, 8)), '"k h w"'),
    'combined: no text': (explain.combined_points, (MAP[None][:0], (8, 8)), '"k h w"'),
}


@pytest.mark.parametrize(('function', 'arguments', 'message'), ERRORS.values(), ids=ERRORS.keys())
def test_errors(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)
