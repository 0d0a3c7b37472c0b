"""Average precision against its plain definition."""

from mmseg_clipsurgery.evaluation.metrics.average_precision import (
    average_precision,
    class_rows,
    mean_of_occurring,
    table,
)

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def plain_average_precision(scores, present) -> float:
    """Mean over the positives of the share of positives among all that score at least as high."""
    precisions = []
    for score, own in zip(scores, present, strict=True):
        if own:
            above = [other for s, other in zip(scores, present, strict=True) if s >= score]
            precisions.append(sum(above) / len(above))
    return sum(precisions) / len(precisions)


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9, 1.0]), st.booleans()), min_size=1, max_size=12
    )
)
@settings(max_examples=50, deadline=None)
def test_average_precision_is_the_plain_definition(rows):
    scores, present = (np.array(part)[:, None] for part in zip(*rows, strict=True))
    found = average_precision(scores, present)
    if present.any():
        assert found[0] == pytest.approx(plain_average_precision(scores[:, 0], present[:, 0]))
    else:
        assert np.isnan(found[0])


@pytest.mark.parametrize(
    ('scores', 'present', 'expected'),
    [
        pytest.param([0.9, 0.8, 0.1], [1, 1, 0], 1.0, id='perfect'),
        pytest.param([0.1, 0.8, 0.9], [1, 0, 0], 1 / 3, id='last'),
        pytest.param([0.5, 0.5, 0.5, 0.5], [1, 0, 0, 1], 0.5, id='all equal'),
        pytest.param([0.9, 0.8, 0.7], [1, 0, 1], (1 + 2 / 3) / 2, id='one between'),
    ],
)
def test_average_precision_by_hand(scores, present, expected):
    found = average_precision(np.array(scores)[:, None], np.array(present, bool)[:, None])
    assert found[0] == pytest.approx(expected)


def test_mean_is_over_classes_that_occur():
    assert mean_of_occurring([0.5, np.nan, 1.0]) == 75
    with pytest.raises(ValueError, match='no image holds any of the classes'):
        mean_of_occurring([np.nan])


def test_the_table_marks_a_class_that_no_image_holds():
    present = np.array([[True, False], [True, False]])
    rows = class_rows(['cat', 'dog'], np.array([0.25, np.nan]), present)
    assert rows == [{'class': 'cat', 'AP': 25.0, 'images': 2}, {'class': 'dog', 'AP': None, 'images': 0}]
    assert [line.split() for line in table(rows).splitlines()] == [
        ['class', 'AP', 'images'],
        ['cat', '25.0', '2'],
        ['dog', '-', '0'],
    ]
