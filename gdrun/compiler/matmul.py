"""Matrix products in C, as tiles of sums that stay in registers while they grow.

Shapes: (1, M, K) times (1, K, N) gives (1, M, N).
"""

from collections.abc import Iterator

from gdrun.compiler.arrays import Array, Index, expanded, transposed
from gdrun.compiler.writer import BLOCK, WIDE, Code

# A tile: rows, and vectors of neighbouring columns in each.
ROWS, VECTORS = 4, 4
# Processors with vectors of up to 8 floats have 16 registers, others 32: tiles are half as wide.
FEW_REGISTERS_WIDTH = 8
# From this many rows on, copying b pays, after which its rows can be read as vectors.
MIN_ROWS_FOR_COPY = 4
SQUARE = 16  # rows and columns that are copied at a time


def product(code: Code, a: Array, b: Array, bias: Array | None, place: Array | None) -> Array:
    """Bias + a b, stored; both factors are stored already."""
    rows, columns = a.shape[1], b.shape[2]
    out = place or code.buffer((1, rows, columns))
    bias = bias and expanded(bias, out.shape)
    by_columns = code.lanes == 1 and columns > 1
    if by_columns and rows >= MIN_ROWS_FOR_COPY and not b.contiguous_along(2):
        b = _copied(code, b)
    if code.shared and columns == 1 and a.shape[2] >= WIDE and a.contiguous_along(2):
        _dotted_in_parts(code, out, a, b, bias)
        return out
    with code.one_statement():  # each element is written once
        if code.lanes > 1:  # each element is a vector of lanes already
            _tiled(code, out, a, b, bias)
        elif columns == 1 and rows > 1 and a.contiguous_along(1):
            out_t, a_t, b_t = (transposed(array, 1, 2) for array in (out, a, b))
            _tiled(code, out_t, b_t, a_t, bias and transposed(bias, 1, 2))
        elif by_columns and b.contiguous_along(2):
            _tiled(code, out, a, b, bias)
        else:
            _dotted(code, out, a, b, bias)
    return out


def _dotted(code: Code, out: Array, a: Array, b: Array, bias: Array | None) -> None:
    """One dot product per element, for some rows at a time."""
    inner, columns = a.shape[2], b.shape[2]
    for start, count, size in _groups(a.shape[1], ROWS):
        with code.loops((count, columns), "mn", block=_row_block(count)) as (m, n), code.block():
            indices = _row_indices(m, size, start)
            for r, row in enumerate(indices):
                code.emit(f"real s{r} = {bias.at(['0', row, n]) if bias else 'R(0)'};")
            with code.loops((inner,), "k") as (k,):
                for r, row in enumerate(indices):
                    code.emit(f"s{r} += {a.at(['0', row, k])} * {b.at(['0', k, n])};")
            for r, row in enumerate(indices):
                code.emit(f"{out.at(['0', row, n])} = s{r};")


def _dotted_in_parts(code: Code, out: Array, a: Array, b: Array, bias: Array | None) -> None:
    """Dot products of columns of `a` that one thread has written each; then their sums."""
    (_, rows, inner), columns = a.shape, b.shape[2]
    whole, rest = divmod(inner, BLOCK)
    sums = code.buffer((whole + bool(rest), rows, columns))

    def part(p: str, length: int) -> None:
        def along(k: str) -> str:
            return f"{p} * {BLOCK} + {k}"

        _dotted(
            code,
            Array(out.shape, lambda index: sums.at([p, *index[1:]])),
            Array((1, rows, length), lambda index: a.at([*index[:2], along(index[2])])),
            Array((1, length, columns), lambda index: b.at(["0", along(index[1]), index[2]])),
            None,
        )

    with code.one_statement():  # each sum is written once
        with code.loops((whole,), "p", block=1) as (p,):
            part(p, BLOCK)
        if rest:
            with code.block():
                part(str(whole), rest)

    def total(index: Index) -> str:
        terms = [sums.at([str(k), *index[1:]]) for k in range(sums.shape[0])]
        return " + ".join([bias.at(index), *terms] if bias else terms)

    code.store(Array(out.shape, total), out)


def _copied(code: Code, b: Array) -> Array:
    """A copy of b with adjacent columns; square by square, since its own columns lie far apart."""
    _, rows, columns = b.shape
    if min(rows, columns) <= SQUARE:
        return code.store(b)
    copy = code.buffer(b.shape)
    with (
        code.steps("p", "0", rows, SQUARE),
        code.steps("q", "0", columns, SQUARE),
        code.steps("i", "p", rows, most=SQUARE),
        code.steps("j", "q", columns, most=SQUARE),
    ):
        code.emit(f"{copy.at(['0', 'i', 'j'])} = {b.at(['0', 'i', 'j'])};")
    return copy


def _tiled(code: Code, out: Array, a: Array, b: Array, bias: Array | None) -> None:
    """Tile by tile: some rows by some vectors of neighbouring columns."""
    rows, columns = a.shape[1], b.shape[2]
    width = code.width if code.lanes == 1 else 1
    vectors = VECTORS // 2 if code.width <= FEW_REGISTERS_WIDTH else VECTORS
    by_columns = code.shared and columns >= WIDE  # what threads share; or else by rows
    for start, count, size in _groups(rows, ROWS):
        block = _row_block(count)
        with code.loops((count,), "m", () if by_columns else None, block) as (m,):
            indices = _row_indices(m, size, start)
            for first, tiles, many in _groups(columns // width, vectors):
                block = BLOCK // (vectors * width)
                is_shared = not by_columns or tiles > 1
                with (
                    code.loops((tiles,), "n", (0,) if by_columns else None, block) as (n,),
                    code.block(is_shared),
                ):
                    begin = _plus(_times(n, many * width), first * width)
                    cuts = [(_plus(begin, k * width), width) for k in range(many)]
                    _tile(code, out, a, b, bias, indices, cuts)
            rest = [(str(at), length) for at, length in _halves(columns, width)]
            for at in range(0, len(rest), vectors):
                with code.block(not by_columns):
                    _tile(code, out, a, b, bias, indices, rest[at : at + vectors])


def _tile(
    code: Code,
    out: Array,
    a: Array,
    b: Array,
    bias: Array | None,
    rows: list[str],
    cuts: list[tuple[str, int]],
) -> None:
    """The sums of some rows and columns; a cut is a first column and how many follow it."""
    places = [(r, c, row, *cut) for r, row in enumerate(rows) for c, cut in enumerate(cuts)]
    for r, c, row, column, size in places:
        start = f"({_type(size)}){{0}}"
        if bias and bias.contiguous_along(2):
            start = _vector(bias, row, column, size)
        elif bias:
            start += f" + {bias.at(['0', row, column])}"
        code.emit(f"{_type(size)} s{r}_{c} = {start};")
    with code.loops((a.shape[2],), "k") as (k,):
        for c, (column, size) in enumerate(cuts):
            code.emit(f"{_type(size)} b{c} = {_vector(b, k, column, size)};")
        for r, row in enumerate(rows):
            code.emit(f"real a{r} = {a.at(['0', row, k])};")
        for r, c, *_ in places:
            code.emit(f"s{r}_{c} += a{r} * b{c};")
    for r, c, row, column, size in places:
        code.emit(f"{_vector(out, row, column, size)} = s{r}_{c};")


def _type(size: int) -> str:
    return "real" if size == 1 else f"vec{size}"


def _vector(array: Array, row: str, column: str, size: int) -> str:
    """An lvalue for `size` neighbouring elements of a row, from a column on."""
    element = array.at(["0", row, column])
    return element if size == 1 else f"*({_type(size)} *)&{element}"


def _row_block(count: int) -> int:
    """How many of so many groups of rows belong together when threads share them."""
    return BLOCK // ROWS if count * ROWS >= WIDE else 1


def _groups(length: int, size: int) -> Iterator[tuple[int, int, int]]:
    """Cut a length into groups of a size and a smaller last one: (start, groups, their size)."""
    if length >= size:
        yield 0, length // size, size
    if length % size:
        yield length - length % size, 1, length % size


def _halves(length: int, width: int) -> Iterator[tuple[int, int]]:
    """Cut what whole widths leave of a length into powers of two: (start, size)."""
    at = length - length % width
    while at < length:
        while at + width > length:
            width //= 2
        yield at, width
        at += width


def _row_indices(group: str, size: int, start: int) -> list[str]:
    """The rows of one of several groups, the first of which begins at `start`."""
    return [_plus(_times(group, size), start + row) for row in range(size)]


def _times(index: str, factor: int) -> str:
    return index if index == "0" or factor == 1 else f"{index} * {factor}"


def _plus(index: str, number: int) -> str:
    if number == 0:
        return index
    return str(number) if index == "0" else f"{index} + {number}"
