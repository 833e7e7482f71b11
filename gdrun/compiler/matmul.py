"""Products of matrices in C, as sums that stay in registers while they are added up.

Shapes: (1, M, K) times (1, K, N) gives (1, M, N).
"""

from collections.abc import Iterator

from gdrun.compiler.arrays import Array, expanded, transposed
from gdrun.compiler.writer import Code

# Sums in registers at a time: rows, and vectors in each.
ROWS, VECTORS = 4, 4
FEW_REGISTERS = 8  # floats in a vector of processors that have sixteen
# From so many rows on, a matrix is transposed first so that vectors lie in memory.
ROWS_FOR_A_COPY = 4


def product(code: Code, a: Array, b: Array, first: Array | None, place: Array | None) -> Array:
    """First + a b, put in memory; both factors are there."""
    rows, columns = a.shape[1], b.shape[2]
    out = place or code.buffer((1, rows, columns))
    first = first and expanded(first, out.shape)
    if code.lanes > 1:  # a number is a vector already
        _tiled(code, out, a, b, first)
    elif columns == 1 and rows > 1 and a.neighbours(1):
        out_t, a_t, b_t = (transposed(array, 1, 2) for array in (out, a, b))
        _tiled(code, out_t, b_t, a_t, first and transposed(first, 1, 2))
    elif columns > 1 and b.neighbours(2):
        _tiled(code, out, a, b, first)
    elif columns > 1 and rows >= ROWS_FOR_A_COPY:
        _tiled(code, out, a, code.keep(b), first)
    else:
        _dotted(code, out, a, b, first)
    return out


def _dotted(code: Code, out: Array, a: Array, b: Array, first: Array | None) -> None:
    """Number by number, each summed along the inner axis, for some rows at a time."""
    (_, rows, inner), columns = a.shape, b.shape[2]
    for start, count, step in _groups(rows, ROWS):
        with code.loops((count, columns), "mn") as (m, n), code.block():
            at = _rows(m, step, start)
            for r, row in enumerate(at):
                code.say(f"real s{r} = {first.at(['0', row, n]) if first else 'R(0)'};")
            with code.loops((inner,), "k") as (k,):
                for r, row in enumerate(at):
                    code.say(f"s{r} += {a.at(['0', row, k])} * {b.at(['0', k, n])};")
            for r, row in enumerate(at):
                code.say(f"{out.at(['0', row, n])} = s{r};")


def _tiled(code: Code, out: Array, a: Array, b: Array, first: Array | None) -> None:
    """Tile by tile: some rows by some vectors of neighbouring columns."""
    rows, columns = a.shape[1], b.shape[2]
    width = code.width if code.lanes == 1 else 1
    vectors = VECTORS // 2 if code.width <= FEW_REGISTERS else VECTORS
    for start, count, step in _groups(rows, ROWS):
        with code.loops((count,), "m") as (m,):
            for at, tiles, many in _groups(columns // width, vectors):
                with code.loops((tiles,), "n") as (n,), code.block():
                    begin = _plus(_times(n, many * width), at * width)
                    cuts = [(_plus(begin, k * width), width) for k in range(many)]
                    _tile(code, out, a, b, first, _rows(m, step, start), cuts)
            rest = [(str(at), size) for at, size in _halves(columns, width)]
            for at in range(0, len(rest), vectors):
                with code.block():
                    cuts = rest[at : at + vectors]
                    _tile(code, out, a, b, first, _rows(m, step, start), cuts)


def _tile(
    code: Code,
    out: Array,
    a: Array,
    b: Array,
    first: Array | None,
    rows: list[str],
    cuts: list[tuple[str, int]],
) -> None:
    """Sums for some rows, and columns from … on so many."""
    places = [(r, c, row, *cut) for r, row in enumerate(rows) for c, cut in enumerate(cuts)]
    for r, c, row, column, size in places:
        start = f"({_type(size)}){{0}}"
        if first and first.neighbours(2):
            start = _vector(first, row, column, size)
        elif first:
            start += f" + {first.at(['0', row, column])}"
        code.say(f"{_type(size)} s{r}_{c} = {start};")
    with code.loops((a.shape[2],), "k") as (k,):
        for c, (column, size) in enumerate(cuts):
            code.say(f"{_type(size)} b{c} = {_vector(b, k, column, size)};")
        for r, row in enumerate(rows):
            code.say(f"real a{r} = {a.at(['0', row, k])};")
        for r, c, *_ in places:
            code.say(f"s{r}_{c} += a{r} * b{c};")
    for r, c, row, column, size in places:
        code.say(f"{_vector(out, row, column, size)} = s{r}_{c};")


def _type(size: int) -> str:
    return "real" if size == 1 else f"vec{size}"


def _vector(array: Array, row: str, column: str, size: int) -> str:
    """So many neighbours from an element on."""
    element = array.at(["0", row, column])
    return element if size == 1 else f"*({_type(size)} *)&{element}"


def _groups(length: int, size: int) -> Iterator[tuple[int, int, int]]:
    """Cut a length into groups of a size, and what is left: where, how many, how long."""
    if length >= size:
        yield 0, length // size, size
    if length % size:
        yield length - length % size, 1, length % size


def _halves(length: int, width: int) -> Iterator[tuple[int, int]]:
    """Cut what is left of a length after whole widths: where, and how long."""
    at = length - length % width
    while at < length:
        while at + width > length:
            width //= 2
        yield at, width
        at += width


def _rows(group: str, size: int, start: int) -> list[str]:
    return [_plus(_times(group, size), start + row) for row in range(size)]


def _times(index: str, factor: int) -> str:
    return index if index == "0" or factor == 1 else f"{index} * {factor}"


def _plus(index: str, number: int) -> str:
    if number == 0:
        return index
    return str(number) if index == "0" else f"{index} + {number}"
