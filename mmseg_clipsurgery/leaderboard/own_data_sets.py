"""A data set of the user's own: any MMSeg data set config with words.

    words = ['background', ['cat', 'kitten'], 'dog']      what `Vocabulary.read` takes, or model.text_encoder.vocabulary
    test_dataloader = dict(dataset=dict(type=..., data_root=..., ...), ...)
    test_evaluator, test_pipeline, title, protocol        where wanted; also model.test_cfg

Its name is the file's stem. A run takes model and runtime of the shipped configs, these parts, and the settings of the
method's protocol, or of the data set's own; what the file says of `test_pipeline` (or its data set's `pipeline`) and of
`model.test_cfg` wins over the protocol. As everywhere in MMSeg, a relative `data_root` is relative to the folder in
which the command is called.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS

from ..datasets.base_datasets import dataset_configs
from ..evaluation.preflight import class_count
from ..protocols.settings import OWN_DATA_SETS, entry, table
from ..resources import config_folder
from ..vocabulary import Vocabulary

DEEP = 255  # more classes than this need masks of 16 bits
DEEP_IGNORED = 65535  # what is left out in them


def read_data_sets(given: Sequence[str]) -> list[str]:
    """Names of data sets; those given as config files are read and entered into `OWN_DATA_SETS`.

    Raises:
        ValueError: a file is no config of a data set with words, does not fit its words, or has a name that is taken.
        FileNotFoundError: there is no such file.
    """
    files = {Path(one).stem: one for one in given if is_file_name(one)}
    twice = [one for one in given if is_file_name(one) and files[Path(one).stem] != one]
    if twice:
        raise ValueError(
            f'{twice[0]} and {files[Path(twice[0]).stem]} give two data sets of one name: rename a file'
        )
    OWN_DATA_SETS.update({name: read_facts(path) for name, path in files.items()})
    return [Path(one).stem if is_file_name(one) else one for one in given]


def is_file_name(name: str) -> bool:
    """Whether a data set is given by its config file: './my_data.py', but not 'voc21'."""
    return name.endswith('.py') or Path(name).name != name


def read_facts(path: str) -> dict[str, Any]:
    """What the table of data sets would say of a config file.

    Raises:
        ValueError, FileNotFoundError: as `read_data_sets`.
    """
    name = Path(path).stem
    if name in table()['data_sets']:
        raise ValueError(f'the data set {path} has the name of a shipped one, {name}: rename the file')
    cfg = load(path)
    source = (cfg.get('test_dataloader') or {}).get('dataset')
    if not source:
        raise ValueError(f'{path} has no test_dataloader with a dataset: it is not the config of a data set')
    words = words_of(cfg, path)
    check_count(path, words, source)
    title = str(cfg.get('title') or name)
    facts: dict[str, Any] = dict(
        title=title, full_title=title, config=str(Path(path).resolve()), words={'leaderboard': words}
    )
    vocabulary = Vocabulary.read(words)
    assert vocabulary is not None
    if vocabulary.num_classes > DEEP:
        facts['deep_labels'] = True
    if cfg.get('protocol'):
        try:
            entry('protocols', cfg.protocol)
        except ValueError as error:
            raise ValueError(f'{path}: {error}') from None
        facts['protocol'] = cfg.protocol
    return facts


def load(path: str) -> Config:
    """The config of a file.

    Raises:
        ValueError: it raises while it is read; the sentence names the error.
        FileNotFoundError: there is no such file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'the data set {path} does not exist: give the config file of a data set')
    try:
        return Config.fromfile(path)
    except Exception as error:  # it is the user's own code
        said = ' '.join(f'{type(error).__name__}: {error}'.split())
        raise ValueError(f'{path} raises while it is read: {said}') from error


def words_of(cfg: Config, path: str) -> Any:
    """The words of a data set's config, as `Vocabulary.read` takes them.

    Raises:
        ValueError, FileNotFoundError: it has none, or they can't be read.
    """
    model = cfg.get('model') or {}
    words = cfg.get('words') or (model.get('text_encoder') or {}).get('vocabulary')
    if not words:
        raise ValueError(
            f'{path} has no words: add words = [...], a word or a list of synonyms for each class of its data set'
        )
    try:
        Vocabulary.read(words)
    except (ValueError, FileNotFoundError) as error:
        raise type(error)(f'the words of {path}: {error}') from None
    return words


def check_count(path: str, words: Any, source: Any) -> None:
    """Compare the number of classes that words and data set have, without a look at its files.

    Raises:
        ValueError: they differ, or the type of the data set is not known.
    """
    vocabulary = Vocabulary.read(words)
    assert vocabulary is not None
    for leaf in dataset_configs(source):
        classes = classes_of(leaf, path)
        if classes is not None and class_count(vocabulary) != len(classes):
            raise ValueError(
                f'{path} has words for {class_count(vocabulary)} classes and its data set has {len(classes)}: '
                'give a word for each class, in their order'
            )


def classes_of(source: Mapping[str, Any], path: str) -> Sequence[str] | None:
    """Class names that a data set's config or type states; None where they are known only once it is built.

    Raises:
        ValueError: no such type is registered.
    """
    init_default_scope('mmseg')
    kind = source.get('type')
    found = DATASETS.get(kind) if isinstance(kind, str) else kind
    if found is None:
        raise ValueError(
            f'{path} has a data set of the unknown type {kind!r}: import the file that registers it, by --import or '
            'custom_imports'
        )
    classes = {**getattr(found, 'METAINFO', {}), **(source.get('metainfo') or {})}.get('classes')
    return None if isinstance(classes, str) else classes


def base_config(facts: Mapping[str, Any]) -> Config:
    """The config of a run on a data set of the user's own, before protocol, method and backbone are set.

    Args:
        facts: what `read_facts` returned.
    """
    base = config_folder() / '_base_'
    cfg = Config.fromfile(base / 'models' / 'clip_surgery_vit-b16_openai.py')
    own = load(facts['config'])
    runtime = Config.fromfile(base / 'default_runtime.py')
    for key, value in runtime.items():
        cfg[key] = value
    cfg.custom_imports.imports += [
        name
        for name in (own.get('custom_imports') or {}).get('imports', [])
        if name not in cfg.custom_imports.imports
    ]
    ignored = dict(ignore_index=DEEP_IGNORED) if facts.get('deep_labels') else {}
    cfg.test_evaluator = own.get('test_evaluator') or dict(
        type='SegmentationMetric', iou_metrics=['mIoU'], **ignored
    )
    cfg.test_dataloader = dict(batch_size=1, sampler=dict(type='DefaultSampler', shuffle=False))
    cfg.test_dataloader.update(own.test_dataloader)
    return cfg


def keep_own_settings(cfg: Config, facts: Mapping[str, Any]) -> None:
    """Let the file's own pipeline and `model.test_cfg` win over those of the protocol, which `cfg` holds."""
    own = load(facts['config'])
    given = own.get('test_pipeline')
    for leaf, stated in zip(
        dataset_configs(cfg.test_dataloader.dataset),
        dataset_configs(own.test_dataloader.dataset),
        strict=True,
    ):
        leaf.pipeline = stated.get('pipeline') or given or cfg.test_pipeline
    if given:
        cfg.test_pipeline = given
    cfg.model.test_cfg.update((own.get('model') or {}).get('test_cfg') or {})
