"""torchrun, with the exit codes and sentences of the package's own commands: `tools/dist_test.sh` starts it.

    python -m mmseg_clipsurgery.cli.launch [options of torchrun] SCRIPT ...

torchrun ends a signal, and a mistake that a process has told already, in a traceback of its own.
"""

import os
import signal
import sys
from collections.abc import Sequence

from ..environment.interrupts import LAUNCHED
from ..environment.mistakes import SIGNALLED, STOPPED, guarded


def main(argv: Sequence[str] | None = None) -> int:
    """Start the processes and wait for them; the exit code."""
    codes: list[int] = []
    given = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: codes.append(launch(given))) or codes[0]


def launch(arguments: Sequence[str]) -> int:
    """Start the processes that torchrun's arguments ask for; the exit code."""
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    os.environ[LAUNCHED] = '1'
    try:
        run.run(run.parse_args(list(arguments)))
    except (SignalException, KeyboardInterrupt) as error:
        print(f'\n{STOPPED}', file=sys.stderr)
        return SIGNALLED + getattr(error, 'sigval', signal.SIGINT)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:  # it could say nothing
            name = signal.Signals(-failure.exitcode).name
            print(f'error: process {rank} was ended by {name}; see its log, and to memory', file=sys.stderr)
            return SIGNALLED - failure.exitcode
        return failure.exitcode
    return 0


if __name__ == '__main__':
    sys.exit(main())
