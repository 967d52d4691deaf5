"""Figures and tables: what people look at."""
