"""Many predictors in one pass over the pixels: windows are cut once, and CLIP is read once by all their surgeries.

    images -> windows -> tower.read_many -> of each predictor: similarity -> tiled logits -> labels by its own settings

Predictors that share a pass differ in surgery, similarity and in what comes after the windows (`OWN_SETTINGS`); those
of one surgery share its tokens. What each of them gives equals to the bit what it gives alone. Of one window batch the
tokens of all surgeries are in memory at once; of an image the tiled logits of all of them, which are small; label maps
are made predictor by predictor.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..structures import TextQueries
from ..surgery import Surgery
from .predictor import Prediction, Predictor, without_dropped
from .settings import InferenceSettings
from .tiled_logits import Size, TiledLogits
from .windows import window_logits_of_many

OWN_SETTINGS = (
    'logit_scale',
    'prob_thd',
    'area_thd',
    'pamr',
    'feedback',
    'calibration',
    'explainer',
)  # of `test_cfg`, that predictors of a pass may differ in


@torch.no_grad()
def predict_together(
    predictors: Mapping[str, Predictor],
    images: Sequence[Tensor],
    queries: TextQueries,
    sizes: Sequence[Size] | None = None,
    flips: Sequence[tuple[int, ...]] | None = None,
    keep: Sequence[Tensor | None] | None = None,
) -> dict[str, list[Prediction]]:
    """What `Predictor.predict` gives for each of these predictors, in one pass.

    Args:
        predictors: by names of the caller's; they share tower, runner and all settings but `OWN_SETTINGS`.
        images, queries, sizes, flips, keep: as `Predictor.predict`.

    Returns:
        Name -> a prediction for each image, in the order given.

    Raises:
        ValueError: no predictor, or predictors that can't share a pass.
    """
    logits = logits_together(predictors, images, queries, keep)
    asked = {name: one.settings.explainer for name, one in predictors.items() if one.settings.explainer}
    explained = check_shared(predictors).explained_by(dict.fromkeys(asked.values()), images, queries)
    return {
        name: predictor.predictions(
            logits[name], images, queries, sizes, flips, explained.get(asked.get(name))
        )
        for name, predictor in predictors.items()
    }


@torch.no_grad()
def logits_together(
    predictors: Mapping[str, Predictor],
    images: Sequence[Tensor],
    queries: TextQueries,
    keep: Sequence[Tensor | None] | None = None,
) -> dict[str, list[TiledLogits]]:
    """What `Predictor.logits` gives for each of these predictors, in one pass; arguments as `predict_together`."""
    first = check_shared(predictors)
    tower, settings = first.tower, first.settings
    rules = {name: rule for name, one in predictors.items() if (rule := one.feedback(queries))}
    read_as = shared_readings({name: one.surgery or tower.surgery for name, one in predictors.items()}, rules)
    surgeries = {name: predictors[name].surgery or tower.surgery for name in read_as.values()}
    whole = {name: one.whole_class_tokens(images) for name, one in predictors.items()}
    class_token = any(one.class_token and whole[name] is None for name, one in predictors.items())

    def grids_of(windows: Tensor, of: list[int]) -> list[Tensor]:
        features = (one.guide_features(windows) for one in predictors.values())
        guide = next((found for found in features if found is not None), None)
        tokens = first.runner.read_many(tower, windows, surgeries, class_token, guide, rules)
        views = {name: None if found is None else found[of] for name, found in whole.items()}
        return [
            one.grid_logits(tokens[read_as[name]], queries, views[name]) for name, one in predictors.items()
        ]

    crop, stride = settings.windows
    pad_to = settings.pad_to(tower.patch)
    by_image = window_logits_of_many(images, grids_of, crop, stride, settings.window_batch, pad_to)
    found = {name: [logits[place] for logits in by_image] for place, name in enumerate(predictors)}
    return found if keep is None else {name: without_dropped(one, keep) for name, one in found.items()}


def shared_readings(surgeries: Mapping[str, Surgery], alone: Container[str]) -> dict[str, str]:
    """Name -> the first name of an equal surgery, whose tokens serve both.

    Args:
        surgeries: by names of predictors.
        alone: names of those whose tokens are their own: they are read twice.
    """
    found: dict[str, str] = {}
    for name, surgery in surgeries.items():
        first = (other for other in found.values() if other not in alone and surgeries[other] == surgery)
        found[name] = name if name in alone else next(first, name)
    return found


def check_shared(predictors: Mapping[str, Predictor]) -> Predictor:
    """The first predictor, once it is known that all of them can share a pass.

    Raises:
        ValueError: there is none, or they can't; the sentence says what differs.
    """
    if not predictors:
        raise ValueError('got no predictor; give at least one')
    (first_name, first), *others = predictors.items()
    for name, one in others:
        if (one.tower, one.runner, one.guide) != (first.tower, first.runner, first.guide):
            raise ValueError(f'{first_name} and {name} have towers of their own, so they can share no pass')
        if shared_settings(one.settings) != shared_settings(first.settings):
            raise ValueError(
                f'{first_name} and {name} can share no pass: settings other than {", ".join(OWN_SETTINGS)} differ'
            )
    return first


def shared_settings(settings: InferenceSettings) -> InferenceSettings:
    """Settings without those that are a predictor's own."""
    defaults = InferenceSettings()
    return replace(settings, **{name: getattr(defaults, name) for name in OWN_SETTINGS})
