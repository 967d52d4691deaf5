"""What a comparison says: measures with intervals, audits, calls (better, worse, not shown), and the answer."""
