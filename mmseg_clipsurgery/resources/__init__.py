"""What travels with the package: words, templates, protocols, published figures, the embedded model; and the configs.

Configs are beside the package in a checkout, under `.mim` in an installed wheel.
"""

from pathlib import Path

RESOURCES = Path(__file__).resolve().parent
PACKAGE = RESOURCES.parent


def config(name: str) -> str:
    """Path of a shipped config, for `mmengine.Config.fromfile`.

    Args:
        name: file name with or without '.py', such as 'clipsurgery_voc'.

    Raises:
        ValueError: there is no such config; the sentence lists those that are there.
    """
    folder = config_folder()
    names = sorted(path.stem for path in folder.glob('*.py'))
    stem = name.removesuffix('.py')
    if stem not in names:
        raise ValueError(f'no config {name!r} is shipped; take one of: {", ".join(names)}')
    return str(folder / f'{stem}.py')


def config_folder() -> Path:
    """Folder of the shipped configs.

    Raises:
        FileNotFoundError: this installation has none.
    """
    # setup.py stands beside configs/ in a checkout only; some other project's configs/ must not be taken for ours.
    checkout = PACKAGE.parent / 'configs'
    if checkout.is_dir() and (PACKAGE.parent / 'setup.py').is_file():
        return checkout
    installed = PACKAGE / '.mim' / 'configs'
    if not installed.is_dir():
        raise FileNotFoundError(
            f'no configs in {installed}: install the package again, from a wheel or a checkout'
        )
    return installed
