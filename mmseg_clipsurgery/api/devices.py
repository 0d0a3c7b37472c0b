"""Which device a user names, and whether it is here."""

import torch


def check_device(device: str | torch.device) -> torch.device:
    """The device.

    Raises:
        ValueError: it is not known, or not here.
    """
    try:
        found = torch.device(device)
        if found.type == 'meta':
            raise ValueError(
                'the device meta holds shapes and no numbers; give one that computes, such as cpu'
            )
        torch.zeros(1, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip('.')
        raise ValueError(
            f'the device {str(device)!r} is not available ({reason}); give another, cpu is everywhere'
        ) from None
    return found
