"""CLIP Surgery and its training-free neighbours inside MMSegmentation.

Importing the package registers everything in MMSeg, after making sure that this can work here (`environment`) and
that torchvision can be imported (`torchvision_shim`). So import it before open_clip and mmseg.apis. The doctor comes
where none of that works: `python -m mmseg_clipsurgery doctor` gets the package without any of it.
"""

from mmseg_clipsurgery import environment
from mmseg_clipsurgery.shipped import config
from mmseg_clipsurgery.surgery import SURGERIES, Surgery
from mmseg_clipsurgery.version import __version__

if not environment.running_doctor():
    environment.require()

    from mmseg_clipsurgery import torchvision_shim

    torchvision_shim.install()
    torchvision_shim.require()

    from mmseg_clipsurgery import (  # noqa: F401  (each registers its classes in MMSeg)
        backbone,
        datasets,
        explainability,
        head,
        heat_map_hook,
        hooks,
        loading,
        metrics,
        preprocessor,
        recognition,
        segmentor,
        text_encoder,
        tta,
    )
    from mmseg_clipsurgery.api import load

__all__ = ['SURGERIES', 'Surgery', '__version__', 'config', 'load']
