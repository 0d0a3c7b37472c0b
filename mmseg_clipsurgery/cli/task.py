"""What a task is: its options, the question it asks of each photo, and how a result is told in a line.

A task's module imports nothing heavy at its top, so that `--help` answers before torch is imported: `prepare` runs
after the arguments are parsed and imports what it needs.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np

    from ..api.model import SurgeryModel
    from ..api.results import Result
    from .files import Photo, ResultFiles

    Photos: TypeAlias = list[np.ndarray]
    Ask: TypeAlias = Callable[[SurgeryModel, Photos], Sequence[Result]]


@dataclass(frozen=True)
class Question:
    """What a task asks of each photo.

    Args:
        ask: (model, pixels "H W 3" of photos) -> a result for each; asked of a model of each surgery.
        settings: what else decides the result, for the note beside the results.
        files: ending of a further file -> what writes it: (result, the file's path, the photo's).
        check: looks at the photos before the first one is decoded; raises ValueError.
        end: called after the last photo with all photos that have results, and where those are.
        variants: name -> (model) -> what is asked of one model in place of `ask`, side by side; raises ValueError for
            a model that does not fit.
        compares: what these are, in the singular, for JSON.
        note: what is to be said of a photo beside its results, on stderr; None: nothing.
        of_patches: the results come of patch tokens alone, which on a CPU are mostly the same to the bit in a batch and
            alone (`Encoders.batch_keeps_bits`); the class token, a row a photo, is not.
    """

    ask: 'Ask'
    settings: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Callable[[Any, Path, Path], None]] = field(default_factory=dict)
    check: 'Callable[[list[Photo]], None] | None' = None
    end: 'Callable[[list[Photo], ResultFiles], None] | None' = None
    variants: 'Mapping[str, Callable[[SurgeryModel], Callable[[Photos], Sequence[Result]]]]' = field(
        default_factory=dict
    )
    compares: str = 'surgery'
    note: Callable[[Any], str | None] | None = None
    of_patches: bool = False

    def asks(self, models: 'Mapping[str, SurgeryModel]') -> 'dict[str, Callable[[Photos], Sequence[Result]]]':
        """What is asked of photos, by name.

        Args:
            models: by their surgeries' names.
        """
        if not self.variants:
            return {name: partial(self.ask, model) for name, model in models.items()}
        model = next(iter(models.values()))
        return {name: bind(model) for name, bind in self.variants.items()}


@dataclass(frozen=True)
class Task:
    """A command on photos.

    Args:
        name: as on the command line.
        about: one sentence.
        add_options: adds its own options.
        prepare: parsed options -> the question; raises ValueError, FileNotFoundError or ImportError with a remedy.
        tell: a result in a few words, printed where one photo is asked about.
        size: the input size that `--short-side` sets, an argument of `load`.
        always_json: the result is numbers first of all.
    """

    name: str
    about: str
    add_options: Callable[[argparse._ArgumentGroup], None]
    prepare: Callable[[argparse.Namespace], Question]
    tell: Callable[[Any], str]
    size: str = 'explain_side'
    always_json: bool = False
