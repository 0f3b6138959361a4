"""``python -m tests.bombs``: every bomb of tests/corpus/bombs.py with five good photos beside it.

Prints a table, and who held the memory under its ceiling; ends with 1 where a good photo was not
stored at its first try.
"""

import argparse
import os
import sys
from itertools import islice

from tests.bombs.run import Row, rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bombs", description=__doc__)
    parser.add_argument("--most", type=int, default=None, help="bombs to try, the first ones")
    most = parser.parse_args().most
    os.sched_setaffinity(0, set(islice(os.sched_getaffinity(0), 2)))
    wrong = count = 0
    sys.stdout.write(Row.HEAD)
    for row in rows(most, lambda told: sys.stdout.write(f"memory: {told}\n")):
        count += 1
        wrong += not row.is_right
        sys.stdout.write(row.line())
        sys.stdout.flush()
    sys.stdout.write(f"{count} bombs, {5 * count} good photos beside them, {wrong} rows wrong\n")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
