"""Where runs are recorded: the Tracker protocol (base), and MLflow behind it (mlflow, registry)."""
