"""CLIP Surgery and its training-free neighbours inside MMSegmentation.

Importing the package registers everything in MMSeg, after making sure that this can work here
(`environment.stack`) and that torchvision can be imported (`environment.torchvision_shim`). So import it before
open_clip and mmseg.apis. The doctor comes where none of that works: `python -m mmseg_clipsurgery doctor` gets the
package without any of it.
"""

from mmseg_clipsurgery.environment import stack as environment
from mmseg_clipsurgery.resources import config
from mmseg_clipsurgery.surgery import SURGERIES, Surgery
from mmseg_clipsurgery.version import __version__

if not environment.running_doctor():
    environment.require()

    from mmseg_clipsurgery.environment import torchvision_shim

    torchvision_shim.install()
    torchvision_shim.require()

    # Each of these registers its classes in MMSeg.
    from mmseg_clipsurgery import datasets, evaluation, models  # noqa: F401
    from mmseg_clipsurgery.api.loading import load

__all__ = ['SURGERIES', 'Surgery', '__version__', 'config', 'load']
