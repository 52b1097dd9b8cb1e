"""An analysis of a user's own: the mean counts of each image of a stack."""
