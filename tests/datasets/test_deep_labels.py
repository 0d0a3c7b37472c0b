"""Data sets with 16-bit masks: names, colours, a selection of classes."""

from mmseg_clipsurgery.datasets.mask_encodings import IGNORED_16_BIT

import pytest
from mmseg.registry import DATASETS

pytestmark = pytest.mark.mmseg


@pytest.mark.parametrize(('name', 'classes'), [('ADE20K847Dataset', 847), ('PascalContext459Dataset', 459)])
def test_a_selection_of_classes_ignores_the_others_as_65535(name, classes):
    meta = DATASETS.get(name).METAINFO
    assert len(meta['classes']) == len(set(meta['classes'])) == len(meta['palette']) == classes
    assert len({tuple(colour) for colour in meta['palette']}) == classes
    chosen = [meta['classes'][300], meta['classes'][2]]
    data_set = DATASETS.build(
        dict(type=name, ann_file='', metainfo=dict(classes=chosen), lazy_init=True, _scope_='mmseg')
    )
    assert (data_set.ignore_index, len(data_set.label_map)) == (IGNORED_16_BIT, classes)
    assert {old: new for old, new in data_set.label_map.items() if new != IGNORED_16_BIT} == {300: 0, 2: 1}
    assert data_set.metainfo['palette'] == [meta['palette'][300], meta['palette'][2]]
