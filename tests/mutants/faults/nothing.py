"""No fault at all: a suite that `catches` this one would catch anything."""
