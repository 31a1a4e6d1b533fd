"""A Python program whose clock is wrong: ``skewed.py SECONDS MODULE ARGUMENTS…``.

What the product asks for the time, ``time.time`` and ``django.utils.timezone.now``, is wrong by so
many seconds before anything of it is imported. The machine's clock is left alone.
"""

import runpy
import sys
import time
from datetime import timedelta

from django.utils import timezone


def main() -> None:
    seconds = float(sys.argv[1])
    true_time, true_now = time.time, timezone.now
    time.time = lambda: true_time() + seconds
    timezone.now = lambda: true_now() + timedelta(seconds=seconds)
    module = sys.argv[2]
    sys.argv = sys.argv[2:]
    sys.path.insert(0, "")  # as ``python -m`` has it
    runpy.run_module(module, run_name="__main__", alter_sys=True)


main()
