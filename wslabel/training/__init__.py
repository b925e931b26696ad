"""Read batches of examples, write a trained network; the door to Ray Train and Ray Tune.

`trainer` starts workers, `local` trains one network in one of them, `loop` goes through its epochs,
`objectives` gives the loss of one step. Nothing here knows tables.
"""
