"""Numbers as sentences and tables give them.

>>> percent(0.554)
55 %
>>> listed([4, 8, 12])
4, 8 and 12
"""

import html
import itertools
import re
from collections import Counter
from collections.abc import Iterable

import pandas as pd

__all__ = ["Said", "Table", "flag_sentence", "listed", "percent", "table"]


class Said(str):
    """Text whose ``repr`` is the text itself, so that an inline ``{eval}`` shows no quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def percent(share: float) -> Said:
    """A share in whole percent.

    Parameters
    ----------
    share : float
        Usually in [0, 1]; a difference of shares may be negative.

    Returns
    -------
    Said
        Such as ``55 %``. Up to two decimals are added where ``0 %`` or ``100 %`` would not be
        exact.
    """
    value = round(100 * float(share), 9)
    for digits in (0, 1, 2):
        text = f"{value:.{digits}f}"
        if float(text) not in (0, 100) or value in (0, 100):
            break
    return Said(f"{text.removeprefix('-') if float(text) == 0 else text} %")


def listed(values: Iterable) -> Said:
    """Values in a sentence: ``1, 2 and 3``.

    Parameters
    ----------
    values : iterable
        Anything with a ``str``; floats lose trailing zeros.

    Returns
    -------
    Said
        ``none`` if there is no value.
    """
    texts = [_text(value) for value in values]
    if len(texts) < 2:
        return Said(texts[0] if texts else "none")
    return Said(f"{', '.join(texts[:-1])} and {texts[-1]}")


def flag_sentence(flags: Iterable[tuple]) -> Said:
    """What the flags of a figure's or a table's numbers say, with how many carry each.

    Parameters
    ----------
    flags : iterable of tuple of hfc.flags.Flag
        One tuple per number, empty where the number carries no flag. Shares in the flags'
        texts are left out, so that flags of one kind are counted together.

    Returns
    -------
    Said
        A sentence.
    """
    rows = list(flags)
    numbers = f"{len(rows)} {'number' if len(rows) == 1 else 'numbers'}"
    if not any(rows):
        return Said(f"No flag in {numbers}.")
    found = Counter(re.sub(r"\d+(\.\d+)?\s?%", "… %", str(flag)) for row in rows for flag in row)
    said = ", ".join(f"“{text}” ({count})" for text, count in sorted(found.items()))
    return Said(f"Flags in {sum(map(bool, rows))} of {numbers}: {said}.")


# Tables -------------------------------------------------------------------------------------


def table(frame: pd.DataFrame, label: str | None = None) -> "Table":
    """A table that is readable by ear, on a phone, in the dark, and in JupyterLab.

    Parameters
    ----------
    frame : DataFrame
        Strings, numbers or values whose ``str`` is what a reader sees; missing cells stay
        empty. With several levels of row names, the outer ones become headings above groups
        of rows; with several levels of column names, the outer ones span their columns.
    label : str, optional
        What the table shows, for those who cannot see it; by default its column names.

    Returns
    -------
    Table

    Raises
    ------
    TypeError
        If ``frame`` is no DataFrame.
    ValueError
        If ``label`` is an empty string.
    """
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"frame must be a pandas DataFrame, got {type(frame).__name__}")
    if label is None:
        outermost = frame.columns.get_level_values(0).unique()
        label = "Table: " + ", ".join(filter(None, map(_text, outermost)))
    elif not label.strip():
        raise ValueError("label must say what the table shows, got an empty string")
    return Table(frame, label)


class Table:
    """What :func:`table` gives: HTML in a notebook and on a page, text elsewhere.

    Attributes
    ----------
    frame : DataFrame
        As it was given.
    label : str
        What the table shows.
    """

    def __init__(self, frame: pd.DataFrame, label: str):
        self.frame, self.label = frame, label
        self._texts = frame.map(_text)

    def __repr__(self) -> str:
        return self._texts.to_string()

    def _repr_html_(self) -> str:
        numeric = [_is_numeric(self._texts.iloc[:, k]) for k in range(self.frame.shape[1])]
        return (
            f"<style>{_LOOK}</style>"
            '<div class="hfc-table" tabindex="0" role="region" '
            f'aria-label="{html.escape(self.label, quote=True)}">'
            f"<table>{self._head(numeric)}{''.join(self._bodies(numeric))}</table></div>"
        )

    def _head(self, numeric):
        columns, rows, spans = self.frame.columns, [], ""
        if title := ", ".join(str(name) for name in columns.names if name is not None):
            rows.append(_cell("") + _head_cell(title, "colgroup", span=len(columns)))
        for level in range(columns.nlevels - 1):
            runs = [(key[-1], len(list(run))) for key, run in _runs(columns, level + 1)]
            rows.append(_cell("") + "".join(_head_cell(key, "colgroup", span=n) for key, n in runs))
            spans = spans or "<colgroup></colgroup>" + "".join(
                f'<colgroup span="{n}"></colgroup>' for _, n in runs
            )
        corner = self.frame.index.names[-1]
        lowest = zip(columns.get_level_values(-1), numeric, strict=True)
        rows.append(
            _head_cell("" if corner is None else corner, "col")
            + "".join(_head_cell(label, "col", number=number) for label, number in lowest)
        )
        return f"{spans}<thead>{''.join(f'<tr>{row}</tr>' for row in rows)}</thead>"

    def _bodies(self, numeric):
        index = self.frame.index
        outer = index.nlevels - 1
        rows = iter(self._texts.itertuples(name=None))
        for key, run in _runs(index, outer):
            body = []
            if outer:
                body.append(_head_cell(_group(index.names, key), "rowgroup", span=len(numeric) + 1))
            for label in run:
                cells = zip(next(rows)[1:], numeric, strict=True)
                body.append(
                    _head_cell(_tuple(label)[-1], "row")
                    + "".join(_cell(text, number=number) for text, number in cells)
                )
            yield f"<tbody>{''.join(f'<tr>{row}</tr>' for row in body)}</tbody>"


def _tuple(label):
    return label if isinstance(label, tuple) else (label,)


def _runs(index, levels):
    """Neighbours whose labels are the same in the first levels."""
    return itertools.groupby(index, key=lambda label: _tuple(label)[:levels])


def _group(names, key):
    """Heading of a group of rows: "training: natural"."""
    pairs = zip(names, key, strict=False)
    return ", ".join(_text(k) if name is None else f"{name}: {_text(k)}" for name, k in pairs)


def _head_cell(label, scope, *, span=1, number=False):
    text = html.escape(_text(label))
    if not text:
        return _cell("", span=span)
    look = ' class="number"' if number else ""
    if span > 1:
        # The words stay in view while the cell that they stand in is scrolled.
        return f'<th scope="{scope}" colspan="{span}"{look}><span>{text}</span></th>'
    return f'<th scope="{scope}"{look}>{text}</th>'


def _cell(text, *, span=1, number=False):
    look = ' class="number"' if number else ""
    wide = f' colspan="{span}"' if span > 1 else ""
    return f"<td{wide}{look}>{html.escape(text)}</td>"


def _text(value):
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return ""
    return f"{value:g}" if pd.api.types.is_float(value) else str(value)


def _is_numeric(texts):
    """Whether a column of texts holds numbers, such as "55 ± 2 ⚑", "< 1 %" or "–"."""
    number = r"([<>≤≥~]?\s?[-+−]?\d[\d.,/]*(e[-+]?\d+)?\s?(±\s?\S+)?\s?%?\s?⚑?|[-–—…]|nan)?"
    return all(re.fullmatch(number, text) for text in texts) and any(texts)


# Within the table, so that it looks the same in JupyterLab, where the book's own style sheet is
# not loaded; the class is named twice to outweigh JupyterLab's. The row names stay while the
# numbers scroll; the name of a group of columns moves into the empty corner above the row names.
_LOOK = """
.hfc-table{overflow-x:auto;max-width:100%;margin:.5em 0;
--page:var(--pst-color-background,var(--jp-layout-color0,Canvas))}
.hfc-table table{border-collapse:separate;border-spacing:0;border:0;margin:0;width:auto;
table-layout:auto;font-size:.85em;line-height:1.35;color:inherit}
.hfc-table.hfc-table :is(td,th){background:var(--page);padding:.25em .4em;border:0;
border-bottom:1px solid #80808060;text-align:left;vertical-align:top;white-space:normal}
.hfc-table.hfc-table thead th{vertical-align:bottom}
.hfc-table.hfc-table .number{text-align:right;font-variant-numeric:tabular-nums}
.hfc-table.hfc-table td.number{white-space:nowrap}
.hfc-table.hfc-table tr>:first-child{position:sticky;left:0;z-index:1;min-width:5em;
max-width:40vw}
.hfc-table.hfc-table th[colspan]{max-width:none}
.hfc-table th>span{position:sticky;left:.4em;z-index:2}
"""
