import os
import site
import sys
import sysconfig

site.ENABLE_USER_SITE = True
base = os.environ.get("PYTHONUSERBASE", "")
sys.path.insert(0, sysconfig.get_path("purelib", "posix_user", vars={"userbase": base}))
