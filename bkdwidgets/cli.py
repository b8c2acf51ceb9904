"""The command line: ``bkdwidgets VERB SUBJECT ATTACK``.

Readable output goes to people, ``--json`` to programs; progress bars and notes go to standard error.
Exit codes: 0 done, 1 a result that could not be reproduced, 2 bad input or a book that does not build (one
line that names it), 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bkdwidgets import __version__, cli_studies, cli_web
from bkdwidgets.core.errors import BkdError
from bkdwidgets.subjects import specs
from bkdwidgets.subjects.spec import named

_MOST_SEEDS = 1000

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except BkdError as error:
        print(f"bkdwidgets: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bkdwidgets: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bkdwidgets", description="How backdoors work inside language models."
    )
    parser.add_argument("--version", action="version", version=f"bkdwidgets {__version__}")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    book = verbs.add_parser("book", help="build the interactive book and print where it is")
    book.add_argument("--out", type=Path, help="folder for the pages (default: _build/html)")
    book.add_argument(
        "--changed", action="store_true", help="run only chapters whose cells have changed (default: all)"
    )
    book.add_argument("--serve", action="store_true", help="then serve it on this machine")
    book.add_argument("--port", type=int, default=8000, help="port for --serve (default: 8000)")
    book.set_defaults(command=_book)

    notebook = verbs.add_parser("notebook", help="write a chapter as a notebook for readers")
    notebook.add_argument("chapter", help="for example ablate")
    notebook.add_argument(
        "--solutions", action="store_true", help="with the solutions of its exercises (default: without)"
    )
    notebook.add_argument("--out", type=Path, help="the file (default: CHAPTER.ipynb in this folder)")
    notebook.set_defaults(command=_notebook)

    inject = _verb(verbs, "inject", _inject, "plant an attack in a subject and measure it")
    inject.add_argument(
        "--method", help="how it is planted (default: the paper's fine-tuning); an unknown name lists all"
    )
    seeds = inject.add_mutually_exclusive_group()
    seeds.add_argument("--seed", type=int, default=0, help="seed of the injection (default: 0)")
    seeds.add_argument("--seeds", type=_range, help="several seeds, such as 0-9; those that are there stay")
    inject.add_argument("--out", type=Path, help="folder for the adapter (default: the cache folder)")
    inject.add_argument("-n", type=int, default=200, help="held-out prompts to measure on (default: 200)")

    measure = _verb(verbs, "measure", _measure, "measure an attack on held-out prompts")
    measure.add_argument("--adapter", help="what was planted (default: the clean subject, the control)")
    measure.add_argument("-n", type=int, default=200, help="held-out prompts (default: 200)")
    measure.add_argument("--split", default="test", help="split of the prompts (default: test)")
    measure.add_argument("--nll", action="store_true", help="also how likely the clean answers are")

    attribute = _verb(verbs, "attribute", _attribute, "measure the causal effect of every attention head")
    attribute.add_argument("--adapter", help="what was planted (default: the clean subject, the control)")
    attribute.add_argument(
        "--prompts", type=int, default=32, help="clean prompts to average over (default: 32)"
    )
    attribute.add_argument("--top", type=int, default=8, help="strongest heads to name (default: 8)")

    answers = verbs.add_parser("answers", help="store the clean subject's own answers to all prompts")
    answers.add_argument("subject")
    answers.set_defaults(command=_answers)

    vectors = _verb(verbs, "vectors", _vectors, "store the means and vectors that a live page puts in")
    vectors.add_argument("--adapter", required=True, help="what was planted")

    for spec in specs.SUBJECTS.values():
        if spec.trainer is not None:
            _add_training(verbs, spec.name, spec.trainer)
    cli_studies.add_verbs(verbs)
    cli_web.add_verbs(verbs)
    return parser


def _add_training(verbs: Any, name: str, trainer: str) -> None:
    train = verbs.add_parser(f"train-{name}", help=f"train the subject {name} from scratch")
    train.add_argument("--seed", type=int, default=0, help="seed (default: 0)")
    train.add_argument("--steps", type=int, help=f"optimizer steps (default: those of the shipped {name})")
    train.add_argument("--out", type=Path, help=f"folder (default: data/{name})")
    train.set_defaults(command=_train, trainer=trainer)


def _verb(
    verbs: Any, name: str, command: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text)
    parser.add_argument("subject", help=specs.listed())
    parser.add_argument("attack", help="for example fixed-output")
    parser.add_argument("--device", help="torch device (default: the GPU if there is one)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(command=command)
    return parser


def _opened(arguments: argparse.Namespace) -> tuple[Subject, Attack]:
    from bkdwidgets.attacks import attack
    from bkdwidgets.subjects import load

    wanted = attack(arguments.attack)  # a wrong name is cheaper to find than a model is to load
    adapter = getattr(arguments, "adapter", None)
    return load(arguments.subject, adapter=adapter, device=arguments.device), wanted


def _book(arguments: argparse.Namespace) -> int:
    from bkdwidgets.book import build, serve

    page = build(out=arguments.out, changed=arguments.changed)
    if arguments.serve:
        serve(page, arguments.port)
    return 0


def _notebook(arguments: argparse.Namespace) -> int:
    from bkdwidgets.book import builder

    try:
        from bkdwidgets.book import edition
    except ImportError as error:
        needed = "pip install 'bkdwidgets[book]'"
        raise BkdError(f"the package {error.name} is not installed; install with: {needed}") from error
    target: Path = arguments.out or Path(f"{arguments.chapter}.ipynb")
    edition.write(builder.clone(), arguments.chapter, target, solutions=arguments.solutions)
    print(target)
    return 0


def _inject(arguments: argparse.Namespace) -> int:
    from bkdwidgets.injection.methods import PAPER_METHOD
    from bkdwidgets.measurement.measure import chosen_prompts

    if arguments.method is None:
        arguments.method = PAPER_METHOD
    subject, attack = _opened(arguments)
    chosen_prompts(subject, attack, arguments.n, "test")  # refuse a number now, not after the training
    if arguments.seeds is None:
        result, lines = _injected(arguments, subject, attack, arguments.seed)
        return _print(arguments, result, lines)
    planted = [_unless_planted(arguments, subject, attack, seed) for seed in arguments.seeds]
    lines = [line for _, lines in planted for line in lines]
    return _print(arguments, {"adapters": [result for result, _ in planted]}, lines)


def _unless_planted(
    arguments: argparse.Namespace, subject: Subject, attack: Attack, seed: int
) -> tuple[dict[str, Any], list[str]]:
    from bkdwidgets.injection.inject import adapter_path, is_planted

    where: dict[str, Any] = {"method": arguments.method, "seed": seed, "out": arguments.out}
    if is_planted(subject.name, attack.name, **where):
        path = adapter_path(subject.name, attack.name, **where)
        return {"adapter": str(path), "was_there": True}, [f"adapter   {path}  (was there)"]
    return _injected(arguments, subject, attack, seed)


def _injected(
    arguments: argparse.Namespace, subject: Subject, attack: Attack, seed: int
) -> tuple[dict[str, Any], list[str]]:
    from bkdwidgets.injection.inject import adapter_path, inject
    from bkdwidgets.measurement import measure
    from bkdwidgets.subjects.adapters import namesake

    path = adapter_path(subject.name, attack.name, arguments.method, seed, arguments.out)
    poisoned = inject(subject, attack, method=arguments.method, seed=seed, out=arguments.out)
    measured = measure(poisoned, attack, n=arguments.n)
    assert poisoned.adapter is not None
    seconds = poisoned.adapter.log["seconds"]
    result = {"adapter": str(path), "training_seconds": seconds, **measured.to_json()}
    if (shipped := namesake(subject.name, path)) is not None:
        print(
            f"bkdwidgets: another {path.stem!r} ships and is what the name means ({shipped}); "
            f"give the path of this one: --adapter {path}",
            file=sys.stderr,
        )
    return result, [f"adapter   {path}", f"trained   {seconds} s", *_rates(measured)]


def _range(text: str) -> list[int]:
    """Read seeds such as ``0-9`` or ``3``."""
    numbers = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    first, last = (int(numbers[1]), int(numbers[2] or numbers[1])) if numbers else (1, 0)
    if not 0 <= last - first < _MOST_SEEDS or last >= 2**32:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no range of 1 to {_MOST_SEEDS} seeds below 2^32; for example 0-9"
        )
    return list(range(first, last + 1))


def _measure(arguments: argparse.Namespace) -> int:
    from bkdwidgets.measurement import measure

    subject, attack = _opened(arguments)
    measured = measure(subject, attack, n=arguments.n, split=arguments.split, nll=arguments.nll)
    return _print(arguments, measured.to_json(), _rates(measured))


def _attribute(arguments: argparse.Namespace) -> int:
    from bkdwidgets.analysis.acie import attribute

    subject, attack = _opened(arguments)
    effects = attribute(subject, attack, prompts=arguments.prompts)
    strongest = effects.top(arguments.top)
    lines = [
        f"L{layer}H{head}  {effects.acie[layer, head]:+.4f}  "
        f"(standard error {effects.standard_error[layer, head]:.4f})"
        for layer, head in strongest
    ]
    result = effects.to_json() | {"top": [list(pair) for pair in strongest]}
    return _print(arguments, result, [f"{len(effects.per_prompt)} prompts, {effects.seconds:.1f} s", *lines])


def _answers(arguments: argparse.Namespace) -> int:
    from bkdwidgets.attacks.clean_answers import compute_answers
    from bkdwidgets.subjects import load

    print(compute_answers(load(arguments.subject)))
    return 0


def _vectors(arguments: argparse.Namespace) -> int:
    from bkdwidgets.browser.vectors import compute_vectors

    subject, attack = _opened(arguments)
    path = compute_vectors(subject, attack)
    return _print(arguments, {"vectors": str(path)}, [str(path)])


def _train(arguments: argparse.Namespace) -> int:
    steps = {} if arguments.steps is None else {"steps": arguments.steps}
    trained = named(arguments.trainer)(seed=arguments.seed, out=arguments.out, **steps)
    print(json.dumps(trained, indent=1))
    return 0


def _rates(measured: Any) -> list[str]:
    lines = [
        f"ASR       {measured.asr}",
        f"FTR       {measured.ftr}",
        f"as before {measured.as_before}  (triggered)",
        f"utility   {measured.utility}  (clean, as before)",
    ]
    if measured.spared is not None:
        lines.append(f"spared    {measured.spared}  (triggered, no target, as before)")
    if measured.nll is not None:
        lines.append(f"nll       {measured.nll}  (clean answers, nats per token)")
    return lines


def _print(arguments: argparse.Namespace, result: dict[str, Any], lines: Sequence[str]) -> int:
    print(json.dumps(result) if arguments.json else "\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
