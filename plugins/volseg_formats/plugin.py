"""Hooks of this plugin."""

from __future__ import annotations

from volseg_core.api import Param, Reader, Writer, hookimpl

_LICENCE = "Apache-2.0"
_HDF5 = (".h5", ".hdf5", ".hdf", ".nxs", ".nx", ".nexus")
_TIFF = (".tif", ".tiff")
_NUMPY = (".npy", ".npz")


@hookimpl
def volseg_readers() -> list[Reader]:
    """Return the readers."""
    return [
        Reader(
            name="hdf5",
            target="volseg_formats.hdf5_reader:Hdf5Reader",
            summary="HDF5 and NeXus files, read chunk by chunk",
            suffixes=_HDF5,
            aliases=("h5", "nexus"),
            licence=_LICENCE,
        ),
        Reader(
            name="tiff",
            target="volseg_formats.tiff_reader:TiffReader",
            summary="TIFF stacks, BigTIFF, ImageJ and OME-TIFF, memory-mapped or by strips and tiles",
            suffixes=_TIFF,
            aliases=("tif",),
            licence=_LICENCE,
        ),
        Reader(
            name="numpy",
            target="volseg_formats.numpy_reader:NumpyReader",
            summary="NumPy .npy and .npz files, memory-mapped, never unpickled",
            suffixes=_NUMPY,
            aliases=("npy", "npz"),
            licence=_LICENCE,
        ),
        Reader(
            name="slices",
            target="volseg_formats.slices_reader:SlicesReader",
            summary="a folder of PNG, TIFF or JPEG slices in natural order",
            directories=True,
            licence=_LICENCE,
        ),
    ]


@hookimpl
def volseg_writers() -> list[Writer]:
    """Return the writers."""
    return [
        Writer(
            name="hdf5",
            target="volseg_formats.hdf5_writer:Hdf5Writer",
            summary="one HDF5 file with a chunked dataset per array",
            params={
                "compression": Param(
                    "choice",
                    "gzip",
                    "Filter of the chunks; lzf is faster, gzip smaller.",
                    choices=("gzip", "lzf", "none"),
                )
            },
            suffixes=_HDF5,
            aliases=("h5", "nexus"),
            licence=_LICENCE,
        ),
        Writer(
            name="tiff",
            target="volseg_formats.tiff_writer:TiffWriter",
            summary="one TIFF file per array, with spacing for Fiji where it can hold it",
            params={
                "compression": Param(
                    "choice",
                    "none",
                    "zlib halves most label files but needs their full size twice while writing.",
                    choices=("none", "zlib"),
                )
            },
            suffixes=_TIFF,
            aliases=("tif",),
            licence=_LICENCE,
        ),
        Writer(
            name="numpy",
            target="volseg_formats.numpy_writer:NumpyWriter",
            summary="one .npy file per array, or one .npz file",
            suffixes=_NUMPY,
            aliases=("npy", "npz"),
            licence=_LICENCE,
        ),
        Writer(
            name="slices",
            target="volseg_formats.slices_writer:SlicesWriter",
            summary="a folder per array with one PNG or TIFF image per slice",
            directories=True,
            licence=_LICENCE,
        ),
    ]
