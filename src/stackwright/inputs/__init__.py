"""A site's files: stacks, systems, the environment policy, labels; read and checked at once."""
