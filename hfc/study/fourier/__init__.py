"""Chapter 1, Fourier basics: its four photographs and its figures."""

from hfc.study.fourier.show import (
    PHOTOGRAPHS,
    energy_by_radius,
    falling_amplitudes,
    halves,
    off_centre,
    photograph,
    photographs,
    ringing,
    ringing_row,
    shifted_spectrum,
    swapped_phases,
)
from hfc.study.fourier.show_waves import (
    stripes,
    stripes_and_dots,
    sums_along_row,
    wave_by_wave,
)

__all__ = [
    "PHOTOGRAPHS",
    "energy_by_radius",
    "falling_amplitudes",
    "halves",
    "off_centre",
    "photograph",
    "photographs",
    "ringing",
    "ringing_row",
    "shifted_spectrum",
    "stripes",
    "stripes_and_dots",
    "sums_along_row",
    "swapped_phases",
    "wave_by_wave",
]
