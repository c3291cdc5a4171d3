"""From a plan and its lock to files, and from those to an artefact in the store."""
