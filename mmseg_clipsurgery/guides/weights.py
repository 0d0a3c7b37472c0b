"""Where a guide's weights come from: a file, or a model of the Hugging Face hub.

FILE               as it is
'hf-hub:ORG/NAME'  the first of `NAMES` in that repository, fetched or found in the hub's cache
'timm:NAME'        the same of timm's models there, which keep DINO's names: 'timm:vit_base_patch8_224.dino'
"""

from pathlib import Path

from ..environment.files import reason
from ..environment.paths import user_path

NAMES = ('model.safetensors', 'pytorch_model.bin')
PREFIXES = {'hf-hub:': '', 'timm:': 'timm/'}  # how a name begins -> how its repository does


def weights_path(pretrained: str | Path) -> Path:
    """The file that `pretrained` stands for.

    Raises:
        FileNotFoundError: it does not exist, or can't be fetched and is not in the cache.
    """
    given = str(pretrained)
    for prefix, start in PREFIXES.items():
        if given.startswith(prefix):
            return fetched(start + given.removeprefix(prefix), given)
    path = user_path(pretrained)
    if not path.is_file():
        raise FileNotFoundError(f'weights file {path} does not exist')
    return path


def fetched(repository: str, given: str) -> Path:
    """One file of weights of a hub's repository. Raises FileNotFoundError; `given` is what the user wrote."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils import EntryNotFoundError

    error: Exception = FileNotFoundError(f'it has none of {", ".join(NAMES)}')
    for name in NAMES:
        try:
            return Path(hf_hub_download(repository, name))
        except EntryNotFoundError as missing:  # offline: not in the cache
            error = missing
        except Exception as failed:  # the hub's errors have no common base across its releases
            error = failed
            break
    raise FileNotFoundError(
        f'the weights {given} could not be fetched or found in the cache ({reason(error)}); check the name and the '
        'network, or give a file'
    ) from error
