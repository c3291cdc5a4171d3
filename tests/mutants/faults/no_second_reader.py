import os
import sys

if sys.argv[0] == "-c" and "HDF5_USE_FILE_LOCKING" not in os.environ:
    import h5py

    def refused(*args):
        raise BlockingIOError("unable to lock file")

    h5py.File = refused
