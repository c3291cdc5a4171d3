"""Labels resolved to plans, what differs between two, and how far each has come."""
