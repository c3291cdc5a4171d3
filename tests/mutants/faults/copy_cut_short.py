import os
import shutil
from pathlib import Path

whole = shutil.copyfile


def copyfile(source, target, **kwargs):
    whole(source, target, **kwargs)
    with Path(target).open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(bytes(4))
    return target


shutil.copyfile = copyfile
