"""Moving over from Volume Segmantics: its settings files (0.3.2 and 0.4.0) and its checkpoints."""
