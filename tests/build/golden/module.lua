-- mini/1.0-cpu@bench: rendered from its plan by Stackwright; edits are lost.
local prefix = "@PREFIX@"

help("A [[small]] stack for \"tests\".\n  mpiexec -n 2 python3 -c 'import mpi4py.MPI'\n")
whatis("Name: mini")
whatis("Version: 1.0-cpu")
whatis("Description: The smallest stack that runs two ranks")
whatis("URL: https://example.org/mini")
whatis("Keywords: test, mini")
family("mini")
conflict("mini")

prepend_path("PATH", pathJoin(prefix, "bin"))
pushenv("MINI_QUOTES", "it's \"quoted\" $HOME `id` \\ and -- done")
pushenv("PYTHONNOUSERSITE", "1")
pushenv("STACKWRIGHT_LABEL", "mini/1.0-cpu@bench")
