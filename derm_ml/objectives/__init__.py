"""A batch to a loss and its metrics: the ELBO, and the classification loss."""
