"""Components for volseg: the supervoxel loss, the median of views, MRC files."""
