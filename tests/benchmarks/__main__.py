"""Run benchmarks by name, or all of them."""

import importlib
import json
import os
import sys

import torch

NAMES = (
    "featurize_efficiency",
    "featurize_vs_tutorial",
    "sandbox",
    "vote_rate",
    "peak_memory_growth",
    "fetch_rate",
    "ingest_rate",
    "report_seconds",
    "train_throughput",
    "train_scaling",
    "sweep_overhead",
    "train_memory",
)


def main() -> None:
    os.environ.setdefault("WSLABEL_QUIET", "1")
    if os.environ.get("WSLABEL_BENCH_GPU") and not torch.cuda.is_available():
        sys.exit("no GPU on this machine; make bench measures its CPUs")
    chosen = [name for name in sys.argv[1:] if name] or NAMES
    for name in chosen:
        if name not in NAMES:
            sys.exit(f"no benchmark '{name}'; there are {', '.join(NAMES)}")
        result = importlib.import_module(f"tests.benchmarks.{name}").measure()
        print(json.dumps({"name": name} | result, sort_keys=True), flush=True)


if __name__ == "__main__":
    main()
