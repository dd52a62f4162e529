"""Arrays and numbers in, something to look at out.

Pictures and spectra (:mod:`~hfc.display.pictures`), plots (:mod:`~hfc.display.plots`), figures
that the reader moves (:mod:`~hfc.display.widgets`), sentences and tables
(:mod:`~hfc.display.text`). Everything shows itself where it is the last value of a cell, and
says in words what it shows.
"""

from hfc.display.pictures import COLOURS, Picture, log_amplitude, panels
from hfc.display.plots import line_plot, show, small_multiples, style, subplots
from hfc.display.text import Said, Table, flag_sentence, listed, percent, table
from hfc.display.widgets import radius_explorer, slideshow

__all__ = [
    "COLOURS",
    "Picture",
    "Said",
    "Table",
    "flag_sentence",
    "line_plot",
    "listed",
    "log_amplitude",
    "panels",
    "percent",
    "radius_explorer",
    "show",
    "slideshow",
    "small_multiples",
    "style",
    "subplots",
    "table",
]
