"""Rules of architectures."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from volseg_core.errors import UsageError
from volseg_core.network import UNTRAINED, ChosenEncoder, sizes_of
from volseg_core.plugins import describe
from volseg_core.recipe import ComponentUse
from volseg_core.testing.findings import NotGivenError, rules
from volseg_core.testing.offline import offline
from volseg_core.testing.reference import ReferenceChoice, ReferenceEncoder
from volseg_core.volume import SizeRule

if TYPE_CHECKING:
    from volseg_core.testing.findings import Findings
    from volseg_core.testing.trial import Trial

RULES = rules(
    "architecture",
    works=(
        "An architecture is a torch module for any number of channels and classes in the dims that it declares",
        "Take in_channels and num_classes from the context, and mend what raises.",
    ),
    size=(
        "The output is (N, num_classes, *S) for every S of multiples of divisor from min_size on, or as sizes says",
        "Pad or resize inside the network, or declare a larger divisor or min_size, or larger sizes.",
    ),
    evaluation=(
        "In evaluation mode an image has the same logits alone, in a batch and again",
        "Normalise over no batch and drop nothing out where self.training is False.",
    ),
    gradient=("In training mode every parameter gets a gradient", "Remove layers that take no part."),
    state=(
        "The state of one network fits another and gives its logits",
        "Keep all that is learnt in parameters and buffers, named the same each time.",
    ),
    encoder=(
        "A network that declares an encoder trains the one that it is given",
        "Call encoder.build(in_channels=..., depth=...), keep the module and use its features.",
    ),
    offline=(
        "A network without pretrained weights is built without the network",
        "Fetch weights only when they are asked for: those of a model file replace them.",
    ),
    onnx=(
        "A network that declares exports_onnx gives the same logits in ONNX Runtime, at other sizes too",
        "Use sizes of tensors, never numbers taken from them by int(), or set exports_onnx=False.",
    ),
)

_CASES = ((1, 2), (3, 1))
_CLOSE = 1e-4
_REFERENCE_STRIDE = 32


def examine(trial: Trial, found: Findings) -> None:
    """Build small networks of every number of dimensions."""
    for dims in trial.component.dims:
        for channels, classes in _CASES:
            with found.trying("works", f"for {channels} channels and {classes} classes in {dims}D"):
                try:
                    Examination(trial, found, dims, channels, classes).run()
                except UsageError as error:
                    if trial.encoder or trial.component.encoder == "none":
                        raise
                    raise NotGivenError("encoder", f"it refuses the reference encoder: {error}") from None


@dataclass(frozen=True)
class Examination:
    """One architecture for one input and output."""

    trial: Trial
    found: Findings
    dims: int
    channels: int
    classes: int

    def run(self) -> None:
        """Apply every rule; those that need one network alone only for the first case."""
        with offline() as tried:
            network = self._build()
        if tried:
            self.found.broke("offline", f"it asked for {tried[0]}")
        if not isinstance(network, nn.Module):
            self.found.broke("works", f"it is {type(network).__name__}")
            return
        if not self._sizes(network.eval()) or (self.channels, self.classes) != _CASES[0]:
            return
        self._evaluation(network)
        self._state(network)
        self._onnx(network)
        self._trains(network.train())

    def _build(self) -> Any:
        torch.manual_seed(0)
        return self.trial.build(
            in_channels=self.channels, num_classes=self.classes, dims=self.dims, encoder=self._encoder()
        )

    def _encoder(self) -> Any:
        """Return the encoder: none, the one that was named, or the reference."""
        if self.trial.component.encoder == "none":
            return None
        if not self.trial.encoder:
            return ReferenceChoice(self.dims)
        return named_encoder(self.trial)

    def _multiples(self) -> list[tuple[int, ...]]:
        """Return two shapes that the network declares to take: odd multiples of the divisors, the least first."""
        rule = sizes_of(self.trial.catalog, self.trial.provided, self.trial.values(), self.dims)
        if self.trial.encoder:
            chosen = named_encoder(self.trial)
            rule = rule.joined(sizes_of(self.trial.catalog, chosen.use.provided, chosen.params, self.dims))
        elif self.trial.component.encoder != "none":
            rule = rule.joined(SizeRule.same(_REFERENCE_STRIDE, 1, self.dims))
        counts = [max(-(-least // step), 1) for step, least in zip(rule.divisor, rule.least, strict=True)]
        odd = [count + 1 - count % 2 for count in counts]
        return [tuple((count + more) * step for count, step in zip(odd, rule.divisor, strict=True)) for more in (0, 2)]

    def _images(self, count: int = 2) -> torch.Tensor:
        small, _ = self._multiples()
        random = torch.Generator().manual_seed(1)
        return torch.randn(count, self.channels, *small, generator=random)

    @torch.no_grad()
    def _sizes(self, network: nn.Module) -> bool:
        small, large = self._multiples()
        for size in (small, (large[0], *small[1:])):
            output = network(torch.zeros(1, self.channels, *size))
            expected = (1, self.classes, *size)
            if not isinstance(output, torch.Tensor) or tuple(output.shape) != expected:
                seen = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
                self.found.broke("size", f"of {(1, self.channels, *size)} it is {seen}, not {expected}")
                return False
        return True

    @torch.no_grad()
    def _evaluation(self, network: nn.Module) -> None:
        images = self._images()
        batch, again, alone = network(images), network(images), network(images[:1])
        if not torch.allclose(batch, again, atol=_CLOSE):
            self.found.broke("evaluation", "the second time they differ")
        elif not torch.allclose(batch[:1], alone, rtol=1e-3, atol=_CLOSE):
            self.found.broke("evaluation", f"alone they differ by {(batch[:1] - alone).abs().max().item():.2g}")

    @torch.no_grad()
    def _state(self, network: nn.Module) -> None:
        with self.found.trying("state", "loaded"):
            other = self._build().eval()
            random = torch.Generator().manual_seed(2)
            state = {
                name: value + 0.01 * torch.rand(value.shape, generator=random) if value.is_floating_point() else value
                for name, value in network.state_dict().items()
            }
            for each in (network, other):
                each.load_state_dict(state)
            if not torch.allclose(network(self._images()), other(self._images()), rtol=1e-3, atol=_CLOSE):
                self.found.broke("state", "the other gives other logits")

    def _trains(self, network: nn.Module) -> None:
        with self.found.trying("gradient", "trained with a batch of two"):
            network(self._images()).square().mean().backward()
            idle = [name for name, each in network.named_parameters() if each.requires_grad and each.grad is None]
            if idle and not self.trial.encoder:  # a named encoder may have idle layers of its own
                self.found.broke("gradient", f"{len(idle)} have none, the first is {idle[0]!r}")
        takes = self.trial.component.encoder == "required" and not self.trial.encoder
        if takes and not any(isinstance(module, ReferenceEncoder) for module in network.modules()):
            self.found.broke("encoder", "it is nowhere among its modules")

    def _onnx(self, network: nn.Module) -> None:
        component = self.trial.component
        if not component.exports_onnx or not _can_export():
            return
        from volseg_core.exporting.convert import ATTEMPTS, converted, parities
        from volseg_core.exporting.vectors import Vectors

        small, large = self._multiples()
        wanted = []
        for batch, *last in ((2, small[-2], small[-1]), (1, large[-2], small[-1]), (3, small[-2], large[-1])):
            image = torch.randn(batch, self.channels, *small[:-2], *last)
            with torch.no_grad():
                wanted.append(Vectors(image.numpy(), np.asarray(network(image).numpy(), np.float32)))
        if component.export_rewrites:
            network = self.trial.catalog.load_target(self.trial.provided, component.export_rewrites)(
                self._copy(network)
            )
        failures = []
        for attempt in (each.of(self.dims) for each in ATTEMPTS["auto"][:2]):
            try:
                parity = parities(converted(network, wanted[0].image, attempt), wanted)
            except Exception as error:  # noqa: BLE001  (exporters raise what they like)
                failures.append(f"{attempt.exporter}: {describe(error)[:100]}")
                continue
            failure = next((item.describe() for item in parity if not item.good), "")
            if not failure:
                return
            failures.append(f"{attempt.exporter}: {failure}")
        self.found.broke("onnx", "; ".join(failures))

    def _copy(self, network: nn.Module) -> nn.Module:
        """Return a network of the same state, for rewrites that change it."""
        other: nn.Module = self._build()
        other.load_state_dict(network.state_dict())
        return other.eval()


def named_encoder(trial: Trial) -> Any:
    """Return the encoder that the author names as an architecture receives it, untrained."""
    provided = trial.catalog.find("encoder", trial.encoder)
    params = {name: param.default for name, param in provided.component.params.items()}
    if "weights" in params:
        params["weights"] = UNTRAINED
    return ChosenEncoder(trial.catalog, ComponentUse(provided, params), params)


def _can_export() -> bool:
    return all(find_spec(name) for name in ("onnx", "onnxruntime", "onnxscript"))
