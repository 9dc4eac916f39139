"""Readers and writers of volumes: HDF5, TIFF, NumPy, folders of slices."""
