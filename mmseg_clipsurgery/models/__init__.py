"""What MMSeg registers: towers, guides, text encoder, head, preprocessor, segmentor, recogniser, augmentation."""

from ..environment.stack import mmseg_installed

if mmseg_installed():
    from ..environment import mmseg_ready  # noqa: F401 - before mmseg

    # isort: split
    from mmseg.registry import MODELS

    from ..clip.families import FAMILIES
    from ..clip.text_encoder import OpenCLIPTextEncoder
    from ..guides import GUIDES
    from . import head, preprocessor, recogniser, segmentor, tta  # noqa: F401

    def register_towers() -> None:
        """Register the towers of all families and all guides, those that were added since the last call, too."""
        for tower in (*FAMILIES.values(), *GUIDES.values()):
            if tower.__name__ not in MODELS.module_dict:
                MODELS.register_module(module=tower)

    register_towers()
    MODELS.register_module(module=OpenCLIPTextEncoder)
