import subprocess
import sys

from volseg_targets.plugin import volseg_targets

TARGETS = {target.name: target for target in volseg_targets()}


def test_targets_serve_the_task_that_their_values_are_of():
    assert {name: target.tasks for name, target in TARGETS.items()} == {
        "foreground": ("multilabel",),
        "boundaries": ("multilabel",),
        "affinities": ("multilabel",),
        "distance": ("regression",),
        "signed-distance": ("regression",),
        "centre-offsets": ("regression",),
    }
    assert all(target.dims == (2, 3) for target in TARGETS.values())


def test_each_target_imports_no_more_than_it_needs():
    program = (
        "import sys, volseg_targets.plugin; assert 'numpy' not in sys.modules;"
        "import volseg_targets.affinities, volseg_targets.distance; assert 'skimage' not in sys.modules;"
        "import volseg_targets.centres; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("False", "")
