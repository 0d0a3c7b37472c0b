"""PAMR: golden numbers, the formula pixel by pixel, symmetries, and memory that stays with many classes."""

import golden
from mmseg_clipsurgery import refine
from tensor_sizes import LargestTensor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

seeds = st.integers(0, 2**31)
dilation_lists = st.lists(st.integers(1, 9), min_size=1, max_size=3, unique=True)
fast = settings(max_examples=25, deadline=None)


def inputs(b: int = 1, k: int = 3, size=(7, 10), mask_size=(4, 5), seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(b, 3, *size, generator=generator, dtype=torch.float64)
    mask = torch.rand(b, k, *mask_size, generator=generator, dtype=torch.float64)
    return image, mask


def pixel_by_pixel(image: Tensor, mask: Tensor, dilations: list[int]) -> Tensor:
    """One iteration on one image "3 H W" and one mask "k H W" of its size, straight from the formula."""
    height, width = image.shape[1:]
    result = torch.empty_like(mask)
    for y in range(height):
        for x in range(width):
            square = [
                (min(max(y + d * dy, 0), height - 1), min(max(x + d * dx, 0), width - 1), (dy, dx) == (0, 0))
                for d in dilations
                for dy in (-1, 0, 1)
                for dx in (-1, 0, 1)
            ]
            deviation = torch.stack([image[:, row, column] for row, column, _ in square]).std(dim=0)
            near = [(row, column) for row, column, centre in square if not centre]
            contrast = [
                ((image[:, y, x] - image[:, row, column]).abs() / (1e-8 + 0.1 * deviation)).mean()
                for row, column in near
            ]
            weights = torch.softmax(-torch.stack(contrast), dim=0)
            result[:, y, x] = sum(
                w * mask[:, row, column] for w, (row, column) in zip(weights, near, strict=True)
            )
    return result


def test_golden():
    reference = golden.load('pamr_dev')
    iterations, *dilations = reference['settings'].tolist()
    actual = refine.pamr(reference['image'], reference['mask'], iterations, dilations)
    golden.assert_close(actual, reference['out'])


@pytest.mark.parametrize('dilations', [[1], [2, 1], [1, 3, 12]], ids=str)
def test_equals_the_formula_pixel_by_pixel(dilations):
    image, mask = inputs(mask_size=(7, 10))
    expected = pixel_by_pixel(image[0], pixel_by_pixel(image[0], mask[0], dilations), dilations)
    torch.testing.assert_close(refine.pamr(image, mask, 2, dilations)[0], expected)


def test_no_iterations_only_resize():
    image, mask = inputs(b=2)
    expected = functional.interpolate(mask, (7, 10), mode='bilinear', align_corners=True)
    torch.testing.assert_close(refine.pamr(image, mask, 0, [1]), expected)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize('chunk', [1, 2, 3, 5, 100])
def test_chunk_changes_nothing(chunk, dtype):
    image, mask = (part.to(dtype) for part in inputs(b=2, k=7, size=(19, 23)))
    whole = refine.pamr(image, mask, 3, [1, 4], chunk=7)
    assert torch.equal(refine.pamr(image, mask, 3, [1, 4], chunk=chunk), whole)


@given(seed=seeds, dilations=dilation_lists, order=st.permutations(range(4)))
@fast
def test_batch_equals_singles_and_classes_permute(seed, dilations, order):
    image, mask = inputs(b=3, k=4, seed=seed)
    refined = refine.pamr(image, mask, 2, dilations)
    singles = [refine.pamr(image[[i]], mask[[i]], 2, dilations) for i in range(3)]
    torch.testing.assert_close(refined, torch.cat(singles))
    torch.testing.assert_close(refine.pamr(image, mask[:, order], 2, dilations), refined[:, order])


@given(seed=seeds, dilations=dilation_lists)
@fast
def test_sum_over_classes_and_range_are_kept(seed, dilations):
    image, mask = inputs(seed=seed)
    mask = mask.softmax(dim=1)
    refined = refine.pamr(image, mask, 3, dilations)
    torch.testing.assert_close(refined.sum(dim=1), torch.ones(1, 7, 10, dtype=torch.float64))
    assert refined.min() >= mask.min()
    assert refined.max() <= mask.max()


@given(seed=seeds, dilations=dilation_lists, gain=st.floats(0.1, 100), offset=st.floats(-100, 100))
@fast
def test_brightness_and_contrast_of_the_image_do_not_matter(seed, dilations, gain, offset):
    image, mask = inputs(seed=seed)
    refined = refine.pamr(image, mask, 2, dilations)
    torch.testing.assert_close(
        refine.pamr(gain * image + offset, mask, 2, dilations), refined, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize('axis', [2, 3], ids=['upside down', 'mirrored'])
def test_flips_commute(axis):
    image, mask = inputs()
    refined = refine.pamr(image, mask, 3, [1, 2])
    torch.testing.assert_close(refine.pamr(image.flip(axis), mask.flip(axis), 3, [1, 2]), refined.flip(axis))


def test_transpose_commutes():
    image, mask = inputs()
    refined = refine.pamr(image, mask, 3, [1, 2])
    torch.testing.assert_close(refine.pamr(image.mT, mask.mT, 3, [1, 2]), refined.mT)


def test_flat_image_averages_all_neighbours_alike():
    affinities = refine.local_affinities(torch.full((1, 3, 5, 6), 0.7), [1, 2])
    torch.testing.assert_close(affinities, torch.full((1, 16, 5, 6), 1 / 16))


def test_mask_border_moves_to_the_image_edge():
    image = torch.zeros(1, 3, 8, 12)
    image[..., 6:] = 1
    soft = torch.linspace(1, 0, 12).expand(1, 1, 8, 12)
    before = (soft[..., 5] - soft[..., 6]).mean()
    refined = refine.pamr(image, soft, 10, [1])
    assert (refined[..., 5] - refined[..., 6]).mean() > 4 * before


def test_memory_does_not_grow_with_the_classes():
    b, k, chunk, size, dilations = 1, 64, 4, (16, 16), [1, 4]
    image, mask = inputs(b=b, k=k, size=size)
    with LargestTensor() as largest:
        refine.pamr(image, mask, 2, dilations, chunk=chunk)
    pixels, padded = b * 16 * 16, b * (16 + 2 * 4) ** 2
    assert largest.elements <= max(k * pixels, 8 * len(dilations) * pixels, chunk * padded)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=str)
def test_reduced_precision_is_computed_in_float32(dtype):
    image, mask = (part.to(dtype) for part in inputs(k=2))
    image[:, :, :3] = 0.5  # flat: a deviation of 0, and 1e-8 does not exist in float16
    refined = refine.pamr(image, mask, 3, [1, 2])
    assert refined.dtype == dtype
    assert torch.equal(refined, refine.pamr(image.float(), mask.float(), 3, [1, 2]).to(dtype))


IMAGE, MASK = torch.zeros(2, 3, 8, 8), torch.zeros(2, 4, 4, 4)
ERRORS = {
    'negative iterations': ((IMAGE, MASK, -1, [1]), 'iterations must be 0 or more, got -1'),
    'no dilations': ((IMAGE, MASK, 1, []), r'one or more distances.*got \[\]'),
    'dilation of zero': ((IMAGE, MASK, 1, [1, 0]), r'got \[1, 0\]'),
    'chunk of zero': ((IMAGE, MASK, 1, [1], 0), 'chunk must be at least 1'),
    'other batch size': ((IMAGE[:1], MASK, 1, [1]), r'one batch size, got \(1, 3, 8, 8\) and \(2, 4, 4, 4\)'),
    'image without batch': ((IMAGE[0], MASK, 1, [1]), 'image "b 3 H W"'),
    'mask without classes': ((IMAGE, MASK[:, 0], 1, [1]), 'mask "b k h w"'),
    'no classes': ((IMAGE, MASK[:, :0], 1, [1]), 'image and mask must not be empty'),
    'bytes': ((IMAGE.byte(), MASK, 1, [1]), 'floating point, got torch.uint8'),
    'labels': ((IMAGE, MASK.long(), 1, [1]), 'floating point, .*torch.int64'),
}


@pytest.mark.parametrize(('arguments', 'message'), ERRORS.values(), ids=ERRORS.keys())
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        refine.pamr(*arguments)
