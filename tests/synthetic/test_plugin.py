import subprocess
import sys


def test_generators_work_where_there_is_no_torch() -> None:
    program = (
        "import sys, volseg_synthetic.plugin; assert 'numpy' not in sys.modules;"
        "import volseg_synthetic.blobs; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("False", "")
