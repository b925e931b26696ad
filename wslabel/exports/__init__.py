"""Read labels or predictions, write them as other tools take them."""
