"""Files of the Hugging Face hub: from its cache where they are there, and one question before a download.

The hub's client asks five times, for half a minute a file, before it says that there is no network; so whether the
repository is there and can be reached is asked first, once.
"""

from collections.abc import Iterable
from pathlib import Path

SECONDS = 10  # to wait for the hub's answer


def cached_file(repository: str, names: Iterable[str], cache_dir: str | None = None) -> Path | None:
    """The first of some files of a repository that lies in the hub's cache; None: none of them does."""
    from huggingface_hub import try_to_load_from_cache

    found = (try_to_load_from_cache(repository, name, cache_dir=cache_dir) for name in names)
    return next((Path(path) for path in found if isinstance(path, str)), None)


def ask_for(repository: str) -> None:
    """Ask the hub once for a repository.

    Raises:
        ConnectionError: the hub does not answer, or is switched off.
        Exception: what the hub's client makes of its answer.
    """
    from huggingface_hub import HfApi

    try:
        HfApi().model_info(repository, timeout=SECONDS)
    except OSError as error:  # of requests, and of the client where HF_HUB_OFFLINE is set
        if getattr(error, 'response', None) is None:
            raise ConnectionError('the hub does not answer') from error
        raise


def of_tag(tag: dict, cache_dir: str | None = None) -> Path | None:
    """The cached file of an open_clip tag that names the hub; None: it is to be fetched from there, or elsewhere.

    Args:
        tag: open_clip's entry, `hf_hub` in the form 'org/name/' or 'org/name/file'.
        cache_dir: where downloads go.

    Raises:
        Exception: it is not in the cache, and the hub can't be asked for it; the hub's errors have no common base.
    """
    repository, _, name = (tag.get('hf_hub') or '').rpartition('/')
    if not repository:
        return None
    own = ['open_clip_model.safetensors', 'open_clip_pytorch_model.bin']
    names = [f'{Path(name).stem}.safetensors', name] if name else own
    found = cached_file(repository, names, cache_dir)
    if found is None:
        ask_for(repository)
    return found
