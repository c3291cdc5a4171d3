"""What solvers decided, and the solvers: pip for wheels, mmdebstrap for the base."""
