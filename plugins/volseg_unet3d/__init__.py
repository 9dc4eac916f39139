"""Built-in networks that need no encoder: U-Nets in 2D and 3D, stacked hourglass, adapters to MONAI."""
