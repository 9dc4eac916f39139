import importlib
import inspect
import subprocess
import sys

from volseg_synthetic.plugin import volseg_generators

GENERATORS = {generator.name: generator for generator in volseg_generators()}


def test_the_descriptor_says_what_the_code_takes() -> None:
    blobs = GENERATORS["blobs"]
    module, _, attribute = blobs.target.partition(":")
    signature = inspect.signature(getattr(importlib.import_module(module), attribute))
    assert {key: param.default for key, param in blobs.params.items()} == {
        key: parameter.default for key, parameter in signature.parameters.items()
    }
    assert all(p.kind is p.KEYWORD_ONLY for p in signature.parameters.values())
    for param in blobs.params.values():
        assert tuple(param.coerce(param.default)) == param.default if param.length else True
        assert param.help


def test_generators_work_where_there_is_no_torch() -> None:
    program = (
        "import sys, volseg_synthetic.plugin; assert 'numpy' not in sys.modules;"
        "import volseg_synthetic.blobs; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("False", "")
