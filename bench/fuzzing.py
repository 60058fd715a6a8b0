"""python -m bench.fuzzing [--cases N] [--seed S]: Schemathesis until there were so many cases.

No measurement: what fails is told with the request that made it fail, and nothing may.
"""

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.contract.fuzzing import fuzz, serving
from veza.core.db import open_database
from veza.core.db.migrate import upgrade

EXAMPLES = 40


async def _migrate(url: str) -> None:
    database = open_database(url)
    await upgrade(database)
    await database.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.fuzzing", description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    seed, total, statuses, began = asked.seed, 0, Counter[int](), time.perf_counter()
    failures: dict[tuple[str, str], str] = {}
    while total < asked.cases:
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{folder}/veza.db"
            asyncio.run(_migrate(url))
            with serving(url, Path(folder) / "data") as house:
                outcome = fuzz(house, seed=seed, examples=EXAMPLES)
        total += outcome.total
        statuses += outcome.statuses
        failures |= outcome.failures
        print(f"seed {seed}: {outcome.total} cases, {len(outcome.failures)} failures", flush=True)
        if outcome.failures:
            print(outcome.told, flush=True)
        seed += 1
    seconds = time.perf_counter() - began
    print(f"{total} cases in {seconds:.0f} s, {len(failures)} failures; {dict(sorted(statuses.items()))}")
    raise SystemExit(bool(failures))


if __name__ == "__main__":
    main()
