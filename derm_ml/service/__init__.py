"""The shared service: MLflow's server as a group can trust it, its users, its backups; in containers or native."""
