"""speech: transcribes recordings and videos with Whisper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from lsml.adapters.base import MACHINE, PREDICTIONS, Adapter, Data, NamedWeights, Target
from lsml.adapters.sound.reading import SOUNDS, read_sound
from lsml.adapters.sound.voice import Speech, speeches
from lsml.adapters.sound.whisper import LONGEST_S, RATE, Words, downloads_of_whisper, lacking, load_whisper, words_of
from lsml.errors import AdapterError
from lsml.values import Text, Value


class SpeechOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of `speech`."""

    model: Annotated[
        str,
        Meta(
            min_length=1,
            description="A Whisper model: a folder that CTranslate2 reads, relative to the recipe's; or the name "
            "(tiny, base, small, medium, large-v3) of one that was downloaded before, or is in an "
            "installed package.",
            extra={**PREDICTIONS, "file": True},
        ),
    ] = "base"
    language: Annotated[
        Annotated[str, Meta(pattern="^[a-z]{2,3}$")] | None,
        Meta(
            description=(
                "The spoken language, as a code such as en or de; null: detected from the first words of each "
                "recording."
            ),
            extra=PREDICTIONS,
        ),
    ] = None
    translate: Annotated[bool, Meta(description="`true` translates the transcript to English.", extra=PREDICTIONS)] = (
        False
    )
    timestamps: Annotated[
        bool,
        Meta(
            description="`true` writes one line for each segment of speech, with its start time, in a TextArea for "
            "the whole recording.",
            extra=PREDICTIONS,
        ),
    ] = False
    pause: Annotated[
        float,
        Meta(
            ge=0.1, le=10, description="The seconds of silence that separate two segments of speech.", extra=PREDICTIONS
        ),
    ] = 0.5
    beam: Annotated[
        int, Meta(ge=1, le=20, description="The number of hypotheses in the beam search.", extra=PREDICTIONS)
    ] = 5
    device: Annotated[str, Meta(description="The device: auto, cpu, cuda.", extra=MACHINE)] = "auto"
    threads: Annotated[
        Annotated[int, Meta(ge=1, le=256)] | None,
        Meta(description="The number of cores; by default the library's choice.", extra=MACHINE),
    ] = None


class SpeechAdapter(Adapter[SpeechOptions]):
    """A transcript of a recording, by a pretrained model. It does not learn."""

    name: ClassVar[str] = "speech"
    title: ClassVar[str] = "transcribes speech in recordings and videos"
    consumes: ClassVar[frozenset[str]] = SOUNDS | {"Video"}
    produces: ClassVar[frozenset[type]] = frozenset({Text})
    requires: ClassVar[tuple[str, ...]] = ("faster_whisper", "soundfile", "av")
    extra: ClassVar[str | None] = "speech"
    licence: ClassVar[str | None] = (
        "MIT (faster-whisper, CTranslate2, Whisper's weights, Silero's detector), LGPL-2.1 (libsndfile, FFmpeg)"
    )
    Options: ClassVar[type[msgspec.Struct]] = SpeechOptions

    @classmethod
    def downloads(cls, options: SpeechOptions, target: Target) -> tuple[NamedWeights, ...]:
        """Return the model, unless this machine brings it."""
        return downloads_of_whisper(options.model)

    @classmethod
    def lacks(cls, options: SpeechOptions, target: Target) -> str | None:
        """Return what to do if the model is missing on this machine."""
        return lacking(options.model)

    @property
    def ready(self) -> bool:
        """True if its model is on this machine."""
        return self.lacks(self.options, self.target) is None

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return one text for each recording (path) with speech. Raises AdapterError if a recording cannot be read."""
        if not self.ready:
            return [[] for _ in batch]
        for path in batch:
            read_sound(path)  # what is no sound fails before any other is transcribed in vain, which takes long
        return [self._values(path) for path in batch]

    def _values(self, path: Path) -> list[Value]:
        said = [(speech, words) for speech, words in self._said(path) if words.text]
        if not said:
            return []
        lasting = sum(speech.end - speech.start for speech, _ in said)
        score = sum(words.score * (speech.end - speech.start) for speech, words in said) / lasting
        if self.options.timestamps:
            text = "\n".join(f"{_clock(speech.start)} {words.text}" for speech, words in said)
        else:
            text = " ".join(words.text for _, words in said)
        return [Text(text, min(1.0, score))]

    def _said(self, path: Path) -> Iterator[tuple[Speech, Words]]:
        """Return the transcript of each stretch; without time stamps, stretches are joined up to the model's longest input."""
        options = self.options
        model = load_whisper(options.model, options.device, options.threads)
        language = options.language
        found = speeches(path, options.pause)
        try:
            for speech in found if options.timestamps else _packed(found):
                words = words_of(model, speech.samples, language, translate=options.translate, beam=options.beam)
                language = words.language
                yield speech, words
        except ValueError as error:  # a language that the model does not know
            raise AdapterError(f"{self.name}: {error}") from error


def _packed(found: Iterator[Speech]) -> Iterator[Speech]:
    """Yield stretches of speech, joined up to LONGEST_S without the pauses between them."""
    import numpy as np

    together: list[Speech] = []
    for speech in found:
        if together and sum(len(one.samples) for one in together) + len(speech.samples) > LONGEST_S * RATE:
            yield Speech(together[0].start, together[-1].end, np.concatenate([one.samples for one in together]))
            together = []
        together.append(speech)
    if together:
        yield Speech(together[0].start, together[-1].end, np.concatenate([one.samples for one in together]))


def _clock(seconds: float) -> str:
    """Return a time such as 0:01:02.5."""
    tenths = round(seconds * 10)
    return f"{tenths // 36_000}:{tenths // 600 % 60:02}:{tenths // 10 % 60:02}.{tenths % 10}"
