"""Data sets below wrappers and concatenations, and the folder that their images share."""

from types import SimpleNamespace

from mmseg_clipsurgery.datasets.base_datasets import base_datasets, common_folder, dataset_configs, image_root

import pytest


class Files:
    """A data set of these images."""

    def __init__(self, *paths: str):
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def get_data_info(self, index: int) -> dict:
        return dict(img_path=self.paths[index])


FIRST, SECOND, EMPTY = Files('/d/a/1.jpg'), Files('/d/b/1.jpg', '/d/b/2.jpg'), Files()


@pytest.mark.parametrize(
    ('dataset', 'expected'),
    [
        pytest.param(FIRST, [FIRST], id='itself'),
        pytest.param(SimpleNamespace(dataset=FIRST), [FIRST], id='wrapped'),
        pytest.param(SimpleNamespace(dataset=EMPTY), [EMPTY], id='wrapped, without images'),
        pytest.param(
            SimpleNamespace(dataset=SimpleNamespace(datasets=[FIRST, SimpleNamespace(dataset=SECOND)])),
            [FIRST, SECOND],
            id='a wrapped concatenation',
        ),
    ],
)
def test_wrappers_and_concatenations_are_opened(dataset, expected):
    assert list(base_datasets(dataset)) == expected


def test_configs_are_opened_as_built_data_sets_are():
    first, second = dict(type='A'), dict(type='B')
    concatenation = dict(type='ConcatDataset', datasets=[first, dict(type='RepeatDataset', dataset=second)])
    assert list(dataset_configs(concatenation)) == [first, second]
    assert list(dataset_configs(first)) == [first]


def test_the_image_root_holds_the_images_of_every_part():
    assert image_root(FIRST) == '/d/a'
    assert image_root(SimpleNamespace(datasets=[FIRST, SECOND])) == '/d'
    assert image_root(EMPTY) is None


@pytest.mark.parametrize(
    ('paths', 'expected'),
    [
        pytest.param([], None, id='no image'),
        pytest.param(['/d/a/1.jpg', '/d/a/2.jpg'], '/d/a', id='one folder'),
        pytest.param(['/d/a/1.jpg', 'a/1.jpg'], None, id='absolute and relative'),
    ],
)
def test_common_folder_is_the_deepest_that_holds_all_images(paths, expected):
    assert common_folder(paths) == expected
