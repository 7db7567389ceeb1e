"""The engines behind the gateway: which models each serves, and which one gets the next call.

A backend is called only at an address that the operator configured or the node itself started.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from protocol.observed import MODELS_MAX, ServedModel
from protocol.refusal import Fault, Refusal

URL_PATTERN = re.compile(r"https?://[!-~]{1,240}", re.ASCII)
MODEL_PATTERN = re.compile(r"[!-~]{1,64}", re.ASCII)
PENALTY_MS = 2_000
"""For so long a backend that failed is asked last; its next probe may end this sooner."""


@dataclass(frozen=True, slots=True)
class Backend:
    """One engine.

    url        of its OpenAI API, with or without the final /v1
    models     the names it serves; empty to ask it
    tenant_id  whose keys alone may call it; None for everybody's
    secret     what the operator configured as its own API key
    """

    name: str
    url: str
    models: tuple[str, ...] = ()
    tenant_id: str | None = None
    secret: str | None = field(default=None, repr=False)

    def endpoint(self, path: str) -> str:
        """Return the address of `chat/completions` and the like."""
        stem = self.url.rstrip("/").removesuffix("/v1")
        return f"{stem}/v1/{path}"


@dataclass(frozen=True, slots=True)
class Discovered:
    """One model as an engine lists it."""

    name: str
    context_tokens: int | None = None


@dataclass(slots=True)
class Standing:
    """How a backend is at present.

    heard  whether it ever answered since this agent began: before, nobody knows what it serves
    """

    backend: Backend
    ready: bool = False
    models: dict[str, Discovered] = field(default_factory=dict)
    heard: bool = False
    in_flight: int = 0
    penalty_until_ms: int = 0
    why: str = "not asked yet"


class BackendFailed(Fault):
    """A backend could not be reached, broke off, or answered with what no engine answers."""


class Backends:
    """All backends of the node, by name."""

    def __init__(self, configured: Iterable[Backend] = ()) -> None:
        self._standings: dict[str, Standing] = {}
        self.take(list(configured))

    def take(self, backends: Sequence[Backend]) -> None:
        """Make these the backends; one that stays as it was keeps its standing."""
        known = self._standings
        self._standings = {}
        for backend in backends:
            standing = known.get(backend.name)
            if standing is None or standing.backend != backend:
                standing = Standing(backend)
            self._standings[backend.name] = standing

    def standings(self) -> tuple[Standing, ...]:
        """Return every backend."""
        return tuple(self._standings.values())

    def note_answer(self, backend: Backend, models: Iterable[Discovered]) -> bool:
        """Note what a probe found; True if the models offered are others than before."""
        standing = self._standings.get(backend.name)
        if standing is None or standing.backend != backend:
            return False
        wanted = set(backend.models)
        offered = {
            model.name: model
            for model in readable_models(models)
            if not wanted or model.name in wanted
        }
        changed = not standing.ready or standing.models.keys() != offered.keys()
        standing.ready = standing.heard = True
        standing.models = offered
        standing.penalty_until_ms = 0
        standing.why = ""
        return changed

    def note_silence(self, backend: Backend, why: str) -> bool:
        """Note that a probe failed; True if it was ready before."""
        standing = self._standings.get(backend.name)
        if standing is None or standing.backend != backend:
            return False
        was_ready = standing.ready
        standing.ready = False
        standing.why = why
        return was_ready

    def note_failure(self, standing: Standing, *, now_ms: int) -> None:
        """Note that a call failed: the others are asked first for a while."""
        standing.penalty_until_ms = now_ms + PENALTY_MS

    def choices(self, model: str, *, tenant_id: str, now_ms: int) -> list[Standing]:
        """Return the ready backends for a model, best first; refuse when there is none.

        Best is which has not just failed, then which has the fewest calls in flight.
        """
        callable_ = [
            standing
            for standing in self._standings.values()
            if standing.backend.tenant_id in (None, tenant_id)
        ]
        serving = [one for one in callable_ if model in one.models or _may_serve(one, model)]
        if not serving:
            raise unknown_model()
        ready = [standing for standing in serving if standing.ready]
        if not ready:
            raise Refusal(
                code="model_not_ready",
                status=503,
                message="No backend of this model is ready on this node.",
                hint="Try again in a moment, or use another node.",
                field="model",
                retry_after_s=5,
            )
        return sorted(
            ready, key=lambda standing: (standing.penalty_until_ms > now_ms, standing.in_flight)
        )

    def models_for(self, tenant_id: str) -> list[Discovered]:
        """Return the models that a tenant's keys may be offered, by name."""
        found = {
            model.name: model
            for standing in self._standings.values()
            if standing.ready and standing.backend.tenant_id in (None, tenant_id)
            for model in standing.models.values()
        }
        return [found[name] for name in sorted(found)]

    def served_models(self) -> tuple[ServedModel, ...]:
        """Return what the registry hears: every model that is for everybody, ready or not."""
        served: dict[str, ServedModel] = {}
        for standing in self._standings.values():
            if standing.backend.tenant_id is not None:
                continue
            for model in standing.models.values():
                if model.name not in served or standing.ready:
                    served[model.name] = ServedModel(
                        name=model.name,
                        ready=standing.ready,
                        context_tokens=model.context_tokens,
                        owned_by=standing.backend.name[:64],
                    )
        return tuple(served[name] for name in sorted(served)[:MODELS_MAX])


def _may_serve(standing: Standing, model: str) -> bool:
    """Whether a backend that has not answered yet may turn out to serve a model."""
    names = standing.backend.models
    return not standing.heard and (not names or model in names)


def readable_models(models: Iterable[Discovered]) -> list[Discovered]:
    """Return the models whose names may stand in a usage record, at most as many as are offered."""
    readable = [
        model
        for model in models
        if MODEL_PATTERN.fullmatch(model.name) and '"' not in model.name and "\\" not in model.name
    ]
    return readable[:MODELS_MAX]


def unknown_model() -> Refusal:
    """Return the refusal of a model that nothing here serves."""
    return Refusal(
        code="model_not_found",
        status=404,
        message="This node serves no such model.",
        hint="GET /v1/models lists the models that this API key may call here.",
        field="model",
    )
