"""How a command runs in a stack: containers, Shifter, and the module on the host."""
