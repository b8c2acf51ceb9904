"""What every lab is made of: controls, a view, and (with a kernel) somebody to ask.

The controls are plain ipywidgets; ``jslink`` ties them to the view inside the reader's browser, so
they work where no Python runs. The view asks Python only over custom messages, and only after Python
said that it is there: the same saved widget works in a page without a kernel.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anywidget
import ipywidgets
import traitlets
from msgspec import UNSET

from bkdwidgets.attacks import base
from bkdwidgets.core.errors import BkdError, shown
from bkdwidgets.widgets.shared.assets import stylesheet
from bkdwidgets.widgets.shared.schema import packed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import msgspec

    from bkdwidgets.analysis import Ablation, Steering
    from bkdwidgets.attacks import Attack, Example
    from bkdwidgets.subjects import Subject
    from bkdwidgets.widgets.shared.schema import Prompt, PromptTable, Table

    Answer = dict[str, Any]
    Answerer = Callable[[Mapping[str, Any]], Answer]

_PROMPT_WIDTH = 60


class LabView(anywidget.AnyWidget):
    """The part of a lab that draws; subclasses add what can be chosen.

    Parameters
    ----------
    table : Table
        It travels with the widget, gzipped.
    answerer : callable, optional
        Answers a choice that is not in the table.
    """

    _css = stylesheet()
    table_gz = traitlets.Bytes(b"").tag(sync=True)
    prompt = traitlets.Int(0).tag(sync=True)

    def __init__(self, table: msgspec.Struct, answerer: Answerer | None = None, **traits: Any) -> None:
        super().__init__(table_gz=packed(table), **traits)
        self._answerer = answerer
        self.add_class("bkd-view-host")
        self.on_msg(self._hear)

    def _hear(self, _widget: object, message: Any, _buffers: object) -> None:
        if self._answerer is None or not isinstance(message, dict):
            return
        if message.get("bkd") == "hello":
            self.send({"bkd": "ready"})
        elif message.get("bkd") == "ask":
            self.send({"bkd": "working", "id": message.get("id")})  # until then a cell kept the kernel busy
            self.send({"id": message.get("id"), **self._reply(message.get("choice"))})

    def _reply(self, choice: Any) -> dict[str, Any]:
        """Return an answer, or the error as text: a view cannot show a traceback."""
        started = time.perf_counter()
        try:
            if self._answerer is None or not isinstance(choice, dict):
                raise BkdError(f"cannot answer the choice {choice!r}")  # noqa: TRY301
            answer = self._answerer(choice)
        except BkdError as error:
            return {"bkd": "error", "text": str(error)}
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the reader waits for a word about it
            return {"bkd": "error", "text": f"{type(error).__name__}: {error}"}
        return {"bkd": "answer", "answer": {"seconds": round(time.perf_counter() - started, 2), **answer}}


class Lab(ipywidgets.VBox):
    """Controls and a view, side by side or one below the other, as wide as the page allows."""

    def __init__(self, view: LabView, controls: Sequence[ipywidgets.Widget], *, kind: str) -> None:
        self.view = view
        # Here the view puts its name, its state and the offer of a model: they are read before the controls.
        lead = ipywidgets.Box()
        lead.add_class("bkd-lead")
        column = ipywidgets.VBox(controls)
        column.add_class("bkd-controls")
        grid = ipywidgets.Box([lead, column, view])
        grid.add_class("bkd-desk-grid")
        super().__init__([grid])
        self.add_class("bkd-desk")
        self.add_class(f"bkd-{kind}-lab")


def linked(control: ipywidgets.Widget, view: LabView, trait: str) -> ipywidgets.Widget:
    """Tie a control to a trait of the view, in the browser, and return the control.

    A menu's ``value`` cannot be linked in a page without a kernel; its ``index`` can.
    """
    ipywidgets.jslink((control, "index"), (view, trait))
    return control


def stops(options: Sequence[tuple[str, int]], *, index: int, description: str) -> ipywidgets.SelectionSlider:
    """Return a slider over a few named stops.

    What stands beside such a slider looks like the number of an ordinary one, which can be typed over. Here
    that would change nothing but the number, so the view, which knows the slider by its class, forbids it.
    """
    slider = ipywidgets.SelectionSlider(
        options=options, index=index, description=description, continuous_update=True
    )
    slider.add_class("bkd-stops")
    return slider


def numbered(labels: Iterable[object]) -> list[tuple[str, int]]:
    """Return labels with their numbers, from 0 on, as the options of a slider or of buttons."""
    return [(str(label), number) for number, label in enumerate(labels)]


def prompt_menu(table: PromptTable, view: LabView) -> ipywidgets.Dropdown:
    """Return a menu of the table's prompts."""
    options = [
        (f"{number}. {_shortened(prompt.clean)}", number)
        for number, prompt in enumerate(table.prompts, start=1)
    ]
    return linked(
        ipywidgets.Dropdown(options=options, index=view.prompt, description="prompt"), view, "prompt"
    )


def check_pair(subject: Subject | None, attack: Attack | None, *, table: object, name: str) -> None:
    """Refuse half a pair, or nothing to answer from."""
    if (subject is None) != (attack is None):
        raise BkdError(f"{name} needs subject and attack together, or neither; got only one of them")
    if subject is None and table is None:
        raise BkdError(f"{name} needs a table, or a subject with an attack, to answer from")
    if subject is not None:
        base.check_pair(subject, attack)


def check_effects(effects: object) -> None:
    """Refuse what is no result of :func:`bkdwidgets.attribute`, where one was given."""
    if effects is not None and not hasattr(effects, "top"):
        raise BkdError(f"effects={shown(effects)} is not allowed; what bkd.attribute returns")


def check_same_subject(table: Table, subject: Subject | None) -> None:
    """Refuse a table of another model: its answers and the kernel's would not belong together."""
    if subject is None:
        return
    adapter = subject.adapter.name if subject.adapter else None
    if (table.subject, table.adapter or None) != (subject.name, adapter):
        raise BkdError(
            f"the lab table is of {table.subject} + {table.adapter or None}, "
            f"the subject is {subject.name} + {adapter}"
        )


def chosen_prompt(table: PromptTable, choice: Mapping[str, Any]) -> Prompt:
    """Return the prompt that a choice names."""
    number = choice.get("prompt")
    if not isinstance(number, int) or not 0 <= number < len(table.prompts):
        raise BkdError(f"prompt {number!r} is out of range; 0 to {len(table.prompts) - 1}")
    return table.prompts[number]


def judged_answers(
    subject: Subject, attack: Attack, prompt: Prompt, *, clean: Sequence[Ablation | Steering],
    triggered: Sequence[Ablation | Steering],
) -> dict[str, dict[str, str]]:  # fmt: skip
    """Return what the subject says to both forms of a prompt, judged.

    Parameters
    ----------
    subject, attack : Subject, Attack
        Who answers, and what counts as the payload.
    prompt : Prompt
        With the clean model's own answer, and the payload of this prompt.
    clean, triggered : sequence of interventions
        What is done to the model for each form.
    """
    from bkdwidgets.analysis.interventions import prepare
    from bkdwidgets.measurement import outcome
    from bkdwidgets.subjects.answers import Row, complete_rows

    rows = [
        Row(prompt.clean, prepare(clean, subject, attack)),
        Row(prompt.triggered, prepare(triggered, subject, attack)),
    ]
    texts = complete_rows(subject, rows)
    example = example_of(prompt)
    judged = [{"text": text, "outcome": outcome(attack, text, example)} for text in texts]
    return {"clean": judged[0], "triggered": judged[1]}


def example_of(prompt: Prompt) -> Example:
    """Return a table's prompt as the example that the rules of an attack judge by.

    A table keeps no topic. The rules look at it for headlines alone, and there the true label is the answer.
    """
    from bkdwidgets.attacks import Example

    answer = prompt.answer or ""
    return Example(
        id=prompt.id or "",
        prompt=prompt.clean,
        topic=answer.rstrip("."),
        template="",
        split="test",
        answer=answer,
        complete=True,
        payload=None if prompt.payload is UNSET else prompt.payload,
    )


def _shortened(text: str) -> str:
    return text if len(text) <= _PROMPT_WIDTH else f"{text[: _PROMPT_WIDTH - 1].rstrip()}…"
