"""One evaluator for each variant of a segmentor, in one run."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.evaluator import Evaluator
from mmengine.logging import print_log
from mmengine.registry import EVALUATOR

from ..models.variants import by_variant


@EVALUATOR.register_module()
class VariantsEvaluator(Evaluator):
    """Hands each variant's samples to metrics of its own.

    Args:
        metrics: name of a variant -> configs of its metrics.

    After `evaluate`: `results`, name -> what its metrics give.
    """

    def __init__(self, metrics: Mapping[str, Sequence[Mapping]]) -> None:
        self.parts = {name: Evaluator(list(configs)) for name, configs in metrics.items()}
        super().__init__([])
        self.metrics = [metric for part in self.parts.values() for metric in part.metrics]
        self.results: dict[str, dict[str, Any]] = {}

    def process(self, data_samples: Sequence[Any], data_batch: Any = None) -> None:
        """Count a batch.

        Args:
            data_samples: of all variants, each with its name.
            data_batch: handed on.
        """
        for name, samples in by_variant(data_samples).items():
            assert name is not None
            self.parts[name].process(samples, data_batch)

    def evaluate(self, size: int) -> dict[str, Any]:
        """Results over the `size` images of the data set, under '<variant>/<metric>'."""
        for name, part in self.parts.items():
            print_log(f'results of {name}', 'current')
            self.results[name] = part.evaluate(size)
        return {f'{name}/{key}': value for name, one in self.results.items() for key, value in one.items()}
