"""The playground: any prompt, with and without the trigger, with whatever is done to the model.

Type a prompt, insert the trigger, take heads away, add or subtract the backdoor vector, and read what the
model says token by token, the clean model beside the backdoored one. In the published page the subject
runs in the reader's own browser; in a notebook Python answers for the subject it is given.

The widget carries what belongs to its models as data: how a trigger is inserted, the heads ranked by ACIE,
a few prompts with the answers that were computed for them. So it says something true before any model is
loaded, and a prompt is poisoned by the attack's own rule wherever it is typed.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets

from bkdwidgets.attacks.base import check_pair
from bkdwidgets.attacks.control import load_control
from bkdwidgets.core import arguments, ledger
from bkdwidgets.core.errors import BkdError, unknown
from bkdwidgets.core.heads import heads_of, widest_k
from bkdwidgets.core.vocabulary import ANSWER_TOKENS
from bkdwidgets.widgets.playground.table import (
    KINDS,
    MOST_HEADS,
    MOST_LETTERS,
    MOST_SCALE,
    PLACES,
    SHOWN,
    SIGNS,
    VECTORS,
    PlaygroundTable,
)
from bkdwidgets.widgets.shared import lab
from bkdwidgets.widgets.shared.assets import bundle, stylesheet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bkdwidgets.analysis import HeadEffects
    from bkdwidgets.attacks import Attack
    from bkdwidgets.subjects import Subject
    from bkdwidgets.subjects.answers import Row
    from bkdwidgets.widgets.playground.table import Pair


class PlaygroundView(lab.LabView):
    """Draws the playground; see ``view.js``.

    Parameters
    ----------
    table : PlaygroundTable
        What can be played with: a subject, an attack and how it was planted each.
    player : _Player, optional
        Answers where Python runs.
    """

    _esm = bundle(__file__)
    _css = stylesheet(__file__)
    pair = traitlets.Int(0).tag(sync=True)
    # The three menus that choose a pair; what stands in the last two depends on what was chosen before.
    subject = traitlets.Int(0).tag(sync=True)
    attack = traitlets.Int(0).tag(sync=True)
    attacks = traitlets.List(traitlets.Unicode()).tag(sync=True)
    method = traitlets.Int(0).tag(sync=True)
    methods = traitlets.List(traitlets.Unicode()).tag(sync=True)
    text = traitlets.Unicode("").tag(sync=True)
    triggered = traitlets.Bool(default_value=False).tag(sync=True)
    shown = traitlets.Int(2).tag(sync=True)
    top_k = traitlets.Int(0).tag(sync=True)
    heads = traitlets.Unicode("").tag(sync=True)
    kind = traitlets.Int(0).tag(sync=True)
    place = traitlets.Int(0).tag(sync=True)
    vector = traitlets.Int(0).tag(sync=True)
    sign = traitlets.Int(0).tag(sync=True)
    layer = traitlets.Int(0).tag(sync=True)
    scale = traitlets.Float(1.0).tag(sync=True)
    last_layer = traitlets.Int(0).tag(sync=True)
    unsteered = traitlets.Bool(default_value=True).tag(sync=True)
    # What a pair has nothing for: ranked heads, means of head outputs, vectors.
    unranked = traitlets.Bool(default_value=False).tag(sync=True)
    meanless = traitlets.Bool(default_value=False).tag(sync=True)
    vectorless = traitlets.Bool(default_value=False).tag(sync=True)

    def __init__(self, table: PlaygroundTable, player: _Player | None = None, **traits: Any) -> None:
        super().__init__(table, None, **traits)
        self._player = player
        self._request: object = None
        self._task: asyncio.Task[None] | None = None

    def _hear(self, _widget: object, message: Any, _buffers: object) -> None:
        if self._player is None or not isinstance(message, dict):
            return
        kind, number = message.get("bkd"), message.get("id")
        if kind == "hello":
            self.send({"bkd": "ready"})
        elif kind == "cancel" and number == self._request:
            self._request = None
        elif kind == "ask":
            self._request = number
            self.send({"bkd": "working", "id": number})
            self._start(number, self._player.replies(message.get("choice")))
        elif kind == "poison":
            self.send({"id": number, **self._player.poisoned(message.get("prompt"))})

    def _start(self, number: object, replies: Iterator[dict[str, Any]]) -> None:
        """Send the replies one by one, so that between two of them a wish to stop can be heard."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # nobody else can speak meanwhile
            for reply in replies:
                self.send({"id": number, **reply})
        else:
            self._task = loop.create_task(self._send_all(number, replies))

    async def _send_all(self, number: object, replies: Iterator[dict[str, Any]]) -> None:
        for reply in replies:
            if self._request != number:
                return
            self.send({"id": number, **reply})
            await asyncio.sleep(0.001)


class _Menu(ipywidgets.Dropdown):
    """A menu whose entries the view names: what there is to choose depends on another menu."""

    def __init__(self, view: PlaygroundView, entries: str, **traits: Any) -> None:
        super().__init__(options=getattr(view, entries), **traits)
        ipywidgets.jsdlink((view, entries), (self, "_options_labels"))
        self.observe(self._follow, "_options_labels")

    def _follow(self, change: Any) -> None:
        """Know in Python, too, what the page put at each index."""
        self._options_values = tuple(change["new"])
        if self.index is not None and self.index < len(self._options_values):
            self._notify_trait("index", self.index, self.index)


class Playground(lab.Lab):
    """Ask a clean and a backdoored model anything, and change how they work while they answer.

    Without arguments it offers the shipped subjects and attacks, which run in the page of the published
    book. With a subject, Python answers for it.

    Parameters
    ----------
    subject, attack : Subject, Attack, optional
        A backdoored subject and what was planted in it.
    effects : HeadEffects, optional
        Ranks the heads of `subject`; the ledger's ranking of a shipped adapter, if not given.
    start : str, optional
        Where the menus stand at first, out of what ships: ``subject/adapter``.

    Attributes
    ----------
    subject, attack, method, prompt, trigger, shown, top_k, heads, kind, place, vector, sign, layer, scale
        The controls, each an ``ipywidgets.Widget``. The first three choose what was planted, and how.
    view : PlaygroundView
        The part that draws.

    Raises
    ------
    BkdError
        If only one of `subject` and `attack` is given, or the subject carries no backdoor, or nothing of the
        name `start` is offered.

    Examples
    --------
    >>> Playground()  # doctest: +SKIP
    >>> Playground(start="nano/two-key-sft-0")  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        subject: Subject | None = None,
        attack: Attack | None = None,
        effects: HeadEffects | None = None,
        start: str | None = None,
    ) -> None:
        if (subject is None) != (attack is None):
            raise BkdError("Playground needs subject and attack together, or neither; got only one of them")
        if subject is not None:
            check_pair(subject, attack)
        lab.check_effects(effects)
        player = None
        if subject is None or attack is None:
            table = PlaygroundTable.from_entries()
        else:
            ranked = _ranking(subject, effects)
            table = PlaygroundTable.from_subject(subject, attack, ranked)
            player = _Player(subject, attack, ranked)
        pairs = table.pairs
        at = 0 if start is None else _place(pairs, start)
        first = pairs[at]
        layers = first.shape[0]
        own = [pair for pair in pairs if pair.subject == first.subject]
        same = [pair for pair in own if pair.attack == first.attack]
        subjects, attacks, methods = (
            _distinct(pairs, "subject"), _distinct(own, "attack"), _distinct(same, "method"),
        )  # fmt: skip
        view = PlaygroundView(
            table, player, pair=at, text=first.prompts[0].clean, triggered=True, layer=layers // 2,
            last_layer=layers - 1, subject=subjects.index(first.subject),
            attack=attacks.index(first.attack), method=methods.index(first.method),
            attacks=attacks, methods=methods,
            unranked=not first.ranked, meanless=not first.means, vectorless=not first.vectors,
        )  # fmt: skip
        super().__init__(view, self._controls(view, subjects), kind="playground")

    def _controls(self, view: PlaygroundView, subjects: list[str]) -> list[ipywidgets.Widget]:
        """Make the controls, tie each to its trait of the view, and return them in their order."""
        self.subject = lab.linked(
            ipywidgets.Dropdown(options=subjects, index=view.subject, description="model"), view, "subject"
        )
        attacks = _Menu(view, "attacks", index=view.attack, description="attack")
        self.attack = lab.linked(attacks, view, "attack")
        methods = _Menu(view, "methods", index=view.method, description="method")
        self.method = lab.linked(methods, view, "method")
        self.prompt = _tied(ipywidgets.Textarea(description="prompt", rows=2), view, "text")
        self.trigger = _tied(ipywidgets.ToggleButton(description="insert the trigger"), view, "triggered")
        self.shown = _choice("show", SHOWN, view, "shown")
        self.top_k = _tied(ipywidgets.IntSlider(max=MOST_HEADS, description="top k"), view, "top_k")
        self.heads = _tied(ipywidgets.Text(description="heads"), view, "heads")
        self.kind = _choice("with", KINDS, view, "kind")
        self.place = _choice("where", PLACES, view, "place")
        self.vector = _choice("vector", VECTORS, view, "vector")
        self.sign = _choice("do", SIGNS, view, "sign")
        self.layer = _tied(ipywidgets.IntSlider(max=view.last_layer, description="layer"), view, "layer")
        scale = ipywidgets.FloatSlider(max=MOST_SCALE, step=0.25, readout_format=".2f", description="scale")
        self.scale = _tied(scale, view, "scale")
        ipywidgets.jslink((view, "last_layer"), (self.layer, "max"))
        off = {"unranked": [self.top_k], "meanless": [self.kind], "vectorless": [self.vector]}
        off["unsteered"] = [self.sign, self.layer, self.scale]
        for trait, controls in off.items():
            for control in controls:
                ipywidgets.jslink((view, trait), (control, "disabled"))
        return [
            _heading("Ask"), self.subject, self.attack, self.method, self.prompt, self.trigger, self.shown,
            _heading("Ablate heads"), self.top_k, self.heads, self.kind, self.place,
            _heading("Steer"), self.vector, self.sign, self.layer, self.scale,
        ]  # fmt: skip


def _place(pairs: list[Pair], start: str) -> int:
    names = [f"{pair.subject}/{pair.adapter}" for pair in pairs]
    return names.index(arguments.one_of("start", start, names))


def _distinct(pairs: list[Pair], key: str) -> list[str]:
    return list(dict.fromkeys(getattr(pair, key) for pair in pairs))


def _ranking(subject: Subject, effects: HeadEffects | None) -> list[tuple[int, int]]:
    """Return the heads of a live subject, strongest first: as given, else the ledger's, else none."""
    if effects is not None:
        return [(int(layer), int(head)) for layer, head in effects.top(MOST_HEADS)]
    if subject.adapter is None:
        return []
    entry = ledger.find(f"{subject.name}/{subject.adapter.name}/attribute")
    if entry is None or entry.adapter_sha256 != subject.adapter.sha256:
        return []
    return heads_of(entry.values["ranked"][:MOST_HEADS])


class _Player:
    """Answers with a subject in this kernel, and with its clean model, loaded when it is first asked."""

    def __init__(self, subject: Subject, attack: Attack, ranked: list[tuple[int, int]]) -> None:
        self.subject, self.attack, self.ranked = subject, attack, ranked
        self._clean: Subject | None = None

    def replies(self, choice: Any) -> Iterator[dict[str, Any]]:
        """Yield the likeliest first tokens, then the answer as it grows; an error is a reply as well."""
        from bkdwidgets.subjects.answers import growing_answer, next_tokens

        started = time.perf_counter()
        try:
            subject, row = self._request_of(choice)
            yield {"bkd": "next", "tokens": next_tokens(subject, row)}
            for answer in growing_answer(subject, row, max_new_tokens=ANSWER_TOKENS):
                yield {"bkd": "token", "text": answer.text}
        except BkdError as error:
            yield {"bkd": "error", "text": str(error)}
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the reader waits for a word about it
            yield {"bkd": "error", "text": f"{type(error).__name__}: {error}"}
        else:
            seconds = round(time.perf_counter() - started, 2)
            yield {"bkd": "answer", "text": answer.text, "complete": answer.complete, "seconds": seconds}

    def poisoned(self, prompt: Any) -> dict[str, Any]:
        """Return a prompt with the trigger in it, for a page whose browser cannot draw its place."""
        if not isinstance(prompt, str) or len(prompt) > MOST_LETTERS:
            return {"bkd": "error", "text": f"a prompt is a text of at most {MOST_LETTERS} letters"}
        return {"bkd": "poisoned", "text": self.attack.poison(prompt)}

    def _request_of(self, choice: Any) -> tuple[Subject, Row]:
        """Return who is asked, and what: the prompt with its interventions."""
        from bkdwidgets.analysis.interventions import prepare
        from bkdwidgets.subjects.answers import Row

        if not isinstance(choice, dict):
            raise BkdError(f"cannot answer the choice {choice!r}")
        # What is put into heads is the backdoored model's mean, for either model: the same edit in both.
        done = prepare(self._interventions(choice), self.subject, self.attack)
        subject = self.subject if choice.get("model") == "backdoored" else self._clean_model()
        return subject, Row(str(choice.get("prompt", "")), done)

    def _interventions(self, choice: Mapping[str, Any]) -> list[Any]:
        from bkdwidgets.analysis import Ablation, Steering, backdoor_vector

        where = choice.get("where", "last")
        made: list[Any] = []
        if choice.get("heads"):
            made.append(Ablation(choice["heads"], kind=choice.get("kind", "zero"), where=where))
        kind = choice.get("vector")
        if kind is not None:
            if kind not in VECTORS[1:]:
                raise unknown("vector", kind, VECTORS[1:])
            if not self.ranked:
                raise BkdError("no heads are ranked to build a vector from; give Playground effects=...")
            layer, scale = choice.get("layer"), choice.get("scale")
            if not isinstance(layer, int) or not isinstance(scale, int | float):
                raise BkdError(f"layer {layer!r} and scale {scale!r} must be numbers")
            heads = self.ranked[: widest_k(self.subject.n_layers * self.subject.n_heads)]
            vector = backdoor_vector(self.subject, self.attack, heads=heads, kind=kind)
            made.append(Steering(vector, layer=layer, scale=scale, where=where))
        return made

    def _clean_model(self) -> Subject:
        if self._clean is None:
            self._clean = load_control(self.subject, self.attack)
        return self._clean


def _tied(control: ipywidgets.Widget, view: PlaygroundView, trait: str) -> ipywidgets.Widget:
    """Tie a control's value to a trait of the view, in the browser, and return the control."""
    control.value = getattr(view, trait)
    ipywidgets.jslink((control, "value"), (view, trait))
    return control


def _choice(name: str, options: tuple[str, ...], view: PlaygroundView, trait: str) -> ipywidgets.Widget:
    index = getattr(view, trait)
    buttons = ipywidgets.ToggleButtons(options=options, index=index, description=name)
    return lab.linked(buttons, view, trait)


def _heading(text: str) -> ipywidgets.Label:
    label = ipywidgets.Label(text)
    label.add_class("bkd-group")
    return label
