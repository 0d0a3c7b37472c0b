"""The wheel holds `mmseg_clipsurgery/.mim/{configs,tools,model-index.yml}` (OpenMMLab's way).

The package is described in pyproject.toml. An editable installation uses the folders of the checkout instead (see
mmseg_clipsurgery/resources/__init__.py).
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
SHIPPED = ('configs', 'tools')


class BuildWithConfigs(build_py):
    """build_py, then a copy of configs and tools beside the built modules."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / 'mmseg_clipsurgery' / '.mim'
        shutil.rmtree(target, ignore_errors=True)  # what an earlier build left in the build folder
        target.mkdir(parents=True)
        shutil.copy(ROOT / 'model-index.yml', target)
        for name in SHIPPED:
            shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns('__pycache__', '*.pyc'))


setup(cmdclass={'build_py': BuildWithConfigs})
