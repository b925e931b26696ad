"""Read inputs and labels from tables, write batches of examples for training.

`inputs` is what a network reads of an image, `targets` what it learns, `sampler` in which batches
images come, `examples` goes through all of them.
"""
