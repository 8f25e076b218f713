"""Serve odd images and check every byte of every answer.

Usage: make fuzz N=1000000 SEED=0. The seed and an image's number alone determine the image. An
interrupted run continues where it stopped; its state is in .fuzz/, which can be deleted to start
again. It ends with a summary, and with status 1 if anything was found.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

from tools.fuzz_checks import CLIENT_BYTES, Target
from tools.odd_images import odd_image

STATE = Path(__file__).resolve().parent.parent / ".fuzz"
SAVE_EVERY = 2_000  # records


class Run:
    """A run under one seed, with what it has counted and found so far.

    :param state: The file that keeps it between sittings; None keeps nothing.
    """

    def __init__(self, seed: int, state: Path | None = None) -> None:
        self.seed, self._state = seed, state
        self.done = 0
        self.counts: Counter[str] = Counter()
        self.findings: dict[str, str] = {}
        self._targets = (Target(90, CLIENT_BYTES), Target(30, 4_096))
        if state is not None and state.exists():
            kept = json.loads(state.read_text())
            self.done, self.findings = kept["done"], kept["findings"]
            self.counts = Counter(kept["counts"])

    def next(self) -> None:
        """Check the next record."""
        random = Random(f"{self.seed}/{self.done}")
        target, role = random.choice(self._targets), random.choice(("admin", "admin", "member"))
        image_id = f"fuzz-{self.seed}-{self.done}"
        image = odd_image(random)
        try:
            status = str(target.check(image_id, image, role))
        except Exception as error:
            status = "found"
            if len(self.findings) < 100:
                self.findings[image_id] = f"{type(error).__name__}: {error}"[:1000]
        self.counts[status] += 1
        self.counts["properties"] += len(image.properties)
        self.done += 1

    def save(self) -> None:
        if self._state is not None:
            self._state.parent.mkdir(exist_ok=True)
            kept = {"done": self.done, "counts": self.counts, "findings": self.findings}
            self._state.write_text(json.dumps(kept))

    def summary(self) -> str:
        counts = ", ".join(f"{name}: {n:,}" for name, n in sorted(self.counts.items()))
        found = (f"{image_id}: {finding}" for image_id, finding in self.findings.items())
        return "\n".join((f"seed {self.seed}: {self.done:,} records; {counts}", *found))


def main() -> None:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("-n", type=int, default=1_000_000, help="records in all under this seed")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    os.environ["TZ"] = "Asia/Kathmandu"  # a time without a zone is UTC, not the machine's
    time.tzset()
    run = Run(args.seed, STATE / f"seed-{args.seed}.json")
    began, first = time.monotonic(), run.done
    try:
        while run.done < args.n:
            run.next()
            if run.done % SAVE_EVERY == 0:
                run.save()
                rate = (run.done - first) / (time.monotonic() - began)
                progress = f"{run.done:,} of {args.n:,}, {rate:.0f}/s"
                print(f"{progress}, found: {run.counts['found']}", end="\r", flush=True)
    except KeyboardInterrupt:
        print("\nInterrupted; the same command continues from here.")
    run.save()
    print(f"\n{run.summary()}")
    sys.exit(bool(run.counts["found"]))


if __name__ == "__main__":
    main()
