"""Prints how often `memeval check` fails a suite of twelve quality gates, by size of the suite and true drop.

python benchmarks/power.py [SUITES]
"""

import sys

from memeval.gate.simulation import LOCOMO, rates

SHAPES = {
    "6 stores x 30": (30,) * 6,
    "20 stores x 9": (9,) * 20,
    "10 stores, 1,536 (LoCoMo)": LOCOMO,
    "50 stores x 10": (10,) * 50,
    "500 stores x 1": (1,) * 500,
}
DROPS = (0.0, 0.02, 0.03, 0.05, 0.1)


def main(suites: int) -> None:
    print(f"share of {suites} simulated suites of 12 gates that fail; margin 0.02, stores shift by sd 0.02")
    print(f"{'suite':<27}{'no drop':>9}" + "".join(f"{-drop:>9}" for drop in DROPS[1:]))
    for name, sizes in SHAPES.items():
        found = [rates(sizes, drop=drop, suites=suites) for drop in DROPS]
        cells = [found[0].any_failed, *(rate.first_failed for rate in found[1:])]
        print(f"{name:<27}" + "".join(f"{100 * cell:>8.1f}%" for cell in cells))
    print("no drop: any of the twelve fails; the others: the one that fell fails")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
