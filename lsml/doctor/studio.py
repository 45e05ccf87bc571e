"""Checks of Label Studio, a project, its model and webhook, and of one task from Label Studio to lsml and back."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from lsml.binding import Binding, bind
from lsml.doctor.findings import Finding, failed, passed, skipped, warned
from lsml.errors import FetchError, LsmlError, StudioError
from lsml.labeling import LabelingConfig, parse_labeling_config
from lsml.labeling.objects import Unreadable
from lsml.media.transfer import shown_url
from lsml.prediction import Predictor, predict_tasks
from lsml.recipe import Recipe
from lsml.store import ProjectRow, Store
from lsml.studio.addresses import is_loopback
from lsml.studio.client import Studio
from lsml.studio.connection import fetcher
from lsml.studio.hooks import same_url, webhook_url
from lsml.studio.project import Backend, StudioSettings, Webhook
from lsml.versions import Loaded, card_of, load_promoted, misfits, model_version, names_of
from lsml.wording import near

_CONNECT = "run `lsml connect {recipe} --project {project}` while lsml runs, which corrects it"


def examine_studio(recipe: Recipe, studio: Studio | None) -> Iterator[Finding]:
    """Check that Label Studio answers, and that it accepts the token."""
    if studio is None:
        lacking = "address" if not recipe.label_studio.url else "token"
        yield warned(
            "label studio", (
                f"lsml does not have its {lacking}, so it only gets annotations from webhooks and publishes nothing"
            ),
            "set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY, or `label_studio:` in the recipe (create a personal "
            "access token under Account & Settings > Personal Access Token)",
        )  # fmt: skip
        return
    try:
        yield passed("label studio", studio.check())
    except StudioError as error:
        found, _, fix = str(error).partition("; ")
        yield failed("label studio", found, fix or "see Label Studio's own log")


@dataclass
class ProjectExam:
    """The checks of one project. `row`: the stored project, if lsml knows it; `serving`: a server of lsml answers."""

    recipe: Recipe
    store: Store | None
    studio: Studio
    number: int
    row: ProjectRow | None
    serving: bool

    def findings(self) -> Iterator[Finding]:
        """Yield the findings on its config, its model, its webhook, and one task."""
        settings = self.studio.settings(self.number)
        try:
            fields = settings.fields()
            config = parse_labeling_config(fields.label_config)
        except LsmlError as error:
            found, _, fix = str(error).partition("; ")
            yield failed("project", found, fix or "name another with --project")
            return
        yield passed("project", f"{fields.id}, {fields.title!r}, at {self.studio.url}/projects/{fields.id}")
        binding = bind(self.recipe, config)
        yield from self._config(config, binding)
        yield from self._version(binding)
        backend = yield from self._backend(settings)
        yield from self._webhook(settings, backend)
        yield from self._task(settings, binding, backend)

    def _mended(self) -> str:
        return _CONNECT.format(recipe=self.recipe.path, project=self.number)

    def _config(self, config: LabelingConfig, binding: Binding) -> Iterator[Finding]:
        """Compare the project's labeling config with the recipe and its own config."""
        if not binding.models:
            close = _near_selectors(self.recipe, config)
            yield failed(
                "labeling config", f"the recipe fits none of the project's tags: {_tags(config)}{close}",
                "write the project's tags under `tags` of the recipe; `lsml explain` shows what fits",
            )  # fmt: skip
        else:
            yield passed("labeling config", binding.state())
        for unbound in binding.unbound if binding.models else ():
            yield warned("labeling config", unbound.reason, "add a key for it under `tags`, or let people annotate it")
        if self.recipe.labeling_config:
            for found in differences(parse_labeling_config(self.recipe.labeling_config), config):
                yield warned(
                    "labels", found, "the project's own config is used; update `labeling_config` of the recipe, or "
                                     "remove it"
                )  # fmt: skip

    def _version(self, binding: Binding) -> Iterator[Finding]:
        row = self.store.versions.served(self.row.key) if self.store is not None and self.row is not None else None
        if row is None:
            if any(model.trainable for model in binding.models):
                yield warned(
                    "version", "no version is trained for this project yet", "annotate tasks, or press Start Training"
                )
            return
        try:
            told = misfits(binding, row.number, card_of(row))
        except LsmlError as error:
            yield failed("version", str(error), "promote another with `lsml promote`, or press Start Training")
            return
        for sentence in told:
            yield warned("version", sentence, "annotate with the new labels and press Start Training")
        if not told:
            yield passed("version", f"v{row.number} is served and fits the labeling config")

    def _backend(self, settings: StudioSettings) -> Generator[Finding, None, Backend | None]:
        """Check the project's models, and return lsml's. Label Studio contacts each model before it answers, and reports
        the result.
        """
        ours = names_of(self.recipe.name)
        try:
            found = settings.backends()
        except StudioError as error:
            yield failed("model", str(error), "see Label Studio's own log")
            return None
        mine = [one for one in found if one.is_of(ours)]
        backend = next(iter(mine or found), None)
        if backend is None:
            yield failed("model", "the project has no model", self._mended())
            return None
        if found[0] is not backend:
            yield warned(
                "model", f"{shown_url(found[0].url)} comes before lsml, and Label Studio asks only the first model",
                "delete it in Settings > Model",
            )  # fmt: skip
        if backend.is_reached:
            yield passed("model", f"Label Studio reaches lsml at {shown_url(backend.url)}")
            return backend
        said = f": {' '.join(backend.error_message.split())}" if backend.error_message else ""
        why = " (it did not answer, or not within a second)" if backend.state == "DI" else ""
        fix = self._mended() if self.serving else "start `lsml run`"
        host = urlsplit(backend.url).hostname or ""
        if self.serving and is_loopback(host) and not is_loopback(urlsplit(self.studio.url).hostname or ""):
            fix = f"for Label Studio, {host} is its own machine: {self._mended()}, with --backend-url"
        yield failed(
            "model", f"Label Studio cannot use {shown_url(backend.url)}, state {backend.state}{why}{said}", fix
        )
        return backend

    def _webhook(self, settings: StudioSettings, backend: Backend | None) -> Iterator[Finding]:
        """Check the webhook that tells lsml of annotations: it must exist, have the right address, and be answered."""
        if backend is None:
            yield skipped("webhook", "the project has no model of lsml")
            return
        hooks = [hook for hook in settings.webhooks() if hook.url.endswith("/webhook")]
        here = [hook for hook in hooks if same_url(_bare(hook.url), _bare(webhook_url(backend.url)))]
        if not here:
            others = ", ".join(shown_url(hook.url) for hook in hooks)
            found = f"none has the address {shown_url(webhook_url(backend.url))}" + (
                f", but to {others}" if others else ""
            )
            yield failed("webhook", f"{found}, so lsml does not get annotations", self._mended())
            return
        hook = here[0]
        if not (hook.is_active and hook.send_payload and hook.send_for_all_actions):
            yield failed(
                "webhook", f"{shown_url(hook.url)} is switched off, or does not send all events", self._mended()
            )
        elif not self.serving:
            yield skipped("webhook", "no server of lsml answers; start `lsml run`")
        else:
            yield self._fired(hook)

    def _fired(self, hook: Webhook) -> Finding:
        """Return lsml's answer to a webhook request like Label Studio's."""
        import httpx

        body = {"action": "LSML_DOCTOR", "project": {"id": self.number}}
        try:
            response = httpx.post(hook.url, json=body, headers=hook.headers, timeout=5.0, trust_env=False)
        except httpx.HTTPError as error:
            return failed(
                "webhook", f"{shown_url(hook.url)} does not answer: {error or type(error).__name__}", self._mended()
            )
        if response.status_code == 401:
            return failed(
                "webhook", f"{shown_url(hook.url)} is refused (401): lsml needs a username and a password, which Label Studio "
                "does not send with webhooks, so every annotation is lost", self._mended(),
            )  # fmt: skip
        if not response.is_success:
            return failed("webhook", f"{shown_url(hook.url)} answers {response.status_code}", self._mended())
        return passed("webhook", f"{shown_url(hook.url)} reaches lsml")

    def _task(self, settings: StudioSettings, binding: Binding, backend: Backend | None) -> Iterator[Finding]:
        """Check one task: its files can be fetched, a model predicts, and Label Studio accepts the prediction."""
        found = next(iter(self._some_task(settings)), None)
        if found is None:
            yield skipped("task", "the project has no tasks")
            return
        if not binding.models:
            yield skipped("task", "nothing is bound")
            return
        yield from read_task(self.recipe, self.store, self.row, binding, found)
        if backend is None or not self.serving or not backend.is_reached:
            yield skipped("prediction", "Label Studio does not reach lsml")
            return
        try:
            response = self.studio.try_prediction(backend.id)
        except StudioError as error:
            yield warned(
                "prediction", f"Label Studio got no prediction from lsml for a task: {error}",
                "this is normal before the first training; otherwise see the log of `lsml run`",
            )  # fmt: skip
            return
        if response:
            yield passed("prediction", "Label Studio asked lsml for the prediction of one task and accepts it")
        else:
            yield warned("prediction", "lsml has no prediction for a task yet", "annotate, or press Start Training")

    def _some_task(self, settings: StudioSettings) -> Iterator[dict[str, Any]]:
        tasks, _ = self.studio.predictions(self.number).lacking(None, 0, 1)
        yield from ({"id": task.id, "data": task.data} for task in tasks)
        yield from ({"id": None, "data": data} for data in settings.data())


def read_task(
    recipe: Recipe, store: Store | None, row: ProjectRow | None, binding: Binding, task: dict[str, object]
) -> Iterator[Finding]:
    """Check that each model can read a task and its files, and that it predicts."""
    which = f"task {task['id']}" if task["id"] is not None else "a task"
    with fetcher(recipe, row).hold() as fetch:
        for model in binding.models:
            try:
                model.read(task, fetch)
            except (FetchError, Unreadable) as error:
                found, _, fix = str(error).partition("; ")
                fix = fix or "check that the file exists, and that lsml may read it (`media` in the recipe)"
                yield failed("media" if isinstance(error, FetchError) else "task", f"{which}: {found}", fix)
                return
        yield passed("media", f"{which} can be read")
        loaded: Loaded | None = None
        if store is not None and row is not None:
            try:
                loaded = load_promoted(store, row.key, binding)
            except LsmlError as error:
                yield failed("predict", str(error), "promote another version, or press Start Training")
        if loaded is None or not any(adapter.ready for adapter in loaded.adapters.values()):
            return
        name = model_version(binding, loaded.number, loaded.card, loaded.project)
        (outcome,) = predict_tasks(Predictor(binding, loaded.adapters, fetch, name), [task])
    if outcome.prediction is not None:
        yield passed("predict", f"{which} is predicted by {name}")
    else:
        reason, sentence = outcome.dropped[-1] if outcome.dropped else ("nothing", "no model answered")
        yield warned("predict", f"{which}: {reason}: {sentence}", "the message says what to do")


def differences(recipe: LabelingConfig, project: LabelingConfig) -> list[str]:
    """Return the controls and labels that only one of the recipe's and the project's config has, with similar names."""
    theirs = {control.name: control for control in project.controls}
    ours = {control.name: control for control in recipe.controls}
    told = []
    for name, control in ours.items():
        there = theirs.get(name)
        if there is None:
            close = _near(name, [other for other in theirs if other not in ours])
            told.append(f"the recipe's config has {control.selector}, which the project lacks{close}")
            continue
        mine, other = ({label.value for label in one.labels} for one in (control, there))
        ours_alone, theirs_alone = sorted(mine - other), sorted(other - mine)
        told += [f"{control.selector}: the project lacks `{label}`{_near(label, theirs_alone)}" for label in ours_alone]
        told += [
            f"{control.selector}: the recipe's config lacks `{label}`{_near(label, ours_alone)}"
            for label in theirs_alone
        ]
    return told


def _near(name: str, others: Sequence[str]) -> str:
    close = ", ".join(near(name, others))
    return f" (near: {close})" if close else ""


def _near_selectors(recipe: Recipe, config: LabelingConfig) -> str:
    names = [control.selector for control in config.controls]
    for model in recipe.models:
        for selector in model.selectors:
            close = _near(str(selector), names)
            if close:
                return f"; the recipe names {selector}{close}"
    return ""


def _tags(config: LabelingConfig) -> str:
    return ", ".join(control.selector for control in config.controls) or "it has none"


def _bare(url: str) -> str:
    """Return a URL without user name and password."""
    parts = urlsplit(url)
    return unquote(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl())
