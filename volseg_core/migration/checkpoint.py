"""Reading another tool's PyTorch file without running code from it."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from volseg_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

PREFIXES = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before the names of tensors."""


class Anything:
    """Stands for an object that nobody needs: takes whatever a pickle would build it from, and does nothing."""

    def __init__(self, *args: object) -> None:
        """Take the arguments of the object."""

    def __setstate__(self, state: object) -> None:
        """Take its state."""


HARMLESS = (
    *(f"{package}.{name}" for package in ("numpy.core.multiarray", "numpy._core.multiarray")
      for name in ("scalar", "_reconstruct")),
    "numpy.dtype", "numpy.ndarray", "_codecs.encode",
)  # fmt: skip
"""Numbers and arrays of numpy beside the weights: `Anything` stands for them."""


def read_checkpoint(path: Path, stand_ins: Mapping[str, Callable[..., Any]]) -> Any:
    """Return the content of a file that ``torch.save`` wrote: tensors, plain containers, numbers and text.

    ``stand_ins`` maps qualified names (``package.module.Class``) to what is called in their place. Anything else
    that the pickle names is refused before it is looked up.

    Raises:
        DataError: missing, damaged, or naming objects that are neither tensors nor stand-ins.
    """
    import warnings

    import torch

    where = str(path)
    allowed = {**dict.fromkeys(HARMLESS, Anything), **stand_ins}
    marked: list[Any] = [(target, name) for name, target in allowed.items()]
    try:
        with torch.serialization.safe_globals(marked), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise DataError(where, "does not exist") from None
    except pickle.UnpicklingError as error:
        raise _refused(where, str(error)) from None
    except OSError as error:
        raise DataError(where, f"cannot be read ({error.strerror})") from None
    except Exception as error:  # noqa: BLE001  (damage shows in many ways)
        what = f"is damaged, or no file of torch.save ({type(error).__name__}: {_first_line(str(error))})"
        raise DataError(where, what) from None


def _refused(where: str, message: str) -> DataError:
    """Return the error for a pickle that torch would not load: it names an object, or is no checkpoint."""
    for mark in ("GLOBAL ", "unrecognized function "):
        if mark in message:
            name = message.partition(mark)[2].split(maxsplit=1)[0]
            what = f"names the object {name}, which is neither a tensor nor plain data; refused"
            return DataError(where, what, "Loading it could run code. Save the weights alone with its own tool.")
    return DataError(where, "is no checkpoint that can be read without running code from it")


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0].rstrip(".")


def plain_names(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Return tensors without the prefixes that wrappers put before all names."""
    names = dict(tensors)
    while prefix := next((item for item in PREFIXES if names and all(name.startswith(item) for name in names)), ""):
        names = {name.removeprefix(prefix): tensor for name, tensor in names.items()}
    return names
