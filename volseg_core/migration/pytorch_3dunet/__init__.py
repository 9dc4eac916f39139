"""Moving over from pytorch-3dunet: its train and predict configurations (1.9.6 and before) and its checkpoints."""
