"""Wilson's interval by its closed formula."""

import math


def wilson(count, n, z=1.959963984540054):
    """Wilson's interval by its closed formula; z cuts off 2.5 % of a normal curve."""
    share = count / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return centre - half, centre + half
