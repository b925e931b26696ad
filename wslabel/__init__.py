"""wslabel: from unlabeled images and a few labeling functions to a trained classifier."""
