"""Read labels and inputs, write models: `train` from labels, `pretrain` from images alone.

The way leads down: `train` names the networks that are missing, `runs` describes each, `launch`
starts training where it is worth it, and `wslabel.training` does the rest.
"""
