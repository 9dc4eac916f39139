"""What the plugin describes, against the code that it describes."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from volseg_smp.plugin import volseg_architectures, volseg_encoders

if TYPE_CHECKING:
    from volseg_core.api import Architecture

ARCHITECTURES = {architecture.name: architecture for architecture in volseg_architectures()}


def test_every_network_of_smp_is_described_and_nothing_else() -> None:
    import segmentation_models_pytorch as smp

    assert set(ARCHITECTURES) == set(smp.MODEL_ARCHITECTURES_MAPPING)


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=lambda a: a.name)
def test_the_defaults_are_those_of_smp(architecture: Architecture) -> None:
    import segmentation_models_pytorch as smp

    theirs = inspect.signature(smp.MODEL_ARCHITECTURES_MAPPING[architecture.name].__init__).parameters
    for name, param in architecture.params.items():
        assert theirs[name].default == param.default


def test_an_encoder_has_the_parameters_of_its_builder() -> None:
    from volseg_smp import encoders, inflated

    for encoder in volseg_encoders():
        builder = encoders.build if encoder.dims == (2,) else inflated.build
        signature = inspect.signature(builder).parameters
        optional = {"input_size"} - set(encoder.params)
        assert set(signature) - optional == {*encoder.wants, *encoder.params}
        assert all(signature[name].default == param.default for name, param in encoder.params.items())


def test_describing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from volseg_smp.plugin import volseg_architectures as a, volseg_encoders as e; a(), e();"
        "heavy = {'torch', 'numpy', 'timm', 'segmentation_models_pytorch', 'huggingface_hub', 'albumentations'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_pyramid_attention_network_states_its_smallest_input() -> None:
    assert ARCHITECTURES["pan"].min_size == 128
    assert {a.min_size for a in ARCHITECTURES.values() if a.name != "pan"} == {32}
