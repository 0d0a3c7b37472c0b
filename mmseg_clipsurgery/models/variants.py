"""Variants of a segmentor: surgeries, each with its own similarity and settings after the windows, in one pass.

    variants = dict(
        sclip=dict(surgery='sclip', test_cfg=dict(logit_scale=65)),
        mine=dict(surgery=dict(name='sclip', last_blocks=3), similarity='released'),
    )

A sample of a prediction says in its meta information whose it is: `sample.variant`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmseg.structures import SegDataSample
from torch import nn

from ..inference.one_pass import OWN_SETTINGS
from ..inference.settings import InferenceSettings
from ..similarity import Similarity
from ..surgery import Surgery


@dataclass(frozen=True)
class Variant:
    """One way to read a segmentor's tower.

    Attributes:
        surgery: how.
        settings: those of `OWN_SETTINGS` that are not the segmentor's.
        similarity: in place of the head's; None: the head's.
    """

    surgery: Surgery
    settings: Mapping[str, Any] = field(default_factory=dict)
    similarity: Similarity | None = None


def read_variants(
    given: Mapping[str, Mapping] | None, test_cfg: Mapping | None, tower: nn.Module
) -> dict[str, Variant]:
    """Variants of a config, checked.

    Args:
        given: name -> dict(surgery=..., test_cfg=..., similarity=...), the latter two where they differ; None: no
            variants.
        test_cfg: the segmentor's.
        tower: the tower that all of them read.

    Raises:
        ValueError: a surgery that the tower can't be read by, or settings that are illegal or can't be a variant's own.
    """
    found = {}
    for name, stated in (given or {}).items():
        surgery, settings, similarity = parts(name, stated)
        InferenceSettings.read({**(test_cfg or {}), **settings}, tower.patch)
        try:
            found[name] = Variant(tower.accepts(surgery), settings, similarity)
        except ValueError as error:
            raise ValueError(f'the variant {name}: {error}') from None
    return found


def parts(name: str, stated: Mapping[str, Any]) -> tuple[Any, dict[str, Any], Similarity | None]:
    """(surgery, own settings, own similarity) of a variant as a config states them.

    Raises:
        ValueError: it states something else, or a setting that all variants share.
    """
    unknown = [key for key in stated if key not in ('surgery', 'test_cfg', 'similarity')]
    if unknown or 'surgery' not in stated:
        raise ValueError(
            f'the variant {name} must be dict(surgery=..., test_cfg=..., similarity=...), got {dict(stated)}'
        )
    settings = dict(stated.get('test_cfg') or {})
    if shared := [key for key in settings if key not in OWN_SETTINGS]:
        raise ValueError(
            f'the variant {name} has a test_cfg.{shared[0]} of its own; variants share all but '
            f'{", ".join(OWN_SETTINGS)}: run it alone'
        )
    return stated['surgery'], settings, stated.get('similarity')


def variant_of(sample: Any) -> str | None:
    """The variant that predicted a sample; None where the model has none."""
    return getattr(sample, 'metainfo', {}).get('variant')


def by_variant(samples: Sequence[SegDataSample]) -> dict[str | None, list[SegDataSample]]:
    """Samples of a batch by the variant that predicted them, each in the order of the images."""
    found: dict[str | None, list[SegDataSample]] = {}
    for sample in samples:
        found.setdefault(variant_of(sample), []).append(sample)
    return found
