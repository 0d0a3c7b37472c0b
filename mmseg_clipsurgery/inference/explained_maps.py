"""Maps of explainers in place of logits: whole images, never windows, whose gradients could not be compared.

    images -> explainers (`explainers.table`), which share CLIP's path -> maps "q h w" -> in the form of tiled logits

So what follows is what follows logits: the flip is undone, maps are resized to the original, a class has the maximum
over its queries.
"""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

from ..compatibility import check_has_guide, reads_guide
from ..explainers.explainer import Explainer, check_explainer, explain_together
from ..explainers.table import explainer_named
from ..structures import TextQueries
from .precision import TowerRunner
from .settings import InferenceSettings
from .tiled_logits import TiledLogits
from .windows import window_logits_of_many


def explained_logits(
    explainers: Mapping[str, Explainer],
    tower: nn.Module,
    runner: TowerRunner,
    images: Sequence[Tensor],
    queries: TextQueries,
    batch: int,
    guide_features: Callable[[Tensor], Tensor] | None = None,
) -> dict[str, list[TiledLogits]]:
    """Maps of whole images by explainers.

    Args:
        explainers: by names of the caller's.
        tower: an image tower of `clip.towers`.
        runner: says in which precision.
        images: each "3 H W", normalised, of any sizes.
        queries: embedded words.
        batch: images of one size that the tower takes at once.
        guide_features: from images "b 3 H W" to a second tower's features, for surgeries that read them.

    Returns:
        Name -> one for each image, with the queries' maps as its logits.
    """
    surgeries = [row.surgery for row in explainers.values() if row.surgery is not None]
    reads = guide_features if any(map(reads_guide, surgeries)) else None

    def grids_of(batched: Tensor, of: list[int]) -> list[Tensor]:
        guide = None if reads is None else reads(batched)
        with runner.context(batched.device.type):
            found = explain_together(
                explainers, tower, batched, queries.embeddings, queries.empty, guide, queries.asked
            )
        return [maps.float() for maps in found.values()]

    if not explainers:
        return {}
    by_image = window_logits_of_many(images, grids_of, None, None, batch, None)
    return {name: [maps[place] for maps in by_image] for place, name in enumerate(explainers)}


def check_explained(settings: InferenceSettings, tower: nn.Module, guide: nn.Module | None) -> None:
    """Refuse an explainer that towers do not fit. Raises ValueError."""
    if settings.explainer is not None:
        row = explainer_named(settings.explainer)
        check_explainer(row, tower)
        if row.surgery is not None:
            check_has_guide(guide, row.surgery)
