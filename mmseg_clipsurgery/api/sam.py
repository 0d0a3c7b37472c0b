"""From points to a mask: SAM and SAM 2 through Hugging Face transformers (the extra `[sam]`).

    photo, points -> processor -> model -> three masks with the model's own scores -> the best, at the photo's size

The best of three as in CLIP Surgery's demo (arXiv 2304.05653, text to points). A model is a hub name
('facebook/sam-vit-base', 'facebook/sam2.1-hiera-tiny') or a local folder in transformers' form. transformers is
imported when a model is asked for, not before.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..clip.remote_code import refuse_code_in
from .results import Points, PromptedMask

REMEDY = 'pip install "mmseg_clipsurgery[sam]"'
CLASSES = {  # model_type of the config -> (model, processor)
    'sam': ('SamModel', 'SamProcessor'),
    'sam2': ('Sam2Model', 'Sam2Processor'),
    'sam2_video': ('Sam2Model', 'Sam2Processor'),  # what SAM 2's own folders say; images need the image model
}


class Sam:
    """A SAM or SAM 2 that draws masks from `Points`.

    Args:
        model: a hub name, or a folder with config, weights and processor settings.

    Raises:
        ImportError: transformers is not installed, or too old for the model; with the remedy.
        FileNotFoundError: the model can't be found or fetched.
        ValueError: it is neither SAM nor SAM 2, or names code.
    """

    def __init__(self, model: str | Path):
        transformers = import_transformers()
        refuse_code_in(model)
        try:
            kind = transformers.AutoConfig.from_pretrained(model, trust_remote_code=False).model_type
        except (OSError, ValueError) as error:
            raise FileNotFoundError(
                f'{model} could not be fetched or found as a SAM of transformers ({first_line(error)}); give a hub '
                'name such as facebook/sam-vit-base, or a folder'
            ) from error
        if kind not in CLASSES:
            raise ValueError(f'{model} is a {kind!r} model; give one of {", ".join(CLASSES)}')
        names = CLASSES[kind]
        if missing := [name for name in names if not hasattr(transformers, name)]:
            raise ImportError(
                f'transformers {transformers.__version__} has no {missing[0]}; mend it with: {REMEDY} --upgrade'
            )
        model_class, processor_class = (getattr(transformers, name) for name in names)
        self.model = model_class.from_pretrained(model).eval()
        self.processor = processor_class.from_pretrained(model)

    def to(self, device: str | torch.device) -> 'Sam':
        self.model.to(device)
        return self

    @torch.inference_mode()
    def mask(self, points: Points) -> PromptedMask:
        """The mask of the points' target.

        Raises:
            ValueError: there are no points.
        """
        if not len(points.xy):
            raise ValueError(
                f'there are no points for {points.text!r} (its map has no contrast), so nothing to draw a mask from'
            )
        inputs = self.processor(
            images=points.pixels.copy(),  # may be read-only, which torch warns of
            input_points=[[points.xy.astype(float).tolist()]],
            input_labels=[[points.labels.astype(int).tolist()]],
            return_tensors='pt',
        ).to(self.model.device)
        sizes = {
            name: inputs.pop(name).cpu()
            for name in ('original_sizes', 'reshaped_input_sizes')
            if name in inputs
        }
        found = self.model(**inputs, multimask_output=True)
        masks = self.processor.post_process_masks(found.pred_masks.cpu(), **self._sizes(sizes))[0][0]
        best = int(found.iou_scores[0, 0].argmax())
        score = float(found.iou_scores[0, 0, best])
        return PromptedMask(points.pixels, points, np.asarray(masks[best], dtype=bool), score)

    def _sizes(self, sizes: dict[str, torch.Tensor]) -> dict[str, Any]:
        """What the processor needs to bring masks back to the photo: lists, which every release takes."""
        return {name: value.tolist() for name, value in sizes.items()}


def import_transformers() -> Any:
    """transformers.

    Raises:
        ImportError: it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise ImportError(
            f'SAM needs transformers, which is not installed; mend it with: {REMEDY}'
        ) from error
    return transformers


def first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
