"""As a user does to get the same bits as elsewhere."""

import os

os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
