"""Calibrated settings as a file, which the command line, the Python interface and configs take.

    {"images": 10, "source": "ImageSets/Segmentation/dev.txt", "surgery": "clip_surgery", "classes": ["background", ..],
     "background": {"logit_scale": .., "area_thd": .., "prob_thd": ..} or null, "one_word": {"threshold": ..},
     "held_out": {"background": {"default": .., "calibrated": .., "gain": .., "spread": .., "folds": 5}, ..}}

`background` holds for these classes alone, `one_word` for any word that is asked for alone.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..environment.files import read_json, reason, write_json
from ..environment.numbers import check_number
from ..environment.paths import user_path
from ..surgery import Surgery
from ..vocabulary import Vocabulary

# Settings of `segment` that a calibration stands in place of, as they are without one.
DEFAULTS: dict[str, Any] = {'logit_scale': 40.0, 'prob_thd': None, 'area_thd': None, 'threshold': 0.0}

SETTINGS = {'background': {'logit_scale', 'area_thd', 'prob_thd'}, 'one_word': {'threshold'}}


@dataclass(frozen=True)
class Calibration:
    """Settings that were chosen on labelled images; the fields are those of the file."""

    images: int
    source: str
    surgery: str
    classes: tuple[str, ...]
    background: Mapping[str, float] | None
    one_word: Mapping[str, float]
    held_out: Mapping[str, Any]

    @classmethod
    def read(cls, path: str | Path) -> 'Calibration':
        """Read a file. Raises FileNotFoundError, or ValueError where it is none that `calibrate` wrote."""
        file = user_path(path)
        if not file.is_file():
            raise FileNotFoundError(
                f'the calibration {path} does not exist; mmseg-clipsurgery calibrate writes one'
            )
        content = read_json(file)
        try:
            stated = {name: content[name] for name in cls.__dataclass_fields__}
            found = cls(**{**stated, 'classes': tuple(content['classes'])})
            found.check()
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f'{path} is no calibration ({reason(error)}); mmseg-clipsurgery calibrate writes one'
            ) from None
        return found

    def check(self) -> None:
        """Refuse fields of a file that is none, or was changed. Raises ValueError."""
        if not isinstance(self.surgery, str) or not all(isinstance(name, str) for name in self.classes):
            raise ValueError('surgery must be a name, and classes a list of names')
        for kind, names in SETTINGS.items():
            settings = getattr(self, kind)
            if kind == 'background' and settings is None:
                continue
            if not isinstance(settings, Mapping) or settings.keys() != names:
                raise ValueError(f'{kind} must hold {" and ".join(sorted(names))}, got {settings}')
            for name in names:
                check_number(f'{kind}.{name}', settings[name])

    def write(self, path: str | Path) -> None:
        """Write the file; folders are made as needed."""
        write_json(path, asdict(self))

    def settings_for(self, vocabulary: Vocabulary, surgery: str) -> dict[str, Any]:
        """The arguments of `segment` that were calibrated for such words.

        Args:
            vocabulary: one word, or the classes that were calibrated.
            surgery: the name of the one in use.

        Raises:
            ValueError: other words, or another surgery.
        """
        if surgery != self.surgery:
            raise ValueError(
                f'the calibration is of surgery {self.surgery}, got {surgery}; calibrate it, too'
            )
        if vocabulary.num_classes == 1:
            return dict(self.one_word)
        if self.background is None or vocabulary.classes != self.classes:
            raise ValueError(
                f'the calibration is of the words {", ".join(self.classes)}, got {", ".join(vocabulary.classes)}; '
                "calibrate these, with a first class 'background'"
            )
        without = {
            name: None for name in ('area_thd', 'prob_thd') if not self.background[name]
        }  # 0 drops nothing
        return {**self.background, **without}

    def note(self) -> dict[str, Any]:
        """What is said of figures that were measured with it."""
        return {'images': self.images, 'source': self.source}


def calibrated(
    test_cfg: Mapping | None, head: Mapping | None, vocabulary: Vocabulary | None, surgery: Any
) -> tuple[Mapping | None, Mapping | None]:
    """(test_cfg, decode_head) of a config with the settings of its `test_cfg.calibration`, a file, in place of theirs.

    Args:
        test_cfg, head: of a segmentor; without such a file they stay as they are.
        vocabulary: its words, None where they come later.
        surgery: its surgery, as `Surgery.read` takes it.

    Raises:
        ValueError, FileNotFoundError: the words are not known yet, or see `Calibration`.
    """
    path = (test_cfg or {}).get('calibration')
    if test_cfg is None or not isinstance(path, str):
        return test_cfg, head
    if vocabulary is None:
        raise ValueError('test_cfg.calibration needs text_encoder.vocabulary, the words it is of; add them')
    calibration = Calibration.read(path)
    settings = calibration.settings_for(vocabulary, Surgery.read(surgery).name)
    if 'threshold' in settings:
        head = {**(head or dict(type='SurgeryHead')), 'threshold': settings.pop('threshold')}
    return {**test_cfg, **settings, 'calibration': calibration.note()}, head
