"""Settings of our own classes in a config: one that a class does not know is refused by name, not dropped."""

import difflib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.registry import Registry
from mmseg.registry import DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS

from ..datasets.base_datasets import dataset_configs

PACKAGE = __name__.partition('.')[0]
ALWAYS = {'type', '_scope_', 'priority'}  # what a registry and MMEngine's Runner take out


def check_keywords(cfg: Config) -> None:
    """Refuse unknown settings of the package's models, metrics, hooks, data sets and transforms.

    Raises:
        ValueError: names class and setting, and the nearest that there is.
    """
    for registry, part in parts_of(cfg):
        kind = class_of(registry, part)
        if kind is None or kind.__module__.partition('.')[0] != PACKAGE:
            continue
        known = settings_of(kind)
        if unknown := sorted(set(part) - known - ALWAYS):
            near = difflib.get_close_matches(unknown[0], known, n=1)
            hint = f'did you mean {near[0]}' if near else f'there are {", ".join(sorted(known))}'
            raise ValueError(f'{kind.__name__} has no setting {unknown[0]!r}: {hint}')


def parts_of(cfg: Config) -> Iterator[tuple[Registry, Mapping[str, Any]]]:
    """The dicts of a config that become objects, each with the registry of its class."""
    yield from ((MODELS, part) for part in nested([cfg.get('model'), cfg.get('tta_model')]))
    yield from ((METRICS, part) for part in nested(cfg.get('test_evaluator')))
    yield from ((HOOKS, part) for part in nested(cfg.get('custom_hooks')))
    source = (cfg.get('test_dataloader') or {}).get('dataset')
    sources = list(dataset_configs(source)) if source else []
    yield from ((DATASETS, part) for part in sources if 'type' in part)
    pipelines = [part.get('pipeline') for part in sources] + [cfg.get('tta_pipeline')]
    yield from ((TRANSFORMS, part) for part in nested(pipelines))


def nested(value: Any) -> Iterator[Mapping[str, Any]]:
    """The dicts with a `type` in a config's value, at any depth."""
    if isinstance(value, Mapping):
        if 'type' in value:
            yield value
        for inner in value.values():
            yield from nested(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from nested(inner)


def class_of(registry: Registry, part: Mapping[str, Any]) -> type | None:
    """The class that a dict's `type` names; None where it names none."""
    kind = part['type']
    kind = registry.get(kind) if isinstance(kind, str) else kind
    return kind if isinstance(kind, type) else None


def settings_of(kind: type) -> set[str]:
    """Names of the arguments of a class, of its bases' too as far as it hands further ones on."""
    names: set[str] = set()
    for base in kind.__mro__:
        if '__init__' not in vars(base):
            continue
        parameters = list(inspect.signature(vars(base)['__init__']).parameters.values())[1:]
        names |= {
            parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_POSITIONAL
        }
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
        names -= {parameter.name for parameter in parameters if parameter.kind is parameter.VAR_KEYWORD}
    return names
