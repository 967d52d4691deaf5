"""Search: Optuna over pretraining and over heads, in a study that any number of processes and machines share."""
