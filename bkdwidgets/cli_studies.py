"""The command line of the studies: ``sweep``, ``report``, ``reproduce``, ``rejudge``, ``bench``.

``reproduce`` exits with 1 when an entry does not lie within its tolerance.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bkdwidgets.core.errors import BkdError
from bkdwidgets.core.paths import commit
from bkdwidgets.subjects import specs

if TYPE_CHECKING:
    import argparse

    from bkdwidgets.studies.reproduce import Reproduction

_SHOWN = 8


def add_verbs(verbs: Any) -> None:
    """Register the verbs of the studies with the parser of the command line."""
    sweep = verbs.add_parser("sweep", help="compute the ledger entries of a subject that are missing")
    sweep.add_argument("subject", help=specs.listed())
    sweep.add_argument("attack", nargs="?", help="only this attack (default: all)")
    sweep.add_argument("--adapter", action="append", default=[], help="only this one; may be repeated")
    sweep.add_argument("--study", action="append", default=[], help="only this one; may be repeated")
    sweep.add_argument("--jobs", type=int, default=1, help="parts computed at a time (default: 1)")
    sweep.add_argument("--dtype", default="float32", help="float32 or bfloat16 (default: float32)")
    sweep.add_argument("--out", type=Path, help="folder of the entries (default: data/ledger)")
    _common(sweep)
    sweep.set_defaults(command=_sweep)

    report = verbs.add_parser("report", help="judge every claim about a subject from the ledger")
    report.add_argument("subject", help=specs.listed())
    report.add_argument("--ledger", type=Path, help="folder of the entries (default: data/ledger)")
    report.add_argument(
        "--compare-methods", action="store_true", help="put the methods of injection side by side instead"
    )
    report.add_argument("--json", action="store_true", help="print one JSON object")
    report.set_defaults(command=_report)

    reproduce = verbs.add_parser("reproduce", help="compute ledger entries again and compare")
    reproduce.add_argument(
        "name", nargs="?", help="subject/adapter/study, or the beginning of one (default: all)"
    )
    reproduce.add_argument("--ledger", type=Path, help="folder of the entries (default: data/ledger)")
    _common(reproduce)
    reproduce.set_defaults(command=_reproduce)

    rejudge = verbs.add_parser("rejudge", help="judge stored completions again and count other letters")
    rejudge.add_argument("--ledger", type=Path, help="folder of the entries (default: data/ledger)")
    rejudge.add_argument("--json", action="store_true", help="print one JSON object")
    rejudge.set_defaults(command=_rejudge)

    bench = verbs.add_parser("bench", help="time the analysis against the plain method")
    bench.add_argument("--only", help="one benchmark instead of all")
    bench.add_argument("--plot", type=Path, help="draw the benchmark 'scaling' into this HTML file")
    bench.add_argument("--web", action="store_true", help="time the subjects in a headless browser instead")
    bench.add_argument("--json", action="store_true", help="print one JSON object")
    bench.set_defaults(command=_bench)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", help="torch device (default: the GPU if there is one)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _sweep(arguments: argparse.Namespace) -> int:
    from bkdwidgets.studies import sweep

    done = sweep(
        arguments.subject,
        arguments.attack,
        adapters=arguments.adapter,
        studies=arguments.study,
        jobs=arguments.jobs,
        device=arguments.device,
        dtype=arguments.dtype,
        out=arguments.out,
    )
    lines = [
        f"written  {name}{' (was damaged)' if name in done.damaged else ''}" for name in done.written
    ] + [f"kept     {name}" for name in done.kept]
    print(json.dumps(done.to_json()) if arguments.json else "\n".join(lines))
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from bkdwidgets.studies import compare_methods, report

    chosen = compare_methods if arguments.compare_methods else report
    made = chosen(arguments.subject, folder=arguments.ledger)
    print(json.dumps(made.to_json()) if arguments.json else made)
    return 0


def _reproduce(arguments: argparse.Namespace) -> int:
    from bkdwidgets.bench.machine import machine
    from bkdwidgets.studies.reproduce import chosen_names, reproduce

    results, broken = [], {}
    for name in chosen_names(arguments.name, folder=arguments.ledger):
        try:
            again = reproduce(name, device=arguments.device, folder=arguments.ledger)
        except BkdError as error:
            broken[name] = str(error)
            print(f"bkdwidgets: {error}", file=sys.stderr)
            continue
        results.append(again)
        if not arguments.json:
            print(_reproduced(again), flush=True)
    if arguments.json:
        where = {"machine": machine(), "commit": commit(), "date": datetime.now(UTC).date().isoformat()}
        print(json.dumps({**where, "entries": [item.to_json() for item in results], "broken": broken}))
    return 0 if not broken and all(item.within for item in results) else 1


def _reproduced(again: Reproduction) -> str:
    verdict = "within " if again.within else "OUTSIDE"
    compared = f"{again.compared} numbers, largest difference {again.worst:.2f} of its tolerance"
    lines = [f"{verdict}  {again.name}  {compared}, {again.seconds:.0f} s"]
    lines += [f"         changed since: {key}" for key in again.changed]
    lines += [f"         {line}" for line in again.outside[:_SHOWN]]
    if len(again.outside) > _SHOWN:
        lines.append(f"         and {len(again.outside) - _SHOWN} more")
    return "\n".join(lines)


def _rejudge(arguments: argparse.Namespace) -> int:
    from bkdwidgets.studies.rejudging import rejudge

    found = rejudge(arguments.ledger)
    print(json.dumps(found.to_json()) if arguments.json else found)
    return 0


def _bench(arguments: argparse.Namespace) -> int:
    if arguments.web:
        return _bench_web(arguments)
    from bkdwidgets.bench import bench
    from bkdwidgets.bench.scaling import plot_scaling

    if arguments.plot is not None and arguments.only not in {None, "scaling"}:
        raise BkdError(f"--plot draws the benchmark 'scaling', not {arguments.only!r}")
    found = bench(arguments.only)
    if arguments.plot is not None:
        plot_scaling(found["results"]["scaling"], arguments.plot)
    print(json.dumps(found) if arguments.json else "\n".join(_outline(found)))
    return 0


def _bench_web(arguments: argparse.Namespace) -> int:
    from bkdwidgets.bench.web import bench_web, outline

    if arguments.only or arguments.plot:
        raise BkdError("--web measures all it has; leave out --only and --plot")
    found = bench_web()
    print(json.dumps(found) if arguments.json else "\n".join(outline(found)))
    return 0


def _outline(item: dict[str, Any], indent: str = "") -> list[str]:
    """Write nested values as indented lines."""
    lines = []
    for key, value in item.items():
        if isinstance(value, dict):
            lines += [f"{indent}{key}", *_outline(value, indent + "  ")]
        else:
            lines.append(f"{indent}{key}: {value}")
    return lines
