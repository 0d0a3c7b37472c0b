"""What parsers say without importing torch is what the modules say that import it."""

import argparse

from mmseg_clipsurgery.api.results.base import OPACITY
from mmseg_clipsurgery.cli import heatmaps, options, recognise
from mmseg_clipsurgery.similarity import SIMILARITIES

import pytest


def option(add, name: str) -> argparse.Action:
    parser = argparse.ArgumentParser()
    add(parser)
    return next(action for action in parser._actions if name in action.option_strings)


def test_opacity_is_that_of_the_figures():
    assert option(options.add_common, '--opacity').default == OPACITY


def test_forms_are_the_similarities():
    assert set(option(heatmaps.add_options, '--form').choices) == set(SIMILARITIES)
    assert set(option(recognise.add_options, '--form').choices) == set(SIMILARITIES) - {'cosine'}


@pytest.mark.parametrize(('text', 'side'), [('auto', 'auto'), ('own', None), ('448', 448)])
def test_short_side(text, side):
    assert options.side(text) == side
