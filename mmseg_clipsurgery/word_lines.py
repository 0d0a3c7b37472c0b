"""Classes in the lines of a text file: what stands around the words of every line is taken off, other forms refused.

aeroplane · sofa, couch · background: sky, wall · house: "building, edifice"      see `vocabulary`
0 background · 1: aeroplane · 1, aeroplane · 1. aeroplane · aeroplane, 1      numbered from 0 or 1
- aeroplane · * aeroplane · 'aeroplane', · n02690373 airliner · /m/0cmf2,Airplane
aeroplane:128,0,0::                                     CVAT's label map
names: [cat, dog] · names: {0: cat} · names: over lines that are indented or begin with -            YAML
"""

import re
from collections.abc import Sequence
from functools import partial
from itertools import takewhile

Classes = list[tuple[str, list[str]]]  # (name, its words)
Lines = list[tuple[int, str]]  # (number of the line, from 1; its text)

# What stands around the words of each line in other forms of a list; `rest` is the words.
NUMBERED = re.compile(r'(?P<number>-?\d{1,9})(?:[.)]\s+|\s*[:,=]\s*|\s+)(?P<rest>\S.*)')
NUMBERED_BEHIND = re.compile(r'(?P<rest>\S.*?)(?:\s*[:,=]\s*|\s+)(?P<number>\d{1,9})')
WRAPPINGS = (
    re.compile(r'[-*•·–]\s+(?P<rest>\S.*)'),
    re.compile(r'(?:/[mg]/\w+|n\d{8})[\s,:]+(?P<rest>\S.*)'),  # ids of Open Images and of WordNet
    re.compile(r'(?P<rest>\S.*?)[\s,]+(?:/[mg]/\w+|n\d{8})'),
    re.compile(r'(?P<rest>[^:]+):(?:\d+,\d+,\d+)?:[^:]*:[^:]*'),
    re.compile(r"""(?P<quote>['"])(?P<rest>[^'",]+)(?P=quote),?"""),
)
BLANKS = re.compile(r'\s{2,}')
QUOTED = re.compile(r'(?:^|(?<=[,:]))\s*"([^",]+(?:,[^",]+)+)"\s*(?=,|$)')  # one word that holds commas
IDENTIFIER = re.compile(r'/[mg]/\w+|n\d{8}')
YAML_LIST = re.compile(r'\s*(?:names|classes|labels|class_names|CLASSES|id2label)\s*:\s*(?P<items>[\[{].*)?')
FLOW = re.compile(r'[\[{](?P<items>[^\]\[{}]*)[\]}]\s*')
SCALAR = re.compile(r"""(?P<head>(?:-\s+)?)(?:(['"]?)(?P<number>\d+)\2\s*:\s+)?(?P<value>.*)""")
IN_QUOTES = re.compile(r"""'(?P<single>(?:[^']|'')*)'(?:\s+#.*)?|"(?P<double>[^"]*)"(?:\s+#.*)?""")
COMMENT = re.compile(r'(?:^|\s)#.*')
# Marks of another form: JSON, YAML, XML, code, tables, colours, comments behind a word, a part of a numbered list.
FOREIGN = re.compile(
    r'[\[\]{}<>="|;\\\t]|^---|^[-*•·–]\s|^(?:names|classes|labels):$|\s#|//|\d+[\s,]+\d+|^\d+\s*[:=]|^\d+[.)]\s'
    r"|^_+\w+_+$|^\(?'.*'\)?,?$"  # LabelMe's __ignore__ and _background_; words in quotes, tuples of Python
    r'|`|\*\*|--|^[!$%&+./@^~]|^-\d|^\d+\.[^\W\d]'  # Markdown, Mapillary's object--animal, paths, 001.ak47
)
HEADER = re.compile(r'id|idx|index|\w+[_ ](?:id|idx|index|name)')  # of one column among several
HEADERS = ('name', 'names', 'class', 'classes', 'label', 'labels', 'category', 'categories')


def parse_lines(lines: Lines) -> Classes:
    """Lines that are neither blank nor comments -> (name, words) pairs in label order.

    Raises:
        ValueError: another form, with the number of the line that shows it.
    """
    lines = unwrapped(yaml_list(lines))
    if lines and len(lines[0][1].split(',')) > 2 and len(lines) == 1 and ':' not in lines[0][1]:
        raise refusal(*lines[0], 'is one class with synonyms, the only one of the file')
    return [from_line(number, line, place) for place, (number, line) in enumerate(lines)]


def yaml_list(lines: Lines) -> Lines:
    """The lines of a YAML file's list of names, each without what is around it; all lines where there is none."""
    for place, (number, line) in enumerate(lines):
        found = YAML_LIST.fullmatch(COMMENT.sub('', line))
        if found and found['items']:
            return flow_items(number, [COMMENT.sub('', line) for _, line in lines[place:]])
        if found:
            below = list(takewhile(partial(is_below, line), lines[place + 1 :]))
            if below:
                return [(number, scalar(one)) for number, one in below]
    return [(number, line.strip()) for number, line in lines]


def is_below(key: str, numbered: tuple[int, str]) -> bool:
    """Whether a line of YAML belongs to a key's: it is indented further, or begins with - as far."""
    line = numbered[1]
    deeper = len(line) - len(line.lstrip()) - (len(key) - len(key.lstrip()))
    return deeper > 0 or (deeper == 0 and line.lstrip()[0] == '-')


def flow_items(number: int, lines: Sequence[str]) -> Lines:
    """What stands between brackets or braces, from the first of these lines on, perhaps over several."""
    text = lines[0].partition(':')[2].strip()
    for line in lines[1:]:
        if ']' in text or '}' in text:
            break
        text += ' ' + line.strip()
    found = FLOW.fullmatch(text)
    if not found:
        raise refusal(number, lines[0])
    return [(number, scalar(item)) for item in found['items'].split(',') if item.strip()]


def scalar(text: str) -> str:
    """A value of YAML without quotes and comment; what stands before it (`- `, `0: `) stays."""
    found = SCALAR.fullmatch(text.strip())
    assert found is not None
    quoted, value = IN_QUOTES.fullmatch(found['value']), COMMENT.sub('', found['value'])
    if quoted:
        single, double = quoted.group('single', 'double')
        value = double if single is None else single.replace("''", "'")
    return f'{found["head"]}{found["number"]}: {value}' if found['number'] else found['head'] + value


def one_blank(blanks: re.Match[str]) -> str:
    """A tab, which separates columns, where there is one among blanks; else a blank."""
    return '\t' if '\t' in blanks[0] else ' '


def unwrapped(lines: Lines) -> Lines:
    """Lines without numbers, bullets, quotes or identifiers, where every line has them; runs of blanks are one."""
    lines = [(number, BLANKS.sub(one_blank, line)) for number, line in lines]
    for form in (NUMBERED, *WRAPPINGS, NUMBERED_BEHIND):
        found = [form.fullmatch(line) for _, line in lines]
        matches = [match for match in found if match]
        if not lines or len(matches) < len(lines):
            continue
        rests = [match['rest'] for match in matches]
        numbers = [int(match['number']) for match in matches] if 'number' in form.groupindex else []
        if form is NUMBERED_BEHIND and (len({*rests}) < max(2, len(rests)) or not is_run(numbers)):
            continue  # 'gate 1', 'gate 2' and 'route 66', 'boeing 747' are words
        check_run(numbers, [number for number, _ in lines])
        lines = [(number, rest) for (number, _), rest in zip(lines, rests, strict=True)]
    return lines


def from_line(number: int, line: str, place: int) -> tuple[str, list[str]]:
    """One class of a text file: `name: word, word` or `word, word`, whose first word is the name.

    A word that holds commas stands in double quotes: `house: "building, edifice"`.
    """
    if FOREIGN.search(QUOTED.sub('', line)):
        raise refusal(number, line)
    cells = [cell.strip().lower() for cell in line.split(',')]
    if place == 0 and (cells[0] in HEADERS or any(map(HEADER.fullmatch, cells))) and ':' not in line:
        raise refusal(number, line, 'looks like the header of a table')
    name, colon, words = line.rstrip(', ').partition(':')
    protected = QUOTED.sub(lambda quoted: quoted[1].replace(',', '\0'), words if colon else name)
    synonyms = [' '.join(word.replace('\0', ',').split()) for word in protected.split(',')]
    name = ' '.join(name.split()) if colon else synonyms[0]
    if not all(synonyms):
        raise refusal(number, line, 'has an empty word')
    if has_letter(name) and not all(map(has_letter, synonyms)):
        raise refusal(number, line, 'has a word without letters')
    return name, synonyms


def has_letter(word: str) -> bool:
    """Whether a word has a letter of any script, or another sign that is no ASCII."""
    return any(sign.isalpha() or ord(sign) > 127 for sign in word)


def refusal(number: int, line: str, why: str = 'is no class') -> ValueError:
    """The sentence about a line that can't be read."""
    return ValueError(
        f'line {number}, {line.strip()[:60]!r}, {why}: write one class a line, synonyms behind commas, or give a JSON '
        'list'
    )


def is_run(numbers: Sequence[int]) -> bool:
    """Whether numbers run from 0 or 1 in steps of 1."""
    return list(numbers) in (list(range(len(numbers))), list(range(1, len(numbers) + 1)))


def check_run(numbers: Sequence[int], lines: Sequence[int] = ()) -> None:
    """Refuse numbers of classes that do not run from 0 or 1 in steps of 1."""
    for place, number in enumerate(numbers):
        if number != numbers[0] + place or numbers[0] not in (0, 1):
            where = f'line {lines[place]}: ' if lines else ''
            raise ValueError(
                f'{where}the number {number} is out of order: numbers of classes run from 0 or 1 without gaps; '
                'write one class a line, in label order, without numbers'
            )
