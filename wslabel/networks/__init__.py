"""Networks as torch modules: built, filled with weights, and at work; nothing here knows tables.

`zoo` is the door to torchvision's and timm's models, `factory` builds what training and predicting
use, `weights` fills networks from files, `inference` and `trained` run them.
"""
