"""docs/performance.md and its figure from a measured file, and the table of the command. Nothing is typed by hand."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import aims, figures, page
from .memory import ROOT

PAGE = ROOT / 'docs' / 'performance.md'
RESULTS = 'results/performance_cpu.json'
RESULTS_GPU = 'results/performance_cuda.json'
PACKAGES = ('python', 'torch', 'open_clip', 'mmseg', 'mmengine')
AIM_COLUMNS = ('what', 'aim', 'measured', 'kept')
VARIANT_COLUMNS = ('variant', 'seconds', 'wall', 'to the plain forward', 'GFLOP', 'GB', 'GFLOP/s')
KINDS = {
    'plain': "open_clip's own forward",
    'tower': 'our tower',
    'labels': 'to labels, ours',
    'published': 'to labels, published steps',
    'window by window': 'to labels, one window at a time',
}
COST_COLUMNS = ('seconds', 'GFLOP', 'GB', 'GFLOP/s', 'GB/s')
Section = Mapping[str, Any]


def write(found: Mapping[str, Any], path: Path = PAGE) -> None:
    """The page, and its figure beside it; what was measured on a GPU is added where its file is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text(found, measured_on_gpu()))
    figures.write(found['sections'], path.parent)


def table(found: Mapping[str, Any]) -> str:
    """The aims and every variant, for a terminal."""
    device = 'cpu' if found['machine']['device'] == 'cpu' else 'cuda'
    lines = list(aligned(AIM_COLUMNS, aims.rows(found['sections'], device)))
    for name in ('image', 'slide'):
        if name in found['sections']:
            lines += ['', *aligned(VARIANT_COLUMNS, variant_rows(found['sections'][name]))]
    return '\n'.join(lines)


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        yield '  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def measured_on_gpu() -> Mapping[str, Any] | None:
    """What the file of the GPU holds; None where there is none."""
    path = ROOT / RESULTS_GPU
    return json.loads(path.read_text()) if path.is_file() else None


def text(found: Mapping[str, Any], on_gpu: Mapping[str, Any] | None = None) -> str:
    """The page."""
    return '\n\n'.join([head(found), *parts(found), gpu(on_gpu) if on_gpu else page.GPU]) + '\n'


def parts(found: Mapping[str, Any]) -> list[str]:
    """What was measured, section by section."""
    return [part(found['sections'][name], found) for name, part in PARTS.items() if name in found['sections']]


def gpu(found: Mapping[str, Any]) -> str:
    """All of it on a GPU, a level deeper."""
    return page.GPU_MEASURED.format(
        device=found['machine']['device'],
        torch=found['machine']['versions']['torch'],
        date=found['settings']['date'],
        file=RESULTS_GPU,
        aims=markdown(AIM_COLUMNS, aims.rows(found['sections'], 'cuda')),
        parts='\n\n'.join(parts(found)).replace('## ', '### '),
    )


def head(found: Mapping[str, Any]) -> str:
    machine = found['machine']
    versions = ', '.join(f'{name} {machine["versions"].get(name, "-")}' for name in PACKAGES)
    return page.HEAD.format(
        **{**machine, 'versions': versions, 'commit': commits(found)},
        **{**found['settings'], 'rounds': rounds(found)},
        file=RESULTS,
        others=' to '.join(f'{share:.0%}' for share in least_and_most(found['sections'])),
        aims=markdown(AIM_COLUMNS, aims.rows(found['sections'])),
    )


def commits(found: Mapping[str, Any]) -> str:
    """Shortened, each with the sections that were measured at it."""
    return with_sections({name: str(section['commit'])[:10] for name, section in found['sections'].items()})


def rounds(found: Mapping[str, Any]) -> str:
    """How many, each with the sections that had so many; a section may have several."""
    numbers = {name: sorted(rounds_in(section)) for name, section in found['sections'].items()}
    return with_sections({name: ' and '.join(map(str, found)) for name, found in numbers.items() if found})


def rounds_in(value: Any) -> set[int]:
    """Of all intervals in a section."""
    if isinstance(value, Mapping):
        inner = set().union(*(rounds_in(one) for one in value.values()))
        return inner | ({value['rounds']} if 'median' in value else set())
    return set().union(*(rounds_in(one) for one in value)) if isinstance(value, list) else set()


def with_sections(values: Mapping[str, str]) -> str:
    """Section -> value as 'value (section, section); value (section)'."""
    names: dict[str, list[str]] = {}
    for name, value in values.items():
        names.setdefault(value, []).append(name)
    return '; '.join(f'{value} ({", ".join(sections)})' for value, sections in names.items())


def least_and_most(sections: Mapping[str, Any]) -> list[float]:
    """The smallest and the largest share of the cores that others had in a section; one where they are the same."""
    shares = [section['others'] for section in sections.values() if section.get('others') is not None]
    return sorted({round(share, 2) for share in (min(shares), max(shares))}) if shares else []


def image(section: Section, found: Mapping[str, Any]) -> str:
    def rate(name: str) -> float:
        one = section['variants'][name]
        return one['gflop'] / one['wall']['median'] / found['machine']['peak_gflops']

    return page.IMAGE.format(
        variants=markdown(VARIANT_COLUMNS, variant_rows(section)),
        pairs=pairs(section),
        difference=section['agreement']['largest difference of tokens'],
        plain_rate=rate('plain'),
        tower_rate=rate('tower, patches only'),
    )


def slide(section: Section, found: Mapping[str, Any]) -> str:
    return page.SLIDE.format(
        variants=markdown(VARIANT_COLUMNS, variant_rows(section)),
        pairs=pairs(section),
        same=section['agreement']['share of equal labels, window by window'],
    )


def variant_rows(section: Section) -> list[tuple[str, ...]]:
    return [
        (
            in_words(name),
            spread(one['seconds']),
            f'{one["wall"]["median"]:.3g}',
            spread(one['ratio']),
            f'{one["gflop"]:.0f}',
            f'{one["gbyte"]:.1f}',
            f'{one["gflop"] / one["wall"]["median"]:.0f}',
        )
        for name, one in section['variants'].items()
    ]


def in_words(name: str) -> str:
    """'labels, 59, noise image' -> 'to labels, ours, 59 classes, noise image'."""
    kind, *rest = name.split(', ')
    return ', '.join([KINDS[kind], *(f'{part} classes' if part.isdigit() else part for part in rest)])


def pairs(section: Section) -> str:
    return '\n'.join(f'- {name}: {spread(value)} x' for name, value in section['pairs'].items())


def memory(section: Section, found: Mapping[str, Any]) -> str:
    measured = ('weights', 'tower on one window batch', 'labels')
    rows = [
        (k, *(f'{one[key]:.0f}' for key in measured), f'{section["two full buffers"][k]:,.0f}')
        for k, one in section['classes'].items()
    ]
    columns = (
        'classes',
        'weights',
        'the tower alone on one batch',
        'to labels',
        'two full fp32 buffers (on paper)',
    )
    height, width = section['size']
    return page.MEMORY.format(
        width=width, height=height, window_batch=section['window batch'], rows=markdown(columns, rows)
    )


def text_part(section: Section, found: Mapping[str, Any]) -> str:
    whole, second = section['whole list'], section['second start']
    ways = {'class by class': 'class by class, full length', 'ours': 'ours'}
    rows = [
        (
            way,
            spread(section['seconds a class'][key]),
            f'{section["seconds a class"][key]["median"] * whole["words"]:.0f}',
        )
        for key, way in ways.items()
    ]
    return page.TEXT.format(
        rows=markdown(('way', 'seconds a class', 'seconds, scaled'), rows),
        templates=section['templates'],
        context=section['context length'],
        tokens=section['mean tokens'],
        group=section['words in a group'],
        faster=spread(section['faster']),
        difference=section['largest difference'],
        second=spread(second['wall']),
        second_difference=second['largest difference'],
        **whole,
    )


def processes(section: Section, found: Mapping[str, Any]) -> str:
    if 'left out' in section:
        return f'## Processes\n\nLeft out: {section["left out"]}.'
    rate, seconds = section['images a second'], section['seconds of the command']
    rows = [(count, spread(rate[count]), spread(seconds[count])) for count in rate]
    return page.PROCESSES.format(
        images=section['images'],
        rows=markdown(('processes', 'images a second', 'seconds of the whole command'), rows),
        faster=spread(section['faster']),
        command=spread(section['faster, whole command']),
        tower=spread(section['faster, plain tower alone']),
        same='the same' if section['same mIoU in every run'] else 'not the same',
        memory=section['peak memory of a process, MiB'],
    )


def loop(section: Section, found: Mapping[str, Any]) -> str:
    rates = section['images a second']
    rows = [(name, spread(rate)) for name, rate in rates.items()]
    keys = ('precision', 'images', 'photos', 'batch', 'window_batch', 'looped')
    return page.LOOP.format(
        **{key: section[key] for key in keys},
        windows=section['windows an image'],
        rounds=rates['the test tool']['rounds'],
        rows=markdown(('what', 'images a second'), rows),
        tower=spread(section['to the tower']),
        one=spread(section['to one window at a time']),
    )


def scaling(section: Section, found: Mapping[str, Any]) -> str:
    return page.SCALING.format(
        tokens=markdown(
            (
                'pixels',
                'tokens',
                'plain',
                'our tower',
                'to 59 classes',
                'ratio',
                'GFLOP plain',
                'GFLOP ours',
                'GB ours',
                'GFLOP/s',
            ),
            [token_row(one) for one in section['tokens']],
        ),
        classes=markdown(
            ('classes', 'photo', 'white noise', 'GFLOP', 'GB', 'GFLOP/s', 'GB/s'),
            [
                (
                    f'{one["classes"]}',
                    *(f'{1000 * one[key]["seconds"]["median"]:.0f}' for key in ('photo', 'noise')),
                    *(f'{one["photo"][key]:.2g}' for key in ('gflop', 'gbyte')),
                    *per_second(one['photo']),
                )
                for one in section['classes']
            ],
        ),
        words=section['templates'][0]['words'],
        **{key: found['machine'][key] for key in ('peak_gflops', 'copy_gb_per_s')},
        templates=markdown(
            ('templates', *COST_COLUMNS),
            [(f'{one["templates"]}', *cost_cells(one)) for one in section['templates']],
        ),
        batches=markdown(
            ('images', *COST_COLUMNS),
            [(f'{one["images"]}', *cost_cells(one)) for one in section['batches']],
        ),
        run=markdown(
            ('images', 'seconds', 'MiB'),
            [
                (f'{one["images"]}', f'{one["seconds"]:.0f}', f'{one["peak_mib"]:.0f}')
                for one in section['long run']
            ],
        ),
    )


def token_row(one: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        f'{one["side"]} x {one["side"]}',
        f'{one["tokens"]}',
        *(f'{one[key]["seconds"]["median"]:.3g}' for key in ('plain', 'tower', 'labels')),
        spread(one['ratio']),
        *(f'{one[key]["gflop"]:.0f}' for key in ('plain', 'labels')),
        f'{one["labels"]["gbyte"]:.1f}',
        per_second(one['labels'])[0],
    )


def cost_cells(one: Mapping[str, Any]) -> tuple[str, ...]:
    """The cells of `COST_COLUMNS`."""
    counted = (f'{one[key]:.3g}' for key in ('gflop', 'gbyte'))
    return (spread(one['seconds']), *counted, *per_second(one))


def per_second(one: Mapping[str, Any]) -> tuple[str, str]:
    """GFLOP and GB a second on the wall."""
    gflops, gbytes = (one[key] / one['wall']['median'] for key in ('gflop', 'gbyte'))
    return f'{gflops:.0f}', f'{gbytes:.2g}'


def spread(value: Mapping[str, float]) -> str:
    """'1.03 (1.02 to 1.05)', to three digits."""
    return f'{value["median"]:.3g} ({value["low"]:.3g} to {value["high"]:.3g})'


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in (columns, ['---'] * len(columns), *rows))


PARTS: Mapping[str, Callable[[Section, Mapping[str, Any]], str]] = {
    'image': image,
    'slide': slide,
    'memory': memory,
    'text': text_part,
    'processes': processes,
    'loop': loop,
    'scaling': scaling,
}
