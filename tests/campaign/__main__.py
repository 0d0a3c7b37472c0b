"""The campaign's command line, see the package's head."""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / 'tests'), str(ROOT / 'tests' / 'helpers')]
os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ.setdefault('HF_HUB_OFFLINE', '1')

try:
    from campaign.runner import FAULTS, tried, tried_in_workers
except ImportError as error:  # the package's own sentence, or what it needs
    sys.exit(f'error: {error}')

KINDS = {
    'weights': 20_000,
    'model_folders': 12_000,
    'images': 30_000,
    'masks': 8_000,
    'words': 30_000,
    'settings': 6_000,
    'records': 6_000,
    'imports': 5_000,
    'kills': 60,
    'threads': 10,
}  # name of the file: inputs of a whole campaign


def main(argv: Sequence[str] | None = None) -> int:
    """Try what is asked for and print the table; 1 where there was a fault."""
    parser = argparse.ArgumentParser(prog='campaign', description='Hostile and unlucky inputs.')
    parser.add_argument('--out', type=Path, default=Path('build/campaign'), help='folder of the records')
    parser.add_argument('--kinds', nargs='+', choices=KINDS, default=list(KINDS), metavar='KIND')
    parser.add_argument('--inputs', type=int, help='of each kind (default: of a whole campaign)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--replay', metavar='KIND:NUMBER', help='one input, in this process')
    parser.add_argument('--table', action='store_true', help='try nothing, print the table of what was tried')
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix='campaign-cache-') as cache:
        os.environ['MMSEG_CLIPSURGERY_CACHE'] = cache
        if arguments.replay:
            name, _, number = arguments.replay.partition(':')
            kind = kind_of(name)
            print(tried(kind, kind.prepare(), arguments.seed, int(number), raises=True))
            return 0
        counts = {name: 0 if arguments.table else arguments.inputs or KINDS[name] for name in arguments.kinds}
        rows = [row(name, go_on(name, arguments.out, arguments.seed, counts[name])) for name in counts]
    print(table([*rows, total(rows)]))
    return int(any(one[fault] for one in rows for fault in FAULTS))


def kind_of(name: str) -> Any:
    return importlib.import_module(f'campaign.{name}')


def go_on(name: str, out: Path, seed: int, count: int) -> list[dict[str, Any]]:
    """The records of `count` inputs of a kind, those of an earlier start read from its file; 0: these alone."""
    path = out / f'{name}-{seed}.jsonl'
    path.parent.mkdir(parents=True, exist_ok=True)
    records = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    with path.open('a') as file:
        for found in tried_in_workers(kind_of(name), seed, range(len(records), count)):
            records.append(found)
            print(json.dumps(found), file=file, flush=True)
            if found['outcome'] in FAULTS:
                print(
                    f'{name}:{found["number"]} {found["outcome"]}: {found["label"]}: {found["reason"]}',
                    flush=True,
                )
    return records[:count] if count else records


def row(name: str, records: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """A line of the table: counts of outcomes, and minutes of CPU."""
    records = list(records)
    counts = {
        outcome: sum(one['outcome'] == outcome for one in records)
        for outcome in (*FAULTS, 'accepted', 'refused')
    }
    return dict(kind=name, inputs=len(records), **counts, minutes=sum(one['cpu'] for one in records) / 60)


def total(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {name: sum(one[name] for one in rows) if name != 'kind' else 'all' for name in rows[0]}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    names = list(rows[0])
    lines = [names, ['---'] + ['---:'] * (len(names) - 1)]
    lines += [
        [f'{value:.1f}' if isinstance(value, float) else str(value) for value in one.values()] for one in rows
    ]
    done = subprocess.run(
        ['git', '-C', str(ROOT), 'rev-parse', 'HEAD'], capture_output=True, text=True, check=False
    )
    text = '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)
    return f'{text}\n\ncommit {done.stdout.strip() or "unknown"}'


if __name__ == '__main__':
    sys.exit(main())
