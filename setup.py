"""The package; configs and tools go into the wheel as `mmseg_clipsurgery/.mim/{configs,tools}`, as OpenMMLab's do.

An editable installation uses those of the checkout instead (see mmseg_clipsurgery/resources/__init__.py).
"""

import runpy
import shutil
from pathlib import Path

from setuptools import find_packages, setup
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
        for name in SHIPPED:
            shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns('__pycache__', '*.pyc'))


def read(name: str) -> str:
    path = ROOT / name
    return path.read_text(encoding='utf-8') if path.is_file() else ''


setup(
    name='mmseg_clipsurgery',
    version=runpy.run_path(str(ROOT / 'mmseg_clipsurgery' / 'version.py'))['__version__'],
    description='CLIP Surgery and its training-free neighbours as open-vocabulary segmentors, also in MMSegmentation',
    long_description=read('README.md'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    keywords='open-vocabulary semantic segmentation, CLIP, CLIP Surgery, MMSegmentation',
    packages=find_packages(include=['mmseg_clipsurgery', 'mmseg_clipsurgery.*']),
    package_data={'mmseg_clipsurgery': ['resources/**']},
    python_requires='>=3.10',
    # What the Python interface, the commands on photos, pictures and the scenes need. MMSegmentation comes in two
    # distributions that exclude each other, so neither is required (environment/stack.py).
    install_requires=[
        'torch>=2.0',
        'torchvision',
        'open_clip_torch>=2.20',
        'huggingface_hub',
        'safetensors',
        'numpy',
        'opencv-python',
        'Pillow',
        'matplotlib',
    ],
    extras_require={
        'onedl': ['onedl-mmengine>=0.10.8', 'onedl-mmcv>=2.3', 'onedl-mmsegmentation>=1.4'],
        # Without mmcv, which must be compiled against the torch that is installed.
        'openmmlab': ['mmengine>=0.10', 'mmsegmentation>=1.2,<2', 'setuptools<81'],
        'sam': ['transformers>=4.40'],
        'dev': ['hypothesis', 'mypy', 'pytest', 'pytest-xdist', 'ruff', 'scipy'],
    },
    entry_points={'console_scripts': ['mmseg-clipsurgery = mmseg_clipsurgery.__main__:main']},
    cmdclass={'build_py': BuildWithConfigs},
    classifiers=[
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
)
